select request_id, subject, body_hash, reply, at from commands where request_id = $1
