select kind, rule, rows, last_at as at from retention_log
order by last_at desc
limit $1
