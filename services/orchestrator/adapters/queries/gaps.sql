select seq + 1 as first, next - 1 as last
from (
    select seq, lead(seq) over (order by seq) as next
    from (
        select 0 as seq
        union all select seq from events where session_id = $1
        union all select told_seq + 1 from sessions where session_id = $1 and not exists (
            select from events where events.session_id = $1 and seq > told_seq
        )
    ) as numbers
) as pairs
where next > seq + 1
order by seq
limit 1000
