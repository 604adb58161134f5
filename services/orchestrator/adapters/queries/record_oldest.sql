select
    (select min(at) from (
        select first.at from sessions
        left join events_pruned as pruned using (session_id)
        cross join lateral (
            select at from events where events.session_id = sessions.session_id and seq > coalesce(pruned.seq, 0) order by seq limit 1
        ) as first
    ) as oldest) as events,
    (select least(
        (select min(at) from ledger_fills), (select min(at) from ledger_orders), (select min(at) from ledger_positions),
        (select min(at) from ledger_accounts)
    )) as ledgers,
    (select least((select min(at) from history_seconds), (select min(at) from history_hours))) as measures,
    (select min(created_at) from commands) as commands,
    (select min(ended_at) from sessions) as sessions,
    (select min(ended_at) from results join backtests using (backtest_id)) as results
