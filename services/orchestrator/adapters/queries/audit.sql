select number, created_at, request_id, subject, instance_id, host, credential, caller, origin, via, body, code, message
from audit
where ($1::text is null or instance_id = $1) and ($2::bigint is null or number < $2)
order by number desc
limit $3
