insert into refusals (
    request_id, subject, instance_id, created_at, host, credential, caller, origin, via, body, code, message
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing
