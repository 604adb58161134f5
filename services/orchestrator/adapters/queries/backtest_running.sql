select backtest_id, study_id, number, verifies, config, status, version, created_at, updated_at, ended_at, facts
from backtests
where status = 'running'
order by updated_at
limit 1000
