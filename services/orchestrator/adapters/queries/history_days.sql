-- The first equity of each engine that was known from $2 on.
select instance_id, at, equity_first as amount, equity_currency as currency
from unnest($1::text[]) as asked (instance_id)
cross join lateral (
    select at, equity_first, equity_currency
    from history_seconds as kept
    where kept.instance_id = asked.instance_id and at >= $2::timestamptz and equity_first is not null
    order by at
    limit 1
) as found
order by instance_id
