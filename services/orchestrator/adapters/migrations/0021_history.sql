-- What engines measure: 5 s apart for a day, minutes for a month, hours for ever. Partitions, so that what is too old is dropped at once.
-- Equity keeps the first, least, most and last of each step: a drawdown is in the coarsest one too.

create table history_seconds (
    instance_id     text        not null,
    at              timestamptz not null,
    session_id      text        not null,
    samples         integer     not null,
    equity_currency text,
    equity_first    numeric,
    equity_min      numeric,
    equity_max      numeric,
    equity_last     numeric,
    equity_unknown  json,
    realized_pnl    json        not null,
    unrealized_pnl  json        not null,
    net_positions   json        not null,
    orders_open     bigint      not null,
    positions_open  bigint      not null,
    fills_total     bigint      not null,
    memory_bytes    bigint,
    cpu_fraction    double precision,
    primary key (instance_id, at)
) partition by range (at);
create table history_minutes (like history_seconds, primary key (instance_id, at)) partition by range (at);
create table history_hours (like history_seconds, primary key (instance_id, at));

-- Up to where the finer steps were made into the coarser one.
create table history_rolled (
    step  text primary key,
    until timestamptz not null
);

-- What was heard and could not be kept.
create table history_lost (
    since timestamptz not null,
    until timestamptz not null,
    rows  bigint      not null
);
create index history_lost_until on history_lost (until);

-- A coarser step, and behind its end what is finer.
create view history_by_minutes as
select * from history_minutes where at < coalesce((select until from history_rolled where step = 'minutes'), '-infinity')
union all
select * from history_seconds where at >= coalesce((select until from history_rolled where step = 'minutes'), '-infinity');

create view history_by_hours as
select * from history_hours where at < coalesce((select until from history_rolled where step = 'hours'), '-infinity')
union all
select * from history_by_minutes where at >= coalesce((select until from history_rolled where step = 'hours'), '-infinity');

-- The partitions that a time needs.
create function history_prepare(moment timestamptz) returns void security definer language plpgsql as
$$
declare
    day timestamp := date_trunc('day', moment at time zone 'UTC');
    month timestamp := date_trunc('month', moment at time zone 'UTC');
begin
    execute format(
        'create table if not exists %I partition of history_seconds for values from (%L) to (%L)',
        'history_seconds_' || to_char(day, 'YYYYMMDD'), day at time zone 'UTC', (day + interval '1 day') at time zone 'UTC'
    );
    execute format(
        'create table if not exists %I partition of history_minutes for values from (%L) to (%L)',
        'history_minutes_' || to_char(month, 'YYYYMM'), month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'
    );
end
$$;

-- Drops the partitions that end before these times, but none that the coarser step was not made of. Returns their names.
create function history_drop(seconds timestamptz, minutes timestamptz) returns text[] security definer language plpgsql as
$$
declare
    one record;
    dropped text[] := '{}';
begin
    for one in
        select child.relname as name
        from pg_inherits
        join pg_class as child on child.oid = inhrelid
        join pg_class as parent on parent.oid = inhparent
        where case parent.oid
            when 'history_seconds'::regclass then
                to_timestamp(right(child.relname, 8), 'YYYYMMDD') + interval '1 day'
                    <= least(seconds, coalesce((select until from history_rolled where step = 'minutes'), '-infinity'))
            when 'history_minutes'::regclass then
                to_timestamp(right(child.relname, 6), 'YYYYMM') + interval '1 month'
                    <= least(minutes, coalesce((select until from history_rolled where step = 'hours'), '-infinity'))
            else false
        end
        order by child.relname
    loop
        execute format('drop table %I', one.name);
        dropped := dropped || one.name::text;
    end loop;
    return dropped;
end
$$;

-- They act as their owner, and make what they make in this schema; nobody waits long behind them.
do $$
declare
    one regprocedure;
begin
    foreach one in array array['history_prepare(timestamptz)', 'history_drop(timestamptz, timestamptz)']::regprocedure[]
    loop
        execute format('alter function %s set search_path = %I, pg_temp', one, current_schema());
        execute format('alter function %s set lock_timeout = ''2s''', one);
        execute format('alter function %s set timezone = ''UTC''', one);
        execute format('revoke all on function %s from public', one);
    end loop;
end
$$;
