select session_id, body, total
from (
    select
        session_id, seq, body,
        row_number() over (partition by session_id order by seq desc) as place,
        count(*) over (partition by session_id) as total
    from (
        select distinct on (session_id, body -> 'data' ->> 'client_order_id') session_id, seq, body
        from events
        where session_id = any($1) and kind = 'order'
        order by session_id, body -> 'data' ->> 'client_order_id', seq desc
    ) as latest
    where body -> 'data' ->> 'status' not in (
        'INITIALIZED', 'EMULATED', 'RELEASED', 'DENIED', 'REJECTED', 'CANCELED', 'EXPIRED', 'FILLED'
    )
) as open
where place <= 50
order by session_id, seq
