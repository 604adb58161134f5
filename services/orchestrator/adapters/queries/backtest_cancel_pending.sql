update backtests
set status = 'cancelled', version = version + 1, updated_at = $2, ended_at = $3
where study_id = $1 and status = 'pending'
returning backtest_id
