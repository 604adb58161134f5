update backtests set queued = queued + 1, queued_at = $2 where backtest_id = any($1)
