select venue, account, token, instance_id, session_id, ttl_s, taken_at, free_at
from account_leases
where (venue, account) in (select * from unnest($1::text[], $2::text[]))
order by venue, account
for update
