-- What {source} has from $1 to $2, in bins of $3 counted from $4; of the engine $5, or of all. Where the currency changed within a
-- bin, its equity is that of the last one.
select
    instance_id, bin as at, (array_agg(session_id order by at desc))[1] as session_id, sum(samples)::integer as samples,
    currency as equity_currency,
    (array_agg(equity_first order by at) filter (where equity_currency = currency and equity_first is not null))[1] as equity_first,
    min(equity_min) filter (where equity_currency = currency) as equity_min,
    max(equity_max) filter (where equity_currency = currency) as equity_max,
    (array_agg(equity_last order by at desc) filter (where equity_currency = currency and equity_last is not null))[1] as equity_last,
    (array_agg(equity_unknown order by at desc))[1] as equity_unknown,
    (array_agg(realized_pnl order by at desc))[1] as realized_pnl,
    (array_agg(unrealized_pnl order by at desc))[1] as unrealized_pnl,
    (array_agg(net_positions order by at desc))[1] as net_positions,
    (array_agg(orders_open order by at desc))[1] as orders_open,
    (array_agg(positions_open order by at desc))[1] as positions_open,
    (array_agg(fills_total order by at desc))[1] as fills_total,
    max(memory_bytes) as memory_bytes,
    sum(cpu_fraction * samples) / sum(samples) filter (where cpu_fraction is not null) as cpu_fraction
from (
    select
        *,
        first_value(equity_currency) over (partition by instance_id, bin order by equity_currency is null, at desc) as currency
    from (
        select *, date_bin($3::interval, at, $4::timestamptz) as bin
        from {source}
        where at >= $1::timestamptz and at < $2::timestamptz and ($5::text is null or instance_id = $5)
    ) as binned
) as told
group by instance_id, bin, currency
