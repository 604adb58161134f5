select backtest_id, work, queued from backtests where backtest_id = any($1)
