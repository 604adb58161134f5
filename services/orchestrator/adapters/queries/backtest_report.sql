select report from results where backtest_id = $1 and report is not null
