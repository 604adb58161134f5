select retention_prune_results($1, $2, $3) as deleted
