insert into commands (request_id, subject, body_hash, instance_id, reply, created_at)
values ($1, $2, $3, $4, $5, $6)
