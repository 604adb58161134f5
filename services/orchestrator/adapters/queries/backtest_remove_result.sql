select retention_remove_result($1) as deleted
