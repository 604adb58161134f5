delete from commands where at < $1
