select backtests.backtest_id
from backtests join studies using (study_id)
where backtests.status = 'running' and studies.status <> 'pending' and ($1::text is null or study_id = $1)
order by backtests.number
