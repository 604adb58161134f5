-- Configurations stored for a next start, engines that were removed, restarts made by themselves, what stops could not
-- confirm, and leases on accounts at venues.

alter table engines
    add column configured     json,
    add column removed_at     timestamptz,
    add column restart_policy json,
    add column restarts       timestamptz[] not null default '{}',
    add column restart_at     timestamptz;

alter table sessions
    add column not_confirmed text[]  not null default '{}',
    add column stop_report   json,
    add column is_given_up   boolean not null default false,
    add column needs_docker  boolean not null default false,
    add column needs_cache   boolean not null default false;

drop view session_facts;

-- A session as it is read: without its spec, with the number of its last event.
create view session_facts as
select
    session_id, instance_id, generation, state, stop_policy, stop_timeout_s, host, reason, detail, exit_code, log_tail,
    stop, state_seq, is_provisional, created_at, changed_at, started_at, trading_at, ended_at, exit_seen_at, not_confirmed,
    stop_report, is_given_up, needs_docker, needs_cache,
    coalesce((select max(seq) from events where events.session_id = sessions.session_id), 0) as last_seq
from sessions;

-- One row per account that was ever leased; its token grows with each holder. The holder is free to go at `free_at`:
-- null while it trades, the end of its session, or when its lease has surely run out where nobody saw the end.
create table account_leases (
    venue       text             not null,
    account     text             not null,
    token       bigint           not null default 0,
    instance_id text,
    session_id  text,
    ttl_s       double precision not null default 0,
    taken_at    timestamptz,
    free_at     timestamptz,
    primary key (venue, account)
);
