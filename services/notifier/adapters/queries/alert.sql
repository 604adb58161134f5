select body from alerts where alert_id = $1
