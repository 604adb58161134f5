select venue, account, token, instance_id, session_id, ttl_s, taken_at, free_at
from account_leases
where session_id is not null and free_at is null
order by venue, account
