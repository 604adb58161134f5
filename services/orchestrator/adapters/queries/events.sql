select body
from events
where session_id = $1 and seq > $2 and ($3::text is null or kind = $3)
order by seq
limit $4
