update account_leases set free_at = $2 where session_id = $1 and free_at is null
