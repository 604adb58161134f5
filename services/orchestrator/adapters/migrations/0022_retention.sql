-- What is too old, or too much, is deleted: in small pieces, by functions of the owner that know what is still needed.

-- Events of a session up to `seq` were deleted where they are not needed; their numbers are no gap.
create table events_pruned (
    session_id text   primary key,
    seq        bigint not null
);

-- What was deleted, when and by which rule: one row an hour for each kind and rule.
create table retention_log (
    hour    timestamptz not null,
    kind    text        not null,
    rule    text        not null,
    rows    bigint      not null,
    last_at timestamptz not null,
    primary key (hour, kind, rule)
);

-- Rows that are deleted make room soon.
alter table events set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

drop view session_facts;

create view session_facts as
select
    session_id, instance_id, generation, state, stop_policy, stop_timeout_s, host, reason, detail, exit_code, log_tail,
    stop, state_seq, is_provisional, created_at, changed_at, started_at, trading_at, ended_at, exit_seen_at, not_confirmed,
    stop_report, is_given_up, needs_docker, needs_cache, told_seq, silence,
    greatest(
        coalesce((select max(seq) from events where events.session_id = sessions.session_id), 0),
        coalesce((select seq from events_pruned where events_pruned.session_id = sessions.session_id), 0)
    ) as last_seq
from sessions;

create function retention_note(about text, by text, deleted bigint) returns void language sql as
$$
    insert into retention_log as kept values (date_trunc('hour', clock_timestamp()), about, by, deleted, clock_timestamp())
    on conflict (hour, kind, rule) do update set rows = kept.rows + excluded.rows, last_at = excluded.last_at
$$;

-- A session that its engine may go on from, or that held an account last: what is open in it is needed.
create function retention_is_needed(session text) returns boolean stable language sql as
$$
    select exists (select from engines where session_id = session)
        or exists (select from account_leases where session_id = session)
        or exists (select from sessions where session_id = session and state not in ('completed', 'stopped', 'failed'))
$$;

-- Looks at the oldest events from before $1, `most` of one session, and deletes what is not needed. Returns how many it looked at and deleted.
-- Of a session that is needed there stay its states and alerts, the last events of what is open in it, and its balances.
create function retention_prune_events(before timestamptz, most integer, by text, out looked_at integer, out deleted integer)
security definer language plpgsql as
$$
declare
    one record;
    upto bigint;
    is_needed boolean;
begin
    looked_at := 0;
    deleted := 0;
    select sessions.session_id, coalesce(pruned.seq, 0) as pruned into one
    from sessions
    left join events_pruned as pruned using (session_id)
    cross join lateral (
        select at from events where events.session_id = sessions.session_id and seq > coalesce(pruned.seq, 0) order by seq limit 1
    ) as first
    where first.at < before
    order by first.at
    limit 1;
    if not found then
        return;
    end if;
    select max(seq), count(*) into upto, looked_at from (
        select seq, bool_and(at < before) over (order by seq) as is_old
        from (select seq, at from events where session_id = one.session_id and seq > one.pruned order by seq limit most) as oldest
    ) as told
    where is_old;
    is_needed := retention_is_needed(one.session_id);
    delete from events
    where session_id = one.session_id and seq > one.pruned and seq <= upto and not (
        is_needed and (
            kind in ('state', 'alert')
            or kind = 'order' and exists (
                select from ledger_orders as held
                where held.session_id = one.session_id and held.last_seq = events.seq and held.is_open
            )
            or kind = 'position' and exists (
                select from ledger_positions as held
                where held.session_id = one.session_id and held.last_seq = events.seq and held.is_open
            )
            or kind = 'account' and exists (
                select from ledger_accounts as held
                where held.session_id = one.session_id and held.seq = events.seq and held.is_latest
            )
        )
    );
    get diagnostics deleted = row_count;
    insert into events_pruned values (one.session_id, upto)
    on conflict (session_id) do update set seq = excluded.seq;
    perform retention_note('events', by, deleted);
end
$$;

-- The oldest rows of each ledger from before $1, but what is open in, or the balances of, a session that is needed. Says how many.
create function retention_prune_ledgers(before timestamptz, most integer, by text) returns integer security definer language plpgsql as
$$
declare
    total integer := 0;
    deleted integer;
begin
    delete from ledger_fills where (session_id, seq) in (
        select session_id, seq from ledger_fills where at < before order by at limit most
    );
    get diagnostics deleted = row_count;
    total := total + deleted;
    delete from ledger_orders where (session_id, client_order_id) in (
        select session_id, client_order_id from ledger_orders
        where at < before and last_at < before and not (is_open and retention_is_needed(session_id)) order by at limit most
    );
    get diagnostics deleted = row_count;
    total := total + deleted;
    delete from ledger_positions where (session_id, position_id, ts_opened) in (
        select session_id, position_id, ts_opened from ledger_positions
        where at < before and last_at < before and not (is_open and retention_is_needed(session_id)) order by at limit most
    );
    get diagnostics deleted = row_count;
    total := total + deleted;
    delete from ledger_accounts where (session_id, seq) in (
        select session_id, seq from ledger_accounts
        where at < before and not (is_latest and retention_is_needed(session_id)) order by at limit most
    );
    get diagnostics deleted = row_count;
    total := total + deleted;
    if total > 0 then
        perform retention_note('ledgers', by, total);
    end if;
    return total;
end
$$;

-- Results of backtests that ended before $1; what the backtests were stays.
create function retention_prune_results(before timestamptz, most integer, by text) returns integer security definer language plpgsql as
$$
declare
    deleted integer;
begin
    delete from results where backtest_id in (
        select backtest_id from results join backtests using (backtest_id) where ended_at < before order by ended_at limit most
    );
    get diagnostics deleted = row_count;
    if deleted > 0 then
        perform retention_note('results', by, deleted);
    end if;
    return deleted;
end
$$;

-- Sessions that ended before $1, of which nothing else is on record, and that nobody goes on from. Those that traded live stay.
create function retention_prune_sessions(before timestamptz, most integer, by text) returns integer security definer language plpgsql as
$$
declare
    gone text[];
begin
    select array_agg(session_id) into gone from (
        select session_id from sessions
        where ended_at < before and not retention_is_needed(session_id)
            and not (trading_at is not null and spec::text ~ '^\{[^{]*"trading_mode":"live"')
            and not exists (select from events where events.session_id = sessions.session_id)
            and not exists (select from ledger_fills as kept where kept.session_id = sessions.session_id)
            and not exists (select from ledger_orders as kept where kept.session_id = sessions.session_id)
            and not exists (select from ledger_positions as kept where kept.session_id = sessions.session_id)
            and not exists (select from ledger_accounts as kept where kept.session_id = sessions.session_id)
        order by ended_at
        limit most
    ) as oldest;
    if gone is null then
        return 0;
    end if;
    delete from sessions where session_id = any (gone);
    delete from events_pruned where session_id = any (gone);
    perform retention_note('sessions', by, cardinality(gone));
    return cardinality(gone);
end
$$;

do $$
declare
    one regprocedure;
begin
    for one in
        select oid::regprocedure from pg_proc
        where pronamespace = current_schema()::regnamespace and proname like 'retention\_%'
    loop
        execute format('alter function %s set search_path = %I, pg_temp', one, current_schema());
        execute format('revoke all on function %s from public', one);
    end loop;
end
$$;
