select seq, at, request_id, subject, about, host, credential, caller, origin, via, body, code, message, hash
from audit
where ($1::text is null or about = $1) and ($2::bigint is null or seq < $2)
order by seq desc
limit $3
