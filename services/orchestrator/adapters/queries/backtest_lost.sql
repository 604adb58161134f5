select backtest_id, work, queued
from backtests
where status in ('pending', 'running') and queued > 0 and queued_at < $1 and updated_at < $1
order by created_at, number
limit $2
