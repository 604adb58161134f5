update audit_retention set keep_days = $1
