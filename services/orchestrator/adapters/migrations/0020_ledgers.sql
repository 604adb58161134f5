-- Ledgers over all engines: what events say of orders, fills, positions and accounts, a row for each. Filled by the statement that
-- records the events. Figures are text as they were said. `at` and `seq` are of the first event about a row, `last_…` of the last.

-- `account` is what the session had leased at the venue; null where it had nothing leased: then the engine is its own account.
create table ledger_fills (
    session_id      text        not null,
    seq             bigint      not null,
    instance_id     text        not null,
    at              timestamptz not null,
    venue           text        not null,
    account         text,
    trade_id        text        not null,
    client_order_id text        not null,
    instrument_id   text        not null,
    strategy_id     text        not null,
    side            text        not null,
    last_qty        text        not null,
    last_px         text        not null,
    currency        text        not null,
    commission      text        not null,
    liquidity_side  text        not null,
    ts_event        bigint      not null,
    venue_order_id  text,
    position_id     text,
    is_restored     boolean     not null,
    primary key (session_id, seq)
);
create index ledger_fills_at on ledger_fills (at, session_id, seq);
create index ledger_fills_of_engine on ledger_fills (instance_id, at, session_id, seq);
create index ledger_fills_of_instrument on ledger_fills (instrument_id, at, session_id, seq);
create index ledger_fills_by_trade on ledger_fills (trade_id, instrument_id);

create table ledger_orders (
    session_id      text        not null,
    client_order_id text        not null,
    instance_id     text        not null,
    at              timestamptz not null,
    seq             bigint      not null,
    last_at         timestamptz not null,
    last_seq        bigint      not null,
    is_open         boolean     not null,
    is_continued    boolean     not null default false,
    venue           text        not null,
    instrument_id   text        not null,
    strategy_id     text        not null,
    event           text        not null,
    status          text        not null,
    side            text        not null,
    order_type      text        not null,
    quantity        text        not null,
    filled_qty      text        not null,
    time_in_force   text        not null,
    ts_event        bigint      not null,
    venue_order_id  text,
    price           text,
    trigger_price   text,
    avg_px          text,
    reason          text,
    is_reduce_only  boolean     not null,
    is_claim        boolean     not null,
    primary key (session_id, client_order_id)
) with (fillfactor = 80);
create index ledger_orders_at on ledger_orders (at, session_id, seq);
create index ledger_orders_of_engine on ledger_orders (instance_id, at, session_id, seq);
create index ledger_orders_of_instrument on ledger_orders (instrument_id, at, session_id, seq);
create index ledger_orders_open on ledger_orders (instance_id, client_order_id) where is_open;

create table ledger_positions (
    session_id    text        not null,
    position_id   text        not null,
    ts_opened     bigint      not null,
    instance_id   text        not null,
    at            timestamptz not null,
    seq           bigint      not null,
    last_at       timestamptz not null,
    last_seq      bigint      not null,
    is_open       boolean     not null,
    is_continued  boolean     not null default false,
    venue         text        not null,
    instrument_id text        not null,
    strategy_id   text        not null,
    event         text        not null,
    side          text        not null,
    quantity      text        not null,
    signed_qty    text        not null,
    avg_px_open   text        not null,
    avg_px_close  text,
    currency      text        not null,
    realized_pnl  text        not null,
    ts_event      bigint      not null,
    ts_closed     bigint      not null,
    primary key (session_id, position_id, ts_opened)
) with (fillfactor = 80);
create index ledger_positions_at on ledger_positions (at, session_id, seq);
create index ledger_positions_of_engine on ledger_positions (instance_id, at, session_id, seq);
create index ledger_positions_of_instrument on ledger_positions (instrument_id, at, session_id, seq);
create index ledger_positions_open on ledger_positions (instance_id, position_id) where is_open;

-- A row for each time that balances changed; `is_latest` is the last of its account in its session.
create table ledger_accounts (
    session_id    text        not null,
    seq           bigint      not null,
    instance_id   text        not null,
    at            timestamptz not null,
    account_id    text        not null,
    venue         text        not null,
    account_type  text        not null,
    base_currency text,
    balances      json        not null,
    ts_event      bigint      not null,
    is_latest     boolean     not null,
    primary key (session_id, seq)
) with (fillfactor = 90);
create index ledger_accounts_at on ledger_accounts (at, session_id, seq);
create index ledger_accounts_of_engine on ledger_accounts (instance_id, at, session_id, seq);
create index ledger_accounts_latest on ledger_accounts (session_id, account_id) where is_latest;

-- What an event says, as it can be read: `text` cannot hold \u0000.
create function ledger_data(json) returns json immutable strict language sql as
$$
    select case when json_typeof(said -> 'data') = 'object' then said -> 'data' else '{}' end
    from (select case when json_typeof($1) = 'object' then replace($1::text, '\u0000', '\ufffd')::json else '{}' end as said) as read
$$;

create function ledger_venue(text) returns text immutable strict language sql as $$ select substring($1 from '[^.]*$') $$;

create function ledger_take_fills(sessions text[], seqs bigint[]) returns void language sql as
$$
    insert into ledger_fills
    select
        session_id, seq, instance_id, at, venue, account, trade_id, client_order_id, instrument_id, strategy_id, side, last_qty, last_px,
        currency, commission, liquidity_side, ts_event, venue_order_id, position_id, is_restored
    from (
        select
            *,
            -- Told of as new and as restored within one batch, it is the one that was told of first.
            row_number() over (partition by book, instrument_id, trade_id order by is_restored, session_id, seq) as place
        from (
            select
                events.session_id, seq, events.instance_id, at, ledger_venue(said.instrument_id) as venue, leased.account,
                coalesce(ledger_venue(said.instrument_id) || '/' || leased.account, events.instance_id) as book,
                trade_id, client_order_id, said.instrument_id, strategy_id, side, last_qty, last_px,
                currency, commission, liquidity_side, ts_event, venue_order_id, position_id, coalesce(is_restored, false) as is_restored
            from events
            join unnest(sessions, seqs) as added (session_id, seq) using (session_id, seq)
            join sessions as own on own.session_id = events.session_id
            cross join lateral json_to_record(ledger_data(body)) as said (
                trade_id text, client_order_id text, instrument_id text, strategy_id text, side text, last_qty text, last_px text,
                currency text, commission text, liquidity_side text, ts_event bigint, venue_order_id text, position_id text,
                is_restored boolean
            )
            left join lateral (
                select held ->> 'account' as account
                from json_array_elements(
                    case when json_typeof(own.spec -> 'lease' -> 'accounts') = 'array' then own.spec -> 'lease' -> 'accounts' else '[]' end
                ) as held
                where held ->> 'venue' = ledger_venue(said.instrument_id)
                limit 1
            ) as leased on true
            where kind = 'fill' and trade_id is not null and said.instrument_id is not null
        ) as read
    ) as told
    where (place = 1 or not is_restored) and not exists (
        select from ledger_fills as known
        where known.trade_id = told.trade_id and known.instrument_id = told.instrument_id
            and coalesce(known.venue || '/' || known.account, known.instance_id) = told.book
            and (
                told.is_restored
                or known.is_restored and known.client_order_id = told.client_order_id and known.ts_event = told.ts_event
            )
    )
    on conflict do nothing
$$;

create function ledger_take_orders(sessions text[], seqs bigint[]) returns void language sql as
$$
    with told as (
        select events.session_id, seq, instance_id, at, said.*
        from events
        join unnest(sessions, seqs) as added (session_id, seq) using (session_id, seq)
        cross join lateral json_to_record(ledger_data(body)) as said (
            event text, client_order_id text, instrument_id text, strategy_id text, status text, side text, order_type text,
            quantity text, filled_qty text, time_in_force text, ts_event bigint, venue_order_id text, price text,
            trigger_price text, avg_px text, reason text, is_reduce_only boolean, is_claim boolean
        )
        where kind = 'order' and client_order_id is not null and instrument_id is not null
    ),
    bounds as (
        select distinct on (session_id, client_order_id) session_id, client_order_id, at as first_at, seq as first_seq, event as first_event
        from told
        order by session_id, client_order_id, seq
    ),
    -- An order that a session does not begin with its own first event was open in one before it, if that said so.
    continued as (
        update ledger_orders as before
        set is_continued = true, is_open = false
        from bounds, told
        where told.session_id = bounds.session_id and told.client_order_id = bounds.client_order_id and told.seq = bounds.first_seq
            and before.is_open and before.instance_id = told.instance_id and before.client_order_id = told.client_order_id
            and before.session_id < told.session_id
            and first_event not in ('OrderInitialized', 'OrderSubmitted', 'OrderDenied', 'OrderEmulated', 'OrderReleased')
        returning told.session_id, before.client_order_id, before.at
    )
    insert into ledger_orders as kept
    select distinct on (told.session_id, told.client_order_id)
        told.session_id, told.client_order_id, instance_id, coalesce(continued.at, first_at), first_seq, told.at, seq,
        status not in ('INITIALIZED', 'EMULATED', 'RELEASED', 'DENIED', 'REJECTED', 'CANCELED', 'EXPIRED', 'FILLED'), false,
        ledger_venue(instrument_id), instrument_id, strategy_id, event, status, side, order_type, quantity, filled_qty, time_in_force,
        ts_event, venue_order_id, price, trigger_price, avg_px, reason, coalesce(is_reduce_only, false), coalesce(is_claim, false)
    from told
    join bounds using (session_id, client_order_id)
    left join continued using (session_id, client_order_id)
    order by told.session_id, told.client_order_id, seq desc
    on conflict (session_id, client_order_id) do update set
        last_at = excluded.last_at, last_seq = excluded.last_seq, is_open = excluded.is_open and not kept.is_continued,
        event = excluded.event, status = excluded.status, quantity = excluded.quantity, filled_qty = excluded.filled_qty,
        ts_event = excluded.ts_event, venue_order_id = coalesce(excluded.venue_order_id, kept.venue_order_id),
        price = excluded.price, trigger_price = excluded.trigger_price, avg_px = coalesce(excluded.avg_px, kept.avg_px),
        reason = coalesce(excluded.reason, kept.reason), is_claim = excluded.is_claim
    where excluded.last_seq > kept.last_seq
$$;

create function ledger_take_positions(sessions text[], seqs bigint[]) returns void language sql as
$$
    with told as (
        select
            events.session_id, seq, instance_id, at, event, position_id, instrument_id, strategy_id, side, quantity, signed_qty,
            avg_px_open, avg_px_close, currency, realized_pnl, ts_event, coalesce(said.ts_opened, 0) as ts_opened,
            coalesce(said.ts_closed, 0) as ts_closed
        from events
        join unnest(sessions, seqs) as added (session_id, seq) using (session_id, seq)
        cross join lateral json_to_record(ledger_data(body)) as said (
            event text, position_id text, instrument_id text, strategy_id text, side text, quantity text, signed_qty text,
            avg_px_open text, avg_px_close text, currency text, realized_pnl text, ts_event bigint, ts_opened bigint, ts_closed bigint
        )
        where kind = 'position' and position_id is not null and instrument_id is not null
    ),
    bounds as (
        select distinct on (session_id, position_id, ts_opened)
            session_id, position_id, ts_opened, at as first_at, seq as first_seq, event as first_event
        from told
        order by session_id, position_id, ts_opened, seq
    ),
    continued as (
        update ledger_positions as before
        set is_continued = true, is_open = false
        from bounds, told
        where told.session_id = bounds.session_id and told.position_id = bounds.position_id and told.seq = bounds.first_seq
            and before.is_open and before.instance_id = told.instance_id and before.position_id = told.position_id
            and before.session_id < told.session_id and first_event <> 'PositionOpened'
        returning told.session_id, before.position_id, told.ts_opened, before.at
    )
    insert into ledger_positions as kept
    select distinct on (told.session_id, told.position_id, told.ts_opened)
        told.session_id, told.position_id, told.ts_opened, instance_id, coalesce(continued.at, first_at), first_seq, told.at, seq,
        side <> 'FLAT', false, ledger_venue(instrument_id), instrument_id, strategy_id, event, side, quantity, signed_qty,
        avg_px_open, avg_px_close, currency, realized_pnl, ts_event, ts_closed
    from told
    join bounds using (session_id, position_id, ts_opened)
    left join continued using (session_id, position_id, ts_opened)
    order by told.session_id, told.position_id, told.ts_opened, seq desc
    on conflict (session_id, position_id, ts_opened) do update set
        last_at = excluded.last_at, last_seq = excluded.last_seq, is_open = excluded.is_open and not kept.is_continued,
        event = excluded.event, side = excluded.side, quantity = excluded.quantity, signed_qty = excluded.signed_qty,
        avg_px_open = excluded.avg_px_open, avg_px_close = excluded.avg_px_close, realized_pnl = excluded.realized_pnl,
        ts_event = excluded.ts_event, ts_closed = excluded.ts_closed
    where excluded.last_seq > kept.last_seq
$$;

create function ledger_take_accounts(sessions text[], seqs bigint[]) returns void language sql as
$$
    with told as (
        select
            events.session_id, seq, instance_id, at, account_id, split_part(account_id, '-', 1) as venue, account_type, base_currency,
            coalesce(balances, '[]') as balances, ts_event,
            seq = max(seq) over (partition by events.session_id, account_id) as is_last
        from events
        join unnest(sessions, seqs) as added (session_id, seq) using (session_id, seq)
        cross join lateral json_to_record(ledger_data(body)) as said (
            account_id text, account_type text, base_currency text, balances json, ts_event bigint
        )
        where kind = 'account' and account_id is not null
    ),
    outdated as (
        update ledger_accounts as before set is_latest = false
        from told
        where before.is_latest and before.session_id = told.session_id and before.account_id = told.account_id
            and told.is_last and before.seq < told.seq
    )
    insert into ledger_accounts
    select
        session_id, seq, instance_id, at, account_id, venue, account_type, base_currency, balances, ts_event,
        is_last and not exists (
            select from ledger_accounts as known
            where known.is_latest and known.session_id = told.session_id and known.account_id = told.account_id and known.seq > told.seq
        )
    from told
    on conflict do nothing
$$;

create function ledger_take(kinds text[], sessions text[], seqs bigint[]) returns void language plpgsql as
$$
begin
    if 'order' = any (kinds) then perform ledger_take_orders(sessions, seqs); end if;
    if 'fill' = any (kinds) then perform ledger_take_fills(sessions, seqs); end if;
    if 'position' = any (kinds) then perform ledger_take_positions(sessions, seqs); end if;
    if 'account' = any (kinds) then perform ledger_take_accounts(sessions, seqs); end if;
end
$$;

-- Takes events into the ledgers. One that no ledger can hold keeps none from the record: it is in none, and the log says so.
create function ledger_take_each(kinds text[], sessions text[], seqs bigint[]) returns void language plpgsql as
$$
begin
    perform ledger_take(kinds, sessions, seqs);
exception when data_exception or integrity_constraint_violation then
    for place in 1 .. cardinality(seqs) loop
        begin
            perform ledger_take(kinds, array[sessions[place]], array[seqs[place]]);
        exception when data_exception or integrity_constraint_violation then
            raise warning 'event % of session % is in no ledger: %', seqs[place], sessions[place], sqlerrm;
        end;
    end loop;
end
$$;

create function ledger_added() returns trigger language plpgsql as
$$
declare
    one record;
begin
    -- A session after the one before it: what that left open goes on in it. Nearly always there is one of each engine.
    for one in
        with told as (
            select *, dense_rank() over (partition by instance_id order by session_id) as nth
            from added
            where kind in ('order', 'fill', 'position', 'account')
        )
        select
            array_agg(distinct kind) as kinds, array_agg(session_id order by session_id, seq) as sessions,
            array_agg(seq order by session_id, seq) as seqs
        from told
        group by nth
        order by nth
    loop
        perform ledger_take_each(one.kinds, one.sessions, one.seqs);
    end loop;
    return null;
end
$$;

-- What is on record already, in the order in which sessions began, ten thousand at a time.
do $$
declare
    one record;
    last bigint;
    sessions text[];
    seqs bigint[];
begin
    for one in select session_id from sessions order by session_id loop
        last := 0;
        loop
            select array_agg(session_id), array_agg(seq), max(seq) into sessions, seqs, last
            from (select session_id, seq from events where session_id = one.session_id and seq > last order by seq limit 10000) as next;
            exit when seqs is null;
            perform ledger_take_each(array['order', 'fill', 'position', 'account'], sessions, seqs);
        end loop;
    end loop;
end
$$;

create trigger ledgers after insert on events referencing new table as added for each statement execute function ledger_added();
