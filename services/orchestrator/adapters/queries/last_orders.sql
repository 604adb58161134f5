select body, count(*) over () as total
from (
    select distinct on (body -> 'data' ->> 'client_order_id') body
    from events
    where session_id = $1 and kind = 'order'
    order by body -> 'data' ->> 'client_order_id', seq desc
) as latest
where body -> 'data' ->> 'status' not in (
    'INITIALIZED', 'EMULATED', 'RELEASED', 'DENIED', 'REJECTED', 'CANCELED', 'EXPIRED', 'FILLED'
)
limit 50
