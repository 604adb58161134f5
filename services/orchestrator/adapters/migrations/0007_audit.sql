-- Who asked for each command, from where, and what was sent, with what may be a secret blanked; and what was refused or failed,
-- which changed nothing and may be asked for again under the same request id. Both are numbered together, in the order of their
-- coming here.

create sequence audit_numbers;

alter table commands
    add column number     bigint not null default nextval('audit_numbers'),
    add column host       text,
    add column credential text   not null default '',
    add column caller     text   not null default '',
    add column origin     text   not null default '',
    add column via        text   not null default '',
    add column body       json,
    add column message    text   not null default '';

create table refusals (
    number      bigint primary key default nextval('audit_numbers'),
    request_id  text        not null,
    subject     text        not null,
    instance_id text        not null,
    host        text,
    credential  text        not null,
    caller      text        not null,
    origin      text        not null,
    via         text        not null,
    body        json,
    code        text        not null,
    message     text        not null,
    created_at  timestamptz not null,
    unique (request_id, subject, created_at)
);

create unique index commands_by_number on commands (number);
create index commands_of_one on commands (instance_id, number);
create index refusals_of_one on refusals (instance_id, number);

create view audit as
select number, created_at, request_id, subject, instance_id, host, credential, caller, origin, via, body, null as code, message
from commands
union all
select number, created_at, request_id, subject, instance_id, host, credential, caller, origin, via, body, code, message
from refusals;
