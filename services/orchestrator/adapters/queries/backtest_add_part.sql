insert into result_parts (backtest_id, sha256, index, data) values ($1, $2, $3, $4) on conflict do nothing
