select index, data from result_parts where backtest_id = $1 and sha256 = $2
