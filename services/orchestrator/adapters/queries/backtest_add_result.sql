insert into results (backtest_id, body) values ($1, $2)
