select looked_at, deleted from retention_prune_events($1, $2, $3)
