delete from result_parts where backtest_id = $1
