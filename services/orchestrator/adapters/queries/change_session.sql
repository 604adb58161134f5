update sessions
set state = $2,
    host = $3,
    reason = $4,
    detail = $5,
    exit_code = $6,
    log_tail = $7,
    stop = $8,
    state_seq = $9,
    is_provisional = $10,
    changed_at = $11,
    started_at = $12,
    trading_at = $13,
    ended_at = $14,
    exit_seen_at = $15
where session_id = $1
