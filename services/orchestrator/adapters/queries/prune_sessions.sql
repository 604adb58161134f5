select retention_prune_sessions($1, $2, $3) as deleted
