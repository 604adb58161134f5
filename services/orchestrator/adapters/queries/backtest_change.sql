update backtests
set status = $2, version = $3, updated_at = $4, ended_at = $5, facts = $6
where backtest_id = $1 and version = $3 - 1
returning backtest_id
