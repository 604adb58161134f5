"""What can be read, in the shape of the contract: engines from memory while it is current, all else by one bus call each."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.catalog import ListCatalog
from flotilla.schemas.engine import (
    EngineView,
    ListEngines,
    ListSessions,
    ReadEvents,
    ReadLogs,
)
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.host import ListHosts
from flotilla.schemas.labels import matches, read_labels
from flotilla.services.gateway.backtests.handlers import running_backtests
from flotilla.services.gateway.engines import replies, views
from flotilla.services.gateway.live.aged import Aged, age_json
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.known_engines import Shown
from flotilla.services.gateway.live.scope import both, scope_of
from flotilla.services.gateway.web.answer import Encoded
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import (
    EngineLogQuery,
    EngineQuery,
    EventQuery,
    HostsQuery,
    ListQuery,
    LogQuery,
    NoQuery,
    SessionQuery,
)

log = get_logger(__name__)

UNKNOWN: Final = "unknown"
"""The state to tell when nobody can tell it."""
_DEPENDENCY: Final = (FaultCode.UNAVAILABLE, FaultCode.INTERNAL)
_METRICS: Final = "metrics"
_LISTS: Final = 8
"""Lists that are kept in mind, as they were asked for last: an engine that changes is another object, and makes another list."""


async def read_status(gateway: Gateway, ask: Ask[EngineQuery, None]) -> replies.StatusReply:
    """The engine meant; the truth in the body also when the orchestrator does not answer."""
    try:
        fleet = await gateway.reads.status(ask.query.instance_id)
    except FaultError as error:
        if error.fault.code not in _DEPENDENCY:
            raise
        return _unknown_status(error.fault, ask.query.instance_id)
    scope = scope_of(ask)
    active = tuple(engine for engine in fleet.active if matches(engine.config.labels, scope))
    fleet = msgspec.structs.replace(fleet, active=active)
    containers = await gateway.containers.read() if fleet.active else {}
    status = views.status_view(fleet, datetime.now(UTC), containers)
    sees_backtests = ask.token is not None and ask.token.role.includes(Role.VIEWER) and not scope
    running, count = await running_backtests(gateway) if sees_backtests else ({}, None)
    told = msgspec.structs.replace(
        status, active_backtests=running, backtest_count=count, active_backtest_count=count
    )
    return replies.StatusReply(status=told)


async def read_health(gateway: Gateway, ask: Ask[NoQuery, None]) -> replies.HealthReply:
    """How the engines are; 200 with the truth in the body also when nobody answers. Who shows no credential is told no names."""
    now = datetime.now(UTC)
    if ask.token is None:
        return views.open_health(gateway.fleet.engines(), now, is_known=gateway.fleet.is_complete)
    scope = scope_of(ask)
    try:
        request = ListEngines(active=True, limit=1000, labels=scope)
        active = await _list(gateway, request)
        latest = None
        if not active:
            recent = await _list(gateway, ListEngines(limit=1, labels=scope))
            latest = recent[0] if recent else None
    except FaultError as error:
        if error.fault.code not in _DEPENDENCY:
            raise
        return replies.HealthReply(
            status=UNKNOWN, timestamp=now, engine_state=UNKNOWN, message=error.fault.message
        )
    return views.health_view(active, latest, now)


async def read_active_logs(gateway: Gateway, ask: Ask[EngineLogQuery, None]) -> replies.LogsReply:
    """Lines of the engine meant."""
    return await _logs(gateway, ask.query, ask.query.instance_id)


async def read_logs(gateway: Gateway, ask: Ask[LogQuery, None]) -> replies.LogsReply:
    """Lines of one engine."""
    return await _logs(gateway, ask.query, ask.path["instance_id"])


async def read_catalog(gateway: Gateway, _: Ask[NoQuery, None]) -> replies.CatalogReply:
    """What data there is."""
    view = await gateway.bus.call(contract.CATALOG_LIST, ListCatalog())
    return replies.CatalogReply(catalog=views.catalog_summary(view))


async def list_engines(gateway: Gateway, ask: Ask[ListQuery, None]) -> Encoded[replies.EnginesReply]:
    """Engines, most recent first."""
    labels = both(scope_of(ask), read_labels(ask.query.label, "label"))
    if labels is None:
        return _engines((), 0)
    request = ListEngines(active=ask.query.active, limit=ask.query.limit, labels=labels)
    found = await gateway.reads.page(request)
    return _engines(found.engines, found.total_count)


async def list_hosts(gateway: Gateway, ask: Ask[HostsQuery, None]) -> replies.HostsReply:
    """Hosts, by name."""
    request = ListHosts(labels=read_labels(ask.query.label, "label"))
    found = await gateway.bus.call(contract.HOST_LIST, request)
    return replies.HostsReply(hosts=found.hosts)


async def read_engine(gateway: Gateway, ask: Ask[NoQuery, None]) -> replies.EngineReply:
    """One engine. Raises FaultError `not_found`."""
    engine = await gateway.reads.one(ask.path["instance_id"])
    return replies.EngineReply(engine=engine.at(time.monotonic()))


async def read_metrics(gateway: Gateway, ask: Ask[NoQuery, None]) -> Encoded[replies.MetricsReply]:
    """The figures of one engine. Raises FaultError `not_found`."""
    engine = await gateway.reads.one(ask.path["instance_id"])
    figures = engine.memo.get(_METRICS)
    if figures is None:
        figures = engine.memo[_METRICS] = Aged.of(_metrics(engine.view))
    return Encoded(figures.at(engine.age_s(time.monotonic())))


async def read_events(gateway: Gateway, ask: Ask[EventQuery, None]) -> replies.EventsReply:
    """Durable events of one session, from the record."""
    query = ask.query
    request = ReadEvents(
        instance_id=ask.path["instance_id"],
        session_id=query.session_id,
        after_seq=query.after_seq,
        kind=query.kind,
        limit=query.limit,
    )
    found = await gateway.bus.call(contract.ENGINE_EVENTS, request)
    return replies.EventsReply(
        session_id=found.session_id, events=found.events, missing=found.missing, pruned_to=found.pruned_to
    )


async def list_sessions(gateway: Gateway, ask: Ask[SessionQuery, None]) -> replies.SessionsReply:
    """The lives of one engine, newest first."""
    request = ListSessions(instance_id=ask.path["instance_id"], limit=ask.query.limit)
    return replies.SessionsReply(
        sessions=(await gateway.bus.call(contract.ENGINE_SESSIONS, request)).sessions
    )


async def _logs(gateway: Gateway, query: LogQuery, instance_id: str | None) -> replies.LogsReply:
    request = ReadLogs(instance_id=instance_id, lines=query.lines, level=query.level, since=query.since)
    found = await gateway.bus.call(contract.ENGINE_LOGS, request)
    return replies.LogsReply(instance_id=found.instance_id, logs=found.lines, total_lines=found.total_lines)


async def _list(gateway: Gateway, request: ListEngines) -> tuple[EngineView, ...]:
    found, now_s = await gateway.reads.page(request), time.monotonic()
    return tuple(engine.at(now_s) for engine in found.engines)


def _engines(engines: Sequence[Shown], total_count: int) -> Encoded[replies.EnginesReply]:
    """The reply, of the bytes that are there of each engine."""
    now_s = time.monotonic()
    ages = tuple([age_json(engine.age_s(now_s)) for engine in engines])
    return Encoded(_template(tuple(engines), total_count) % ages)


@lru_cache(maxsize=_LISTS)
def _template(engines: tuple[Shown, ...], total_count: int) -> bytes:
    """The reply, to be formatted with the ages of its engines."""
    every = (Aged.of(engine.view) for engine in engines)
    shown = b",".join(b"%b%%b%b" % (_literal(each.before), _literal(each.behind)) for each in every)
    return b'{"success":true,"engines":[%b],"total_count":%d}' % (shown, total_count)


def _literal(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _metrics(engine: EngineView) -> replies.MetricsReply:
    return replies.MetricsReply(
        instance_id=engine.instance_id,
        session_id=engine.session.session_id if engine.session else None,
        heartbeat_age_s=engine.heartbeat_age_s,
        is_frozen=engine.is_frozen,
        metrics=engine.metrics,
        resources=engine.resources,
    )


def _unknown_status(problem: Fault, instance_id: str | None) -> replies.StatusReply:
    why = problem.message
    status = replies.StatusView(
        state=UNKNOWN,
        instance_id=instance_id,
        last_error=why,
        resource_usage={"message": why},
        health_check={"overall_status": UNKNOWN, "last_check": datetime.now(UTC), "message": why},
    )
    return replies.StatusReply(success=False, status=status, message=why, detail=why, code=problem.code)
