insert into commands (request_id, subject, body_hash, reply, at) values ($1, $2, $3, $4, $5)
