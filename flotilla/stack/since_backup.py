"""What the bus knows of engines since a backup, put on a restored record before anything starts: which sessions there were, how high
generations got, what was wanted of engines. So nothing is started a second time, and no session's events are turned away.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.streams import Delivery, read_on
from flotilla.schemas.contract import FLEET_STATE, Durability
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.subjects import parse, wildcard
from flotilla.stack.servers.record_access import RecordAccess

_BATCH: Final = 1_000
_SUBJECTS: Final = wildcard(FLEET_STATE.subject)
_APPLY: Final = """
create temporary table seen (
    instance_id text, generation integer, session_id text, desired text, config json, brake json, brake_number bigint, is_removed boolean
);
insert into seen select * from json_populate_recordset(null::seen, {engines});
create temporary table seen_sessions (
    session_id text, instance_id text, generation integer, state text, host text, reason text, detail text, exit_code integer,
    created_at timestamptz, started_at timestamptz, trading_at timestamptz, ended_at timestamptz, config json
);
insert into seen_sessions select * from json_populate_recordset(null::seen_sessions, {sessions});

-- A token above that of every session since: whoever holds an account takes a higher one.
update account_leases set token = token + (select count(*) + 1 from seen_sessions);

-- What was the last session of an engine, and is not any more, has ended; so has what was said to. Its own account may come again.
update sessions set changed_at = now(), is_provisional = true, (state, reason, exit_code, detail, ended_at) = (
    select
        coalesce(max(last.state), 'failed'), max(last.reason), max(last.exit_code),
        coalesce(max(last.detail), 'it ended after the backup that the record was restored from'), coalesce(max(last.ended_at), now())
    from seen_sessions as last
    where last.session_id = sessions.session_id and last.state in ('completed', 'stopped', 'failed')
)
from seen
where sessions.instance_id = seen.instance_id and sessions.state not in ('completed', 'stopped', 'failed')
    and (sessions.generation < seen.generation or exists (
        select from seen_sessions as last
        where last.session_id = sessions.session_id and last.state in ('completed', 'stopped', 'failed')
    ));
update account_leases set free_at = now()
from sessions join seen using (instance_id)
where sessions.session_id = account_leases.session_id and free_at is null and sessions.state in ('completed', 'stopped', 'failed');

-- Those since, as what their engine ran before.
insert into sessions (
    session_id, instance_id, generation, state, spec, stop_policy, stop_timeout_s, host, reason, detail, exit_code, log_tail, state_seq,
    is_provisional, created_at, changed_at, started_at, trading_at, ended_at, needs_docker, needs_cache
)
select
    one.session_id, one.instance_id, one.generation,
    case
        when one.state in ('completed', 'stopped', 'failed') then one.state
        when one.generation = seen.generation then 'unknown'
        else 'failed'
    end,
    (replace(before.spec::text, '\\u0000', '')::jsonb || jsonb_build_object(
        'session_id', one.session_id, 'generation', one.generation, 'config', replace(one.config::text, '\\u0000', '')::jsonb
    ))::json,
    before.stop_policy, before.stop_timeout_s, one.host, one.reason, one.detail, one.exit_code, '{{}}', 0, one.state in ('completed', 'stopped', 'failed'), one.created_at, now(),
    one.started_at, one.trading_at, one.ended_at, before.needs_docker, before.needs_cache
from seen_sessions as one
join seen on seen.instance_id = one.instance_id
cross join lateral (
    select * from sessions where sessions.instance_id = one.instance_id order by generation desc limit 1
) as before
where not exists (select from sessions where sessions.session_id = one.session_id)
    and not exists (select from sessions where sessions.instance_id = one.instance_id and sessions.generation = one.generation);

-- What present sessions may trade by what their engine ran last, they hold; of two the one that began later.
insert into account_leases (venue, account, token, instance_id, session_id, ttl_s, taken_at)
select distinct on (one ->> 'venue', one ->> 'account')
    one ->> 'venue', one ->> 'account', coalesce((spec #>> '{{lease,token}}')::bigint, 1) + (select count(*) + 1 from seen_sessions),
    sessions.instance_id, sessions.session_id, coalesce((spec #>> '{{lease,ttl_s}}')::double precision, 120), sessions.created_at
from seen join sessions on sessions.session_id = seen.session_id
cross join lateral json_array_elements(spec #> '{{lease,accounts}}') as one
where sessions.state not in ('completed', 'stopped', 'failed') and json_typeof(spec #> '{{lease,accounts}}') = 'array'
order by one ->> 'venue', one ->> 'account', sessions.created_at desc
on conflict (venue, account) do update set
    token = greatest(account_leases.token, excluded.token), instance_id = excluded.instance_id, session_id = excluded.session_id,
    ttl_s = excluded.ttl_s, taken_at = excluded.taken_at, free_at = null;

update engines set
    generation = greatest(engines.generation, seen.generation),
    desired = coalesce(seen.desired, engines.desired),
    config = coalesce(seen.config, engines.config),
    brake = case
        when seen.brake_number > coalesce((engines.brake ->> 'number')::bigint, 0) then seen.brake else engines.brake
    end,
    removed_at = case when seen.is_removed then coalesce(engines.removed_at, now()) when seen.desired is not null then null else engines.removed_at end,
    session_id = coalesce((select session_id from sessions where sessions.session_id = seen.session_id), engines.session_id),
    pending = case when seen.generation > engines.generation then null else engines.pending end,
    restart_at = null
from seen where seen.instance_id = engines.instance_id;

select 'off', seen.instance_id, seen.generation, coalesce(seen.session_id, '') from seen
where not exists (select from engines where engines.instance_id = seen.instance_id)
union all
select 'taken', seen_sessions.instance_id, seen_sessions.generation, seen_sessions.session_id
from seen_sessions join sessions using (session_id) where sessions.changed_at = now() and seen_sessions.generation = sessions.generation
union all
select 'lost', seen_sessions.instance_id, seen_sessions.generation, seen_sessions.session_id
from seen_sessions join engines using (instance_id)
where not exists (select from sessions where sessions.session_id = seen_sessions.session_id)
order by 1, 2, 3;
"""


class SessionSince(msgspec.Struct, frozen=True, kw_only=True):
    """A session that began after the backup, or an engine: then `session_id` is that of its last one."""

    instance_id: str
    generation: int
    session_id: str


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """`taken`: sessions that began or changed since and are on record. `off`: engines that are not, because the backup knows nothing of
    them; `lost`: sessions of known engines of which too little is known.
    """

    taken: tuple[SessionSince, ...] = ()
    off: tuple[SessionSince, ...] = ()
    lost: tuple[SessionSince, ...] = ()


class _Seen:
    """What was said of one engine."""

    def __init__(self) -> None:
        self.generation = 0
        self.session_id = ""
        self.view: EngineView | None = None
        self.sessions: dict[str, tuple[SessionView, bytes]] = {}

    def ran(self, session_id: str, generation: int) -> None:
        """A session of it had this generation."""
        if generation > self.generation:
            self.generation, self.session_id = generation, session_id


async def seen_since(bus: Bus, after: int, at: datetime) -> dict[str, Any]:
    """What EVENTS keeps after a number; what was wanted of engines is of the time from `at` on. Raises FaultError."""
    engines: dict[str, _Seen] = {}
    while batch := await read_on(bus, Durability.EVENTS, after, subjects=_SUBJECTS, limit=_BATCH):
        after = batch[-1].seq
        for delivery in batch:
            _take(engines, delivery, at)
    return {
        "engines": [_engine(name, seen) for name, seen in engines.items()],
        "sessions": [
            _session(view, config) for seen in engines.values() for view, config in seen.sessions.values()
        ],
    }


def put_on_record(record: RecordAccess, database: str, seen: dict[str, Any]) -> Since:
    """Has a restored record know of it. Raises StackError, and then nothing is changed."""
    script = _APPLY.format(engines=_literal(seen["engines"]), sessions=_literal(seen["sessions"]))
    found: dict[str, list[SessionSince]] = {"taken": [], "off": [], "lost": []}
    for sort, instance_id, generation, session_id in record.run(database, script):
        found[sort].append(
            SessionSince(instance_id=instance_id, generation=int(generation), session_id=session_id)
        )
    return Since(**{sort: tuple(sessions) for sort, sessions in found.items()})


def _take(engines: dict[str, _Seen], delivery: Delivery, at: datetime) -> None:
    """What the orchestrator said: engines themselves may claim any generation and any session."""
    try:
        if ids := parse(FLEET_STATE.subject, delivery.subject):
            view = msgspec.json.decode(delivery.data, type=EngineView)
            seen = engines.setdefault(ids["instance_id"], _Seen())
            if view.session is not None:
                seen.ran(view.session.session_id, view.session.generation)
            if delivery.at >= at:
                seen.view = view
                if view.session is not None:
                    config = msgspec.json.encode(view.config)
                    seen.sessions[view.session.session_id] = (view.session, config)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # what nobody can read, the orchestrator passes over too


def _engine(name: str, seen: _Seen) -> dict[str, Any]:
    view = seen.view
    about: dict[str, Any] = {
        "instance_id": name,
        "generation": seen.generation,
        "session_id": seen.session_id or None,
    }
    if view is None:
        return about
    return {
        **about,
        "desired": view.desired,
        "config": view.config,
        "brake": view.brake,
        "brake_number": view.brake.number,
        "is_removed": view.is_removed,
    }


def _session(view: SessionView, config: bytes) -> dict[str, Any]:
    names = ("session_id", "instance_id", "generation", "state", "host", "reason", "detail", "exit_code")
    times = ("created_at", "started_at", "trading_at", "ended_at")
    return {**{name: getattr(view, name) for name in (*names, *times)}, "config": msgspec.Raw(config)}


def _literal(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a literal of SQL."""
    text = msgspec.json.encode(rows).decode().replace("\\u0000", "")
    return "'" + text.replace("'", "''") + "'"
