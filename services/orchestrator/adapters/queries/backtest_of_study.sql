select backtest_id, number, status, facts from backtests where study_id = $1
