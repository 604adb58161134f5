create table alerts (
    alert_id text primary key,
    rule text not null,
    about text not null,
    labels jsonb not null,
    is_open boolean not null,
    opened_at timestamptz not null,
    changed_at timestamptz not null,
    body text not null
);
create index alerts_open on alerts (opened_at) where is_open;
create index alerts_newest on alerts (opened_at desc);

-- What is to be sent is here before it is sent, and until that is noted.
create table deliveries (
    delivery_id text primary key,
    channel text not null,
    state text not null check (state in ('waiting', 'sent', 'given_up')),
    created_at timestamptz not null,
    sent_at timestamptz,
    body text not null
);
create index deliveries_waiting on deliveries (created_at) where state = 'waiting';

-- What is still to be published on a feed, in this order.
create table notes (
    number bigint generated always as identity primary key,
    feed text not null,
    body text not null
);

create table commands (
    request_id text primary key,
    subject text not null,
    body_hash bytea not null,
    reply text not null,
    at timestamptz not null
);

-- Settings, channels and mutes, and what is known of engines, hosts and the queue: one document each.
create table kept (
    kind text not null,
    name text not null,
    body text not null,
    primary key (kind, name)
);
