delete from deliveries where state <> 'waiting' and created_at < $1
