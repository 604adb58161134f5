select request_id, subject, body_hash, instance_id, reply, created_at from commands where request_id = $1
