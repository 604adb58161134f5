select venue, account, token, instance_id, session_id, ttl_s, taken_at, free_at
from account_leases
where session_id = $1 and free_at is null
for update
