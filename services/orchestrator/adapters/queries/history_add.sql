-- Twice within one step, after a restart of the orchestrator, both are in it.
insert into history_seconds as kept
select *
from unnest(
    $1::text[], $2::timestamptz[], $3::text[], $4::integer[], $5::text[], $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[],
    $10::json[], $11::json[], $12::json[], $13::json[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
    $18::double precision[]
)
on conflict (instance_id, at) do update set
    session_id = excluded.session_id,
    samples = kept.samples + excluded.samples,
    equity_currency = coalesce(excluded.equity_currency, kept.equity_currency),
    equity_first = coalesce(kept.equity_first, excluded.equity_first),
    equity_min = least(kept.equity_min, excluded.equity_min),
    equity_max = greatest(kept.equity_max, excluded.equity_max),
    equity_last = coalesce(excluded.equity_last, kept.equity_last),
    equity_unknown = excluded.equity_unknown,
    realized_pnl = excluded.realized_pnl,
    unrealized_pnl = excluded.unrealized_pnl,
    net_positions = excluded.net_positions,
    orders_open = excluded.orders_open,
    positions_open = excluded.positions_open,
    fills_total = excluded.fills_total,
    memory_bytes = greatest(kept.memory_bytes, excluded.memory_bytes),
    cpu_fraction = coalesce(excluded.cpu_fraction, kept.cpu_fraction)
