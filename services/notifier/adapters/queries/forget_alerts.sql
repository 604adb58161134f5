delete from alerts where not is_open and changed_at < $1
