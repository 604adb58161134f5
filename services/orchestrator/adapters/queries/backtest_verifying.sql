select backtest_id, status from backtests where verifies = $1 order by created_at
