insert into sessions (
    session_id, state, host, reason, detail, exit_code, log_tail, stop, state_seq, is_provisional, changed_at, started_at,
    trading_at, ended_at, exit_seen_at, not_confirmed, stop_report, is_given_up, told_seq, silence, instance_id, generation, stop_policy,
    stop_timeout_s, created_at, needs_docker, needs_cache, spec
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28
)
