-- Of each kind the bytes with its indexes, about how many rows, and when the oldest was. Rows that were deleted and not yet written
-- over are in the bytes.
select
    kind, sum(pg_total_relation_size(relation))::bigint as bytes, sum(coalesce(live.n_live_tup, 0))::bigint as rows
from (
    select
        case
            when relname = 'events' then 'events'
            when relname like 'ledger\_%' then 'ledgers'
            when relname like 'history\_%' then 'measures'
            when relname in ('results', 'result_parts') then 'results'
            when relname in ('sessions', 'events_pruned') then 'sessions'
            when relname in ('commands', 'audit') then 'commands'
            else 'other'
        end as kind,
        oid as relation
    from pg_class
    where relnamespace = current_schema()::regnamespace and relkind = 'r'
) as told
left join pg_stat_user_tables as live on live.relid = relation
group by kind
order by kind
