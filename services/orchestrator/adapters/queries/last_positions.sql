select body, count(*) over () as total
from (
    select distinct on (body -> 'data' ->> 'position_id') body
    from events
    where session_id = $1 and kind = 'position'
    order by body -> 'data' ->> 'position_id', seq desc
) as latest
where body -> 'data' ->> 'side' <> 'FLAT'
limit 50
