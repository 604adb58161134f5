select backtest_id, work, queued
from backtests
where status = 'pending' and queued = 0 and (study_id is not null) = $1
order by created_at, number
limit $2
