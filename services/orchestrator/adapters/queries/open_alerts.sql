select opened
from (
    select distinct on (pair.opened) pair.opened, body -> 'data' ->> 'code' as code
    from events
    join unnest($2::text [], $3::text []) as pair (opened, closed)
        on body -> 'data' ->> 'code' in (pair.opened, pair.closed)
    where session_id = $1 and kind = 'alert'
    order by pair.opened, seq desc
) as latest
where code = opened
