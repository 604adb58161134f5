select seq from events_pruned where session_id = $1
