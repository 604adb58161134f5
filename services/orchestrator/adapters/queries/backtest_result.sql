select body from results where backtest_id = $1
