with added as (
    insert into commands (request_id, subject, body_hash, instance_id, reply, created_at)
    values ($1, $2, $3, $4, $5, $6)
    returning request_id, subject, instance_id, created_at
)
select audit_add(created_at, request_id, subject, instance_id, $7, $8, $9, $10, $11, $12, null, $13) from added
