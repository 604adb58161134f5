select backtest_id, study_id, number, verifies, config, status, version, created_at, updated_at, ended_at, facts
from backtests
where study_id is not distinct from $1
    and ($2::text is null or status = $2)
    and ($3::timestamptz is null or (created_at, number, backtest_id) < ($3, $4, $5))
order by created_at desc, number desc, backtest_id desc
limit $6
