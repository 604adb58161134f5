-- Backtests, the studies that they belong to, and their results. Documents are `json` as in the first step: nothing is
-- searched inside them.

create table studies (
    study_id   text primary key,
    config     json        not null,
    choices    json        not null,
    windows    json        not null,
    status     text        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    ended_at   timestamptz,
    why_ended  text
);

-- `work` is what goes into the queue, `queued` how often it was put there.
create table backtests (
    backtest_id text primary key,
    study_id    text references studies,
    number      integer     not null,
    verifies    text,
    config      json        not null,
    work        json        not null,
    status      text        not null,
    version     bigint      not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    ended_at    timestamptz,
    facts       json        not null,
    queued      integer     not null default 0,
    queued_at   timestamptz,
    unique (study_id, number)
);

create index backtests_newest on backtests (created_at desc, backtest_id desc);
create index backtests_open on backtests (created_at, number) where status in ('pending', 'running');
create index backtests_verifying on backtests (verifies) where verifies is not null;

-- One row per result, as the worker packed it: it is there whole or not at all. The tear sheet comes after it.
create table results (
    backtest_id text primary key references backtests,
    body        bytea not null,
    report      bytea
);

-- Pieces of results that are not whole yet. The hash is that of the whole, so pieces of two attempts never mix.
create table result_parts (
    backtest_id text        not null references backtests,
    sha256      text        not null,
    index       integer     not null,
    data        bytea       not null,
    at          timestamptz not null default now(),
    primary key (backtest_id, sha256, index)
);
