insert into account_leases (venue, account)
select * from unnest($1::text[], $2::text[])
on conflict (venue, account) do nothing
