select alert_id from alerts where alert_id = any($1)
