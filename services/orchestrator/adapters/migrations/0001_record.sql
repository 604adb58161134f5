-- The record of intent. Documents are `json`, not `jsonb`: they are given back as they came, and jsonb refuses the
-- \u0000 that a log line or an operator's strategy config may hold. Nothing is ever searched inside them.

create table engines (
    instance_id text primary key,
    desired     text        not null,
    config      json        not null,
    generation  integer     not null,
    version     bigint      not null,
    session_id  text,
    pending     json,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);

create table sessions (
    session_id     text primary key,
    instance_id    text             not null references engines,
    generation     integer          not null,
    state          text             not null,
    spec           json             not null,
    stop_policy    text             not null,
    stop_timeout_s double precision not null,
    host           text,
    reason         text,
    detail         text,
    exit_code      integer,
    log_tail       text[]           not null,
    stop           json,
    state_seq      bigint           not null,
    is_provisional boolean          not null,
    created_at     timestamptz      not null,
    changed_at     timestamptz      not null,
    started_at     timestamptz,
    trading_at     timestamptz,
    ended_at       timestamptz,
    exit_seen_at   timestamptz,
    unique (instance_id, generation)
);

create unique index one_active_session on sessions (instance_id) where state not in ('stopped', 'failed');

create table commands (
    request_id  text primary key,
    subject     text        not null,
    body_hash   bytea       not null,
    instance_id text        not null,
    reply       json        not null,
    created_at  timestamptz not null
);

create table events (
    session_id  text        not null references sessions,
    seq         bigint      not null,
    instance_id text        not null,
    kind        text        not null,
    at          timestamptz not null,
    body        json        not null,
    primary key (session_id, seq)
);

-- A session as it is read: without its spec, with the number of its last event.
create view session_facts as
select
    session_id, instance_id, generation, state, stop_policy, stop_timeout_s, host, reason, detail, exit_code, log_tail,
    stop, state_seq, is_provisional, created_at, changed_at, started_at, trading_at, ended_at, exit_seen_at,
    coalesce((select max(seq) from events where events.session_id = sessions.session_id), 0) as last_seq
from sessions;
