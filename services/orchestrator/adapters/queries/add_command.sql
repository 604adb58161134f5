insert into commands (
    request_id, subject, body_hash, instance_id, reply, created_at, host, credential, caller, origin, via, body, message
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
