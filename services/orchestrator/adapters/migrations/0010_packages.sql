-- People's own strategies: content by its digest, in pieces, and the names that versions of it have.

-- `storage external`: what is fetched as it is needs no compression.
create table package_pieces (
    digest text        not null,
    index  integer     not null,
    count  integer     not null,
    data   bytea       not null,
    at     timestamptz not null default now(),
    primary key (digest, index)
);
alter table package_pieces alter column data set storage external;

-- Only what was checked. `findings` are its strategies with their parameters.
create table packages (
    digest     text primary key,
    size_bytes bigint not null,
    files      json   not null,
    findings   json   not null,
    notes      json   not null
);

-- `number` is the order in which they were pushed.
create table package_versions (
    name      text        not null,
    version   text        not null,
    digest    text        not null references packages,
    number    bigint      not null generated always as identity,
    is_draft  boolean     not null,
    pushed_at timestamptz not null,
    pushed_by text        not null,
    primary key (name, version)
);

-- A version that was removed stays taken, by what its strategies were called too: what is stored may still name it.
create table package_removed (
    name       text        not null,
    version    text        not null,
    digest     text        not null,
    templates  json        not null,
    removed_at timestamptz not null default now(),
    primary key (name, version)
);
