"""The bodies of our answers, field for field as the REST contract has them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.host import HostView
from flotilla.schemas.telemetry import EngineMetrics, Resources, StopFlag
from flotilla.services.gateway.backtests.replies import ActiveBacktest

type PerSession = Annotated[
    dict[str, Any],
    Meta(description="Flat with exactly one active engine; with several, one object per session id."),
]


class CommandData(msgspec.Struct, frozen=True, kw_only=True):
    """What a command was about.

    `session` is there for whoever waited: with what a stop did (`stop`) and what it could not confirm (`not_confirmed`).
    `previous_session` is the one that a restart ended, if it was seen. `is_taken` is there for a stop: true when no order that opens
    or adds leaves the engine any more, false when that was not known within two seconds; the stop goes on. It is there for brakes too,
    with the `brake` that is on; `orders_cancelled` and `positions_closed` count what the engine's events confirmed (null: it did not
    answer, or was not asked for that), `not_confirmed` lists what is not known to be done.
    """

    instance_id: str
    session_id: str | None
    container_name: str | None
    started_at: datetime | None
    config: EngineConfig | None
    request_id: str
    session: SessionView | None = None
    previous_session: SessionView | None = None
    is_taken: bool | None = None
    brake: EngineBrake | None = None
    orders_cancelled: int | None = None
    positions_closed: int | None = None
    not_confirmed: tuple[str, ...] = ()


class CommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope. `state` is the engine's, one of stopped, starting, running, stopping, error; or config_updated."""

    success: bool = True
    message: str
    state: str
    data: CommandData


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """The engine meant. `state` is one of stopped, starting, running, stopping, error, or unknown when nobody can tell.

    `active_backtests` are those that run and belong to no study, by id; `backtest_count`, and
    `active_backtest_count` with it, says how many, null when nobody can tell.
    """

    state: str
    config: EngineConfig | None = None
    started_at: datetime | None = None
    last_error: str | None = None
    session_id: str | None = None
    instance_id: str | None = None
    container_count: int = 0
    active_containers: tuple[str, ...] = ()
    stop_flag: StopFlag | None = None
    resource_usage: PerSession = {}
    container_info: PerSession | None = None
    active_backtests: dict[str, ActiveBacktest] = {}
    backtest_count: int | None = None
    active_backtest_count: int | None = None
    health_check: PerSession = {}


class StatusReply(msgspec.Struct, frozen=True, kw_only=True):
    """`success` is false, with the reason in `message`, when the state could not be found out."""

    success: bool = True
    status: StatusView
    message: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    code: str | UnsetType = UNSET


class HealthReply(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is healthy, starting, unhealthy, or unknown when the orchestrator does not answer."""

    service: str = "nautilus-engine-api"
    status: str
    timestamp: datetime
    engine_state: str
    session_id: str | None = None
    container_count: int = 0
    active_containers: tuple[str, ...] = ()
    container_running: bool = False
    message: str | UnsetType = UNSET


class LogsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the engine's own output, oldest first; `total_lines` counts those kept that match."""

    success: bool = True
    instance_id: str | None
    logs: tuple[str, ...]
    total_lines: int


class DataRange(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when there is data, and how much."""

    start: datetime
    end: datetime
    files: int
    size_bytes: int


class CatalogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`ranges` is keyed by data type (a DataKind, such as bars), then by bar type or instrument."""

    instruments: tuple[str, ...]
    venues: tuple[str, ...]
    data_types: tuple[str, ...]
    ranges: dict[str, dict[str, DataRange]]


class CatalogReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the data catalog holds."""

    success: bool = True
    catalog: CatalogSummary


class EnginesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Engines, most recent first; `total_count` counts all that were asked for, whatever the limit."""

    success: bool = True
    engines: tuple[EngineView, ...]
    total_count: int


class HostsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts by name: those that the orchestrator has heard since it started."""

    success: bool = True
    hosts: tuple[HostView, ...]


class EngineReply(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one engine."""

    success: bool = True
    engine: EngineView


class EventsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Durable events of one session as they were published, oldest first. `missing` lists gaps in their sequence."""

    success: bool = True
    session_id: str | None
    events: tuple[msgspec.Raw, ...]
    missing: tuple[tuple[int, int], ...]
    pruned_to: int = 0


class MetricsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's latest figures; null while no session is in sight."""

    success: bool = True
    instance_id: str
    session_id: str | None
    heartbeat_age_s: float | None
    is_frozen: bool
    metrics: EngineMetrics | None
    resources: Resources | None


class SessionsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The lives of one engine, newest first."""

    success: bool = True
    sessions: tuple[SessionView, ...]


class ProbeReply(msgspec.Struct, frozen=True, kw_only=True):
    """For load balancers: `checks` says ok or failing per dependency and no more, because anybody may ask."""

    status: str
    checks: dict[str, str] = {}
