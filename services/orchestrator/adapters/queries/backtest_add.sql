insert into backtests (
    backtest_id, study_id, number, verifies, config, work, status, version, created_at, updated_at, ended_at, facts
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing
returning backtest_id
