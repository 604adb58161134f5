update results set report = $2 where backtest_id = $1
