select * from session_facts where session_id = any($1)
