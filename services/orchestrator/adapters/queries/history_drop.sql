select history_drop($1, $2) as dropped
