delete from commands
where number in (select number from commands where created_at < $1 order by number limit 10000)
