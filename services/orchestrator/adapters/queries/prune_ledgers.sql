select retention_prune_ledgers($1, $2, $3) as deleted
