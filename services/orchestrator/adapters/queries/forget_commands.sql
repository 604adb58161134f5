delete from commands
where request_id in (select request_id from commands where created_at < $1 order by created_at limit 10000)
