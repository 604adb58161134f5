-- Made again, it is the same again.
insert into {target} as kept
{bins}
on conflict (instance_id, at) do update set
    session_id = excluded.session_id, samples = excluded.samples, equity_currency = excluded.equity_currency,
    equity_first = excluded.equity_first, equity_min = excluded.equity_min, equity_max = excluded.equity_max,
    equity_last = excluded.equity_last, equity_unknown = excluded.equity_unknown, realized_pnl = excluded.realized_pnl,
    unrealized_pnl = excluded.unrealized_pnl, net_positions = excluded.net_positions, orders_open = excluded.orders_open,
    positions_open = excluded.positions_open, fills_total = excluded.fills_total, memory_bytes = excluded.memory_bytes,
    cpu_fraction = excluded.cpu_fraction
