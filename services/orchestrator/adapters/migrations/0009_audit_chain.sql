-- The audit is a chain: each entry has the hash of the one before, and is written once, by a function of the owner. The command
-- itself, with the answer that may come later, stays where repetitions look for it.

drop view audit;

-- `about` is an engine, backtest or study; `code` is null for what was accepted. The hash is of `prev` and audit_text.
create table audit (
    seq        bigint      primary key,
    at         timestamptz not null,
    request_id text        not null,
    subject    text        not null,
    about      text        not null,
    host       text,
    credential text        not null,
    caller     text        not null,
    origin     text        not null,
    via        text        not null,
    body       json,
    code       text,
    message    text        not null,
    prev       bytea       not null,
    hash       bytea       not null
);

create index audit_of_one on audit (about, seq);
create index audit_by_request on audit (request_id);

-- The last entry. Whoever adds one holds this row until the end of the transaction.
create table audit_head (
    is_only boolean primary key default true check (is_only),
    seq     bigint  not null,
    hash    bytea   not null
);

-- The last entry that was deleted because of its age, when and by which rule. Nothing younger than `keep_days` is ever deleted: the
-- owner's word, 0 where it has said nothing.
create table audit_retention (
    is_only   boolean          primary key default true check (is_only),
    keep_days double precision not null,
    seq       bigint           not null,
    hash      bytea            not null,
    at        timestamptz,
    rule      text
);

create function audit_at(timestamptz) returns text stable language sql as
$$ select to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Each column after the other as `length in bytes`:`text`, and `-` for null, in UTF-8. The same as schemas/audit_chain.py.
create function audit_text(bigint, timestamptz, text, text, text, text, text, text, text, text, text, text, text) returns bytea
stable language sql as
$$
    select convert_to(
        string_agg(coalesce(octet_length(convert_to(part, 'UTF8')) || ':' || part, '-'), '' order by place), 'UTF8'
    )
    from unnest(array[$1::text, audit_at($2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13]) with ordinality as parts (part, place)
$$;

-- Adds an entry with the columns of `audit` from `at` to `message`, and returns its number. A refusal that is there already is not
-- added; null then. A row that somebody else put in is passed by: it stops nobody, and whoever verifies the chain finds it.
create function audit_add(timestamptz, text, text, text, text, text, text, text, text, json, text, text) returns bigint
security definer language plpgsql as
$$
declare
    head audit_head;
    number bigint;
    own bytea;
begin
    select * into head from audit_head for update;
    if $11 is not null and exists (
        select from audit where request_id = $2 and subject = $3 and at = $1 and code is not null
    ) then
        return null;
    end if;
    number := greatest(head.seq, (select max(seq) from audit)) + 1;
    own := sha256(head.hash || audit_text(number, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text, $11, $12));
    insert into audit values (number, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, head.hash, own);
    update audit_head set seq = number, hash = own;
    return number;
end
$$;

-- Deletes the oldest entries as long as they are from before $1, at most $2 of them, and says how many.
create function audit_prune(timestamptz, integer) returns integer security definer language plpgsql as
$$
declare
    kept audit_retention;
    before timestamptz;
    last bigint;
    deleted integer;
begin
    select * into kept from audit_retention for update;
    before := least($1, clock_timestamp() - make_interval(secs => kept.keep_days * 86400));
    select max(seq) into last from (
        select seq, bool_and(at < before) over (order by seq) as is_old from (select seq, at from audit order by seq limit $2) as oldest
    ) as looked_at
    where is_old;
    if last is null then
        return 0;
    end if;
    update audit_retention
    set seq = last, hash = audit.hash, at = clock_timestamp(), rule = 'older than ' || audit_at(before)
    from audit
    where audit.seq = last;
    delete from audit where seq <= last;
    get diagnostics deleted = row_count;
    return deleted;
end
$$;

insert into audit_retention (keep_days, seq, hash) values (0, 0, decode(repeat('00', 32), 'hex'));

-- What there is becomes the beginning of the chain, in the order of its coming. In variables: with a head for each row it would not end.
do $$
declare
    one record;
    nth bigint := 0;
    last bytea := decode(repeat('00', 32), 'hex');
    own bytea;
begin
    for one in
        select commands.number as place, created_at, request_id, subject, instance_id, host, credential, caller, origin, via, body, null as code, message
        from commands
        union all
        select refusals.number, created_at, request_id, subject, instance_id, host, credential, caller, origin, via, body, code, message
        from refusals
        order by place
    loop
        nth := nth + 1;
        own := sha256(last || audit_text(
            nth, one.created_at, one.request_id, one.subject, one.instance_id, one.host, one.credential, one.caller, one.origin, one.via,
            one.body::text, one.code, one.message
        ));
        insert into audit values (
            nth, one.created_at, one.request_id, one.subject, one.instance_id, one.host, one.credential, one.caller, one.origin, one.via,
            one.body, one.code, one.message, last, own
        );
        last := own;
    end loop;
    insert into audit_head (seq, hash) values (nth, last);
    if nth > 0 then
        perform audit_add(
            now(), 'migration-0009', 'audit.chain', 'all', null, 'owner', '', '', '', null, null,
            format('entries 1 to %s were chained now: what became of them before, the chain does not show', nth)
        );
    end if;
end
$$;

alter table commands
    drop column number,
    drop column host,
    drop column credential,
    drop column caller,
    drop column origin,
    drop column via,
    drop column body,
    drop column message;
create index commands_by_age on commands (created_at);

drop table refusals;
drop sequence audit_numbers;

-- They act as their owner: nothing that somebody else made is to be found before what they name.
do $$
declare
    one regprocedure;
begin
    foreach one in array array[
        'audit_add(timestamptz, text, text, text, text, text, text, text, text, json, text, text)', 'audit_prune(timestamptz, integer)'
    ]::regprocedure[]
    loop
        execute format('alter function %s set search_path = pg_catalog, %I, pg_temp', one, current_schema());
        execute format('revoke all on function %s from public', one);
    end loop;
end
$$;
