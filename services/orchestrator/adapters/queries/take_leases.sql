update account_leases
set token = $3, instance_id = $4, session_id = $5, ttl_s = $6, taken_at = $7, free_at = null
where (venue, account) in (select * from unnest($1::text[], $2::text[]))
