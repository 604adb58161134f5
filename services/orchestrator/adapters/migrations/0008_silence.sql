-- How often a session fell silent of late, and whether its alert is still open.

alter table sessions add column silence json;

drop view session_facts;

create view session_facts as
select
    session_id, instance_id, generation, state, stop_policy, stop_timeout_s, host, reason, detail, exit_code, log_tail,
    stop, state_seq, is_provisional, created_at, changed_at, started_at, trading_at, ended_at, exit_seen_at, not_confirmed,
    stop_report, is_given_up, needs_docker, needs_cache, told_seq, silence,
    coalesce((select max(seq) from events where events.session_id = sessions.session_id), 0) as last_seq
from sessions;
