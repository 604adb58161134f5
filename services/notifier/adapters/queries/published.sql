delete from notes where number = $1
