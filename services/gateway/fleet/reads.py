"""What can be read: one bus call each, shown in the shape of the contract."""

from datetime import UTC, datetime
from typing import Any, Final

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
    WhichEngine,
)
from flotilla.schemas.fault import Fault, FaultCode, FaultError, fault
from flotilla.schemas.host import ListHosts
from flotilla.schemas.labels import matches, read_labels
from flotilla.schemas.session import ContainerFacts, ListContainers
from flotilla.services.gateway.backtests.handlers import running_backtests
from flotilla.services.gateway.engines import replies, views
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import both, scope_of
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
_CONTAINERS_TIMEOUT_S: Final = 2.0


async def read_status(gateway: Gateway, ask: Ask[EngineQuery, None]) -> replies.StatusReply:
    """The engine meant; the truth in the body also when the orchestrator does not answer."""
    which = WhichEngine(instance_id=ask.query.instance_id)
    try:
        fleet = await gateway.bus.call(contract.ENGINE_STATUS, which)
    except FaultError as error:
        if error.fault.code not in _DEPENDENCY:
            raise
        return _unknown_status(error.fault, ask.query.instance_id)
    scope = scope_of(ask)
    active = tuple(engine for engine in fleet.active if matches(engine.config.labels, scope))
    fleet = msgspec.structs.replace(fleet, active=active)
    containers = await _containers(gateway) if fleet.active else ()
    status = views.status_view(fleet, containers)
    sees_backtests = ask.token is not None and ask.token.role.includes(Role.VIEWER) and not scope
    running, count = await running_backtests(gateway) if sees_backtests else ({}, None)
    told = msgspec.structs.replace(status, active_backtests=running, backtest_count=count)
    return replies.StatusReply(status=told)


async def read_health(gateway: Gateway, ask: Ask[NoQuery, None]) -> replies.HealthReply:
    """How the engines are; 200 with the truth in the body also when nobody answers. Who shows no credential is told no names."""
    now = datetime.now(UTC)
    if ask.token is None:
        return views.open_health(gateway.fleet.engines(), now, is_known=gateway.fleet.is_complete)
    scope = scope_of(ask)
    try:
        request = ListEngines(active=True, limit=1000, labels=scope)
        active = (await gateway.bus.call(contract.ENGINE_LIST, request)).engines
        latest = None
        if not active:
            request = ListEngines(limit=1, labels=scope)
            recent = (await gateway.bus.call(contract.ENGINE_LIST, request)).engines
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


async def list_engines(gateway: Gateway, ask: Ask[ListQuery, None]) -> replies.EnginesReply:
    """Engines, most recent first."""
    labels = both(scope_of(ask), read_labels(ask.query.label, "label"))
    if labels is None:
        return replies.EnginesReply(engines=(), total_count=0)
    request = ListEngines(active=ask.query.active, limit=ask.query.limit, labels=labels)
    found = await gateway.bus.call(contract.ENGINE_LIST, request)
    return replies.EnginesReply(engines=found.engines, total_count=found.total_count)


async def list_hosts(gateway: Gateway, ask: Ask[HostsQuery, None]) -> replies.HostsReply:
    """Hosts, by name."""
    request = ListHosts(labels=read_labels(ask.query.label, "label"))
    found = await gateway.bus.call(contract.HOST_LIST, request)
    return replies.HostsReply(hosts=found.hosts)


async def read_engine(gateway: Gateway, ask: Ask[NoQuery, None]) -> replies.EngineReply:
    """One engine. Raises FaultError `not_found`."""
    return replies.EngineReply(engine=await _engine(gateway, ask))


async def read_metrics(gateway: Gateway, ask: Ask[NoQuery, None]) -> replies.MetricsReply:
    """The figures of one engine. Raises FaultError `not_found`."""
    engine = await _engine(gateway, ask)
    return replies.MetricsReply(
        instance_id=engine.instance_id,
        session_id=engine.session.session_id if engine.session else None,
        heartbeat_age_s=engine.heartbeat_age_s,
        is_frozen=engine.is_frozen,
        metrics=engine.metrics,
        resources=engine.resources,
    )


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


async def _engine(gateway: Gateway, ask: Ask[Any, None]) -> EngineView:
    instance_id = ask.path["instance_id"]
    status = await gateway.bus.call(contract.ENGINE_STATUS, WhichEngine(instance_id=instance_id))
    if status.engine is None:
        raise fault(FaultCode.NOT_FOUND, f"no engine {instance_id} is known")
    return status.engine


async def _containers(gateway: Gateway) -> tuple[ContainerFacts, ...]:
    """What the hosts report. Without an answer a status still has its state, from the record."""
    try:
        answer = await gateway.bus.call(
            contract.CONTAINER_LIST, ListContainers(), timeout_s=_CONTAINERS_TIMEOUT_S
        )
    except FaultError as error:
        log.warning("containers not read for a status", error=str(error))
        return ()
    return answer.containers


def _unknown_status(problem: Fault, instance_id: str | None) -> replies.StatusReply:
    why = problem.message
    status = replies.StatusView(
        state=UNKNOWN,
        instance_id=instance_id,
        last_error=why,
        resource_usage={"message": why},
        health_check={"overall_status": UNKNOWN, "message": why},
    )
    return replies.StatusReply(success=False, status=status, message=why, detail=why, code=problem.code)
