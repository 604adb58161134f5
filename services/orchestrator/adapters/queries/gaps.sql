-- What was deleted because of its age is no gap.
with pruned as (select coalesce((select seq from events_pruned where session_id = $1), 0) as seq)
select seq + 1 as first, next - 1 as last
from (
    select seq, lead(seq) over (order by seq) as next
    from (
        select seq from pruned
        union all select events.seq from events, pruned where session_id = $1 and events.seq > pruned.seq
        union all select told_seq + 1 from sessions, pruned where session_id = $1 and told_seq >= pruned.seq and not exists (
            select from events where events.session_id = $1 and events.seq > told_seq
        )
    ) as numbers
) as pairs
where next > seq + 1
order by seq
limit 1000
