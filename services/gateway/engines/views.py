"""What the bus says, in the shapes of the REST contract."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from msgspec import UNSET

from flotilla.schemas.catalog import CatalogView, TemplateView, market_data
from flotilla.schemas.engine import EngineAccepted, EngineView, FleetStatus, SessionView
from flotilla.schemas.heartbeats import UNHEALTHY_AFTER_S
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.schemas.telemetry import Resources
from flotilla.services.gateway.engines import container_replies, replies, strategy_replies
from flotilla.services.gateway.engines.command_outcome import last_error
from flotilla.services.gateway.engines.unconfirmed import listed
from flotilla.services.gateway.live.rows import EngineRow, Mode

UNKNOWN: Final = "--"
"""What `docker stats` prints for a figure that it does not have."""
_NO_SHARE: Final = "0.00%"
"""What it prints for a share of a container that has not run yet: clients read shares as numbers. The number beside it is null."""
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_FIGURES: Final = 1_024
"""Engines whose figures are kept in mind as they are printed: they are others once a second, and asked for more often."""
_NUMBERS: Final = Resources.__struct_fields__


def binary_size(count: int) -> str:
    """Bytes as docker prints memory: `512MiB`, `1.953GiB` (four significant digits)."""
    return _size(count, 1024, _BINARY, 4)


def decimal_size(count: int) -> str:
    """Bytes as docker prints traffic: `1.23kB`, `45.6MB` (three significant digits)."""
    return _size(count, 1000, _DECIMAL, 3)


@lru_cache(maxsize=_FIGURES)
def resource_usage(resources: Resources | None) -> dict[str, Any]:
    """The contract's `resource_usage` of one engine, not to be changed. Of what is not known numbers are null, strings `--`, shares `0.00%`."""
    if resources is None:
        shares = dict.fromkeys(("cpu_percent", "memory_percent"), _NO_SHARE)
        sizes = dict.fromkeys(("memory_usage", "network_io", "block_io"), UNKNOWN)
        return {**shares, **sizes, **dict.fromkeys(_NUMBERS)}
    used, limit = resources.memory_bytes, resources.memory_limit_bytes
    return {
        "cpu_percent": f"{resources.cpu_fraction:.2%}",
        "memory_usage": f"{binary_size(used)} / {binary_size(limit)}",
        "memory_percent": f"{used / limit:.2%}" if limit else _NO_SHARE,
        "network_io": _traffic(resources.network_rx_bytes, resources.network_tx_bytes),
        "block_io": _traffic(resources.block_read_bytes, resources.block_write_bytes),
        **{name: getattr(resources, name) for name in _NUMBERS},
    }


def _traffic(received: int | None, sent: int | None) -> str:
    if received is None or sent is None:
        return UNKNOWN
    return f"{decimal_size(received)} / {decimal_size(sent)}"


def _size(count: int, base: int, units: tuple[str, ...], digits: int) -> str:
    size, unit = float(count), 0
    # What is printed must be below the base, not what is computed: 999.9 kB prints as 1MB, not as 1e+03kB.
    while float(f"{size:.{digits}g}") >= base and unit < len(units) - 1:
        size, unit = size / base, unit + 1
    return f"{size:.{digits}g}{units[unit]}"


UNKNOWN_STATE: Final = "unknown"
_OPEN_WORDS: Final = {
    ClientState.ERROR: "unhealthy",
    ClientState.STARTING: "starting",
    ClientState.STOPPING: "stopping",
}
NO_CONTAINERS: Final = "No active containers"

_NO_CONTAINERS: Final[Mapping[str, ContainerFacts]] = {}

_TRANSITIONS: Final = (ClientState.STARTING, ClientState.STOPPING)
_CONTAINED: Final = (
    RunState.BOOTING,
    RunState.CONNECTING,
    RunState.RECONCILING,
    RunState.TRADING,
    RunState.IMPAIRED,
    RunState.MISMATCH,
    RunState.SILENT,
    RunState.STOPPING,
)
"""The states of a session whose container is up."""
_WAITS: Final = (RunState.CONNECTING, RunState.RECONCILING)
"""The states whose detail is what is waited for."""
_UP: Final = (RunState.TRADING, RunState.IMPAIRED, RunState.MISMATCH)


def command_reply(accepted: EngineAccepted) -> replies.CommandReply:
    """The envelope of a command that was accepted."""
    return replies.CommandReply(message=accepted.message, state=accepted.state, data=command_data(accepted))


def command_data(
    accepted: EngineAccepted, session: SessionView | None = None, previous: SessionView | None = None
) -> replies.CommandData:
    """What a command was about, and how its sessions were seen last."""
    return replies.CommandData(
        instance_id=accepted.instance_id,
        session_id=accepted.session_id,
        container_name=accepted.container_name,
        started_at=accepted.started_at,
        config=accepted.config,
        request_id=accepted.request_id,
        session=session,
        previous_session=previous,
        is_taken=accepted.is_taken,
        brake=accepted.brake,
        orders_cancelled=accepted.orders_cancelled,
        positions_closed=accepted.positions_closed,
        not_confirmed=accepted.not_confirmed,
    )


def status_view(
    fleet: FleetStatus, now: datetime, facts: Mapping[str, ContainerFacts] = _NO_CONTAINERS
) -> replies.StatusView:
    """The contract's status, as of `now`: of the engine meant, with figures of all that are active; `facts` are of containers, by session."""
    engine, active = fleet.engine, fleet.active
    session = engine.session if engine else None
    health = _spread(engine, active, lambda one: health_check(one, now))
    if health is None or "status" not in health:
        overall = {"overall_status": overall_health(active), "last_check": now}
        health = {**overall, **(health or {})}
    return replies.StatusView(
        state=engine.state if engine else ClientState.STOPPED,
        config=engine.config if engine else None,
        started_at=session.started_at if session else None,
        last_error=last_error(session) if session else None,
        session_id=session.session_id if session else None,
        instance_id=engine.instance_id if engine else None,
        stop_flag=engine.stop_flag if engine else None,
        container_count=len(active),
        active_containers=_names(active),
        resource_usage=_spread(engine, active, lambda one: resource_usage(one.resources))
        or {"message": NO_CONTAINERS},
        container_info=_spread(engine, active, lambda one: container_info(one, facts)),
        health_check=health,
    )


def health_check(engine: EngineView, now: datetime) -> dict[str, Any]:
    """`status` is healthy, starting, stopping, unhealthy or, while data is quiet that may be due, unknown; the other keys say why.

    `last_check` is when this was judged: `now`.
    """
    return {
        "status": _health(engine),
        "last_check": now,
        "run_state": engine.session.state if engine.session else None,
        "heartbeat_age_s": engine.heartbeat_age_s,
        "is_frozen": engine.is_frozen,
        "problems": problems(engine),
        "notes": list(engine.notes),
        "event_age_s": engine.event_age_s,
    }


def problems(engine: EngineView) -> list[str]:
    """Why an engine is not well, in words: what it says itself, and what is seen from outside."""
    found = list(engine.problems)
    session, age = engine.session, engine.heartbeat_age_s
    if engine.is_frozen:
        found.append("its event loop does not turn")
    if _is_unheard(engine) and session is not None and session.state in _UP:
        found.append("no heartbeat" if age is None else f"no heartbeat for {age:.0f} s")
    error = last_error(session) if session else None
    # What an engine that is heard is impaired by, it says itself.
    if error is not None and not (
        engine.problems and session and session.state in (RunState.IMPAIRED, RunState.MISMATCH)
    ):
        found.append(error)
    if session is not None and session.state in _WAITS and session.detail:
        found.append(f"{session.state}: {session.detail}")
    return found


def overall_health(engines: Sequence[EngineView]) -> str:
    """The worst of them."""
    found = {_health(engine) for engine in engines}
    return next(
        (word for word in ("unhealthy", "unknown", "starting", "stopping", "healthy") if word in found),
        "no_containers",
    )


def container_info(engine: EngineView, facts: Mapping[str, ContainerFacts]) -> dict[str, Any]:
    """The session's container; `status` unknown and `running` null when no host reported it."""
    session = engine.session
    seen = facts.get(session.session_id) if session else None
    return {
        "status": seen.status if seen else "unknown",
        "running": seen.status == ContainerStatus.RUNNING if seen else None,
        "started_at": seen.started_at if seen else session.started_at if session else None,
        "image": seen.image if seen else None,
        "name": session.container_name if session else None,
    }


def health_view(
    active: Sequence[EngineView], latest: EngineView | None, now: datetime
) -> replies.HealthReply:
    """The contract's health: of the active engines, or of the one that ran last."""
    only = active[0] if len(active) == 1 else None
    shown = active or ([latest] if latest else [])
    ill = [f"{engine.instance_id}: {problem}" for engine in shown for problem in problems(engine)]
    return replies.HealthReply(
        message=listed(ill) or UNSET,
        status=_api_health(active, latest),
        timestamp=now,
        engine_state=_common_state(active) if active else latest.state if latest else ClientState.STOPPED,
        session_id=only.session.session_id if only and only.session else None,
        container_count=len(active),
        active_containers=_names(active),
        container_running=any(engine.session and engine.session.state in _CONTAINED for engine in active),
    )


def open_health(engines: Sequence[EngineRow], now: datetime, *, is_known: bool) -> replies.HealthReply:
    """The contract's health for anybody: states and counts, no names. An engine that has failed and is wanted to run counts too."""
    ours = [row for row in engines if row.mode is not Mode.WORKER]
    active = [row for row in ours if row.run_state in _CONTAINED]
    failed = [row for row in ours if row.state is ClientState.ERROR and row.desired is DesiredState.RUNNING]
    states = {row.state for row in (*active, *failed)}
    status = next((word for state, word in _OPEN_WORDS.items() if state in states), "healthy")
    common = ClientState.RUNNING if ClientState.RUNNING in states else next(iter(states), ClientState.STOPPED)
    return replies.HealthReply(
        status=status if is_known else UNKNOWN_STATE,
        timestamp=now,
        engine_state=common if is_known else UNKNOWN_STATE,
        container_count=len(active),
        container_running=bool(active),
    )


def container_view(facts: ContainerFacts) -> container_replies.ContainerView:
    """One row of the container list."""
    return container_replies.ContainerView(
        name=facts.name,
        status=facts.status,
        created=facts.created_at,
        image=facts.image,
        is_active=facts.status == ContainerStatus.RUNNING,
        session_id=facts.session_id,
        instance_id=facts.instance_id,
        host=facts.host,
        runtime=facts.runtime,
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        exit_code=facts.exit_code,
        is_oom_killed=facts.is_oom_killed,
        health=facts.health,
    )


def strategy_summary(template: TemplateView) -> strategy_replies.StrategySummary:
    """One row of the template list."""
    return strategy_replies.StrategySummary(
        name=template.name,
        file=template.file,
        strategy_class=template.strategy_class,
        description=template.description,
        risk_parameters=template.risk_parameters,
        parameters=template.parameters,
        is_checked=template.is_checked,
    )


def strategy_template(template: TemplateView) -> strategy_replies.StrategyTemplate:
    """One template."""
    return strategy_replies.StrategyTemplate(
        strategy_class=template.strategy_class,
        config=template.config,
        description=template.description,
        risk_parameters=template.risk_parameters,
        parameters=template.parameters,
    )


def catalog_summary(view: CatalogView) -> replies.CatalogSummary:
    """The catalog by instrument, venue and data type; the path on the server stays there."""
    ranges: dict[str, dict[str, replies.DataRange]] = {}
    for entry in view.entries:
        ranges.setdefault(entry.data_type, {})[entry.identifier] = replies.DataRange(
            start=entry.start, end=entry.end, files=entry.files, size_bytes=entry.size_bytes
        )
    instruments = sorted({entry.instrument_id for entry in market_data(view.entries)})
    return replies.CatalogSummary(
        instruments=tuple(instruments),
        venues=tuple(sorted({name.rpartition(".")[2] for name in instruments})),
        data_types=tuple(sorted(ranges)),
        ranges=ranges,
    )


def _spread(
    engine: EngineView | None,
    active: Sequence[EngineView],
    describe: Callable[[EngineView], dict[str, Any]],
) -> dict[str, Any] | None:
    if not active:
        return None
    if len(active) == 1 and engine is not None and engine.instance_id == active[0].instance_id:
        return describe(active[0])
    # Keyed also when the only active engine is not the one that was asked for: its figures must not pass for the other's.
    return {one.session.session_id: describe(one) for one in active if one.session}


def _health(engine: EngineView) -> str:
    if engine.state in _TRANSITIONS and not engine.is_frozen:
        return str(engine.state)
    is_trading = engine.session is not None and engine.session.state == RunState.TRADING
    if not is_trading or problems(engine):
        return "unhealthy"
    return "unknown" if engine.notes else "healthy"


def _is_unheard(engine: EngineView) -> bool:
    return engine.heartbeat_age_s is None or engine.heartbeat_age_s > UNHEALTHY_AFTER_S


def _api_health(active: Sequence[EngineView], latest: EngineView | None) -> str:
    if active:
        return overall_health(active)
    return "unhealthy" if latest and latest.state == ClientState.ERROR else "healthy"


def _common_state(active: Sequence[EngineView]) -> ClientState:
    states = {engine.state for engine in active}
    return ClientState.RUNNING if ClientState.RUNNING in states else active[0].state


def _names(engines: Iterable[EngineView]) -> tuple[str, ...]:
    return tuple(engine.session.container_name for engine in engines if engine.session)
