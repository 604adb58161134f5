select body from alerts where is_open or changed_at > $1
