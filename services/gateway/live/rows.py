"""What the gateway's memory tells of each engine, host, service and backtest: flat rows, of which a change names only what is another.

Ages go out as times, so that a row does not change because a second has passed: who reads it counts on, from `at` of the message.
Money, prices and quantities are decimal strings per currency or instrument; currencies are never added.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from flotilla.schemas.alerting import AlertView
from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.engine import EngineView
from flotilla.schemas.health import Health
from flotilla.schemas.history import DayStart
from flotilla.schemas.labels import Labels
from flotilla.schemas.loss_limits import LossesView
from flotilla.schemas.states import ClientState, DesiredState, EngineType, FailureReason, RunState
from flotilla.schemas.telemetry import Balance, EngineMetrics, Heartbeat, HostHeartbeat, StopFlag
from flotilla.schemas.trading_hours import HoursView


class Topic(StrEnum):
    """The kinds of rows; each has a map of its own in a snapshot, by id."""

    ENGINES = "engines"
    ORDERS = "orders"
    POSITIONS = "positions"
    ACCOUNTS = "accounts"
    ALERTS = "alerts"
    HOSTS = "hosts"
    SERVICES = "services"
    BACKTESTS = "backtests"


class Mode(StrEnum):
    """What an engine trades with. Only `live` trades money; a `worker` runs backtests and trades nothing."""

    LIVE = "live"
    PAPER = "paper"
    SANDBOX = "sandbox"
    BACKTEST = "backtest"
    WORKER = "worker"


class EngineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One engine: as the fleet's record has it, with what was heard of its present session last.

    `heard_at` is when its last heartbeat came, `fed_at` when the venues' last data did (null: never, or no session is in sight); what
    follows them is as of `heard_at`. `equity` is null where it is not known, `equity_unknown` says why; `day_equity` is the first that was known of the UTC day, in the same
    currency. `orders_open` and what counts like
    it is null until the session tells. `problems` are in words, the gravest first.
    """

    instance_id: str
    mode: Mode
    state: ClientState
    desired: DesiredState
    generation: int = 0
    labels: Labels = {}
    template: str | None = None
    strategies: dict[str, str] = {}
    venues: tuple[str, ...] = ()
    run_state: RunState | None = None
    session_id: str | None = None
    host: str | None = None
    container_name: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    trading_at: datetime | None = None
    ended_at: datetime | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    exit_code: int | None = None
    not_confirmed: tuple[str, ...] = ()
    restarts: int = 0
    restart_at: datetime | None = None
    stop_flag: StopFlag | None = None
    brake: EngineBrake | None = None
    is_brake_taken: bool | None = None
    heard_at: datetime | None = None
    fed_at: datetime | None = None
    is_frozen: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lease_s: float | None = None
    events_queued: int | None = None
    cpu_fraction: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    orders_open: int | None = None
    orders_total: int | None = None
    fills_total: int | None = None
    positions_open: int | None = None
    equity: str | None = None
    equity_currency: str | None = None
    equity_unknown: tuple[str, ...] = ()
    day_equity: str | None = None
    day_equity_at: datetime | None = None
    balances: dict[str, str] = {}
    realized_pnl: dict[str, str] = {}
    unrealized_pnl: dict[str, str] = {}
    net_positions: dict[str, str] = {}
    losses: LossesView | None = None
    trading_hours: HoursView | None = None
    dead_man: DeadMan | None = None


class OfEngine(msgspec.Struct, frozen=True, kw_only=True):
    """What is open of an engine, as its session said last, at `at`."""

    instance_id: str
    session_id: str
    at: datetime


class OrderLine(OfEngine, frozen=True, kw_only=True):
    """An order that is open; see OrderUpdate for the fields."""

    venue: str
    client_order_id: str
    instrument_id: str
    strategy_id: str
    status: str
    side: str
    order_type: str
    quantity: str
    filled_qty: str
    time_in_force: str
    venue_order_id: str | None = None
    price: str | None = None
    trigger_price: str | None = None
    avg_px: str | None = None
    is_reduce_only: bool = False
    is_claim: bool = False


class PositionLine(OfEngine, frozen=True, kw_only=True):
    """A position that is open; see PositionUpdate for the fields."""

    venue: str
    position_id: str
    instrument_id: str
    strategy_id: str
    side: str
    quantity: str
    signed_qty: str
    avg_px_open: str
    currency: str
    realized_pnl: str


class AccountLine(OfEngine, frozen=True, kw_only=True):
    """The balances of an account."""

    account_id: str
    account_type: str
    balances: tuple[Balance, ...]
    base_currency: str | None = None


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """One host, as its supervisor said last, at `heard_at`."""

    host: str
    heard_at: datetime
    runtime: str
    is_runtime_up: bool
    cpus: int
    memory_bytes: int
    sessions: int
    version: str
    has_cache: bool
    labels: Labels = {}
    stop_flags: tuple[StopFlag, ...] = ()


class ServiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One service of the fleet, as it said last, at `heard_at`; `nats` is the gateway's own connection to the bus, which it sees itself.

    `checks` has one entry per thing that it depends on, "ok" or what is wrong; ready means that all are.
    """

    service: str
    is_ready: bool
    heard_at: datetime | None = None
    version: str | None = None
    started_at: datetime | None = None
    checks: dict[str, str] = {}
    metrics: dict[str, float] = {}


class BacktestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest; `progress` is 0 to 100, measured on simulated time. `total_return` is a share of the initial balance (0.1: ten per cent)."""

    backtest_id: str
    status: str
    created_at: datetime
    progress: float = 0.0
    study_id: str | None = None
    strategy: str | None = None
    instruments: tuple[str, ...] = ()
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    worker: str | None = None
    error: str | None = None
    total_return: float | None = None
    sharpe_ratio: float | None = None
    max_drawdown: float | None = None
    total_trades: int | None = None


type Row = EngineRow | OrderLine | PositionLine | AccountLine | AlertView | HostRow | ServiceRow | BacktestRow


class Heard(msgspec.Struct, kw_only=True):
    """What came of an engine last, and when it came here, the heartbeat also by a monotonic clock; None for what has not."""

    beat: Heartbeat | None = None
    beat_at: datetime | None = None
    beat_s: float | None = None
    metrics: EngineMetrics | None = None
    metrics_at: datetime | None = None


def engine_row(
    view: EngineView, heard: Heard, stop_flag: StopFlag | None, day: DayStart | None = None
) -> EngineRow:
    """The row of an engine. What was heard of another session than its present one, or of one that is over, says nothing of it."""
    session, config = view.session, view.config
    is_up = session is not None and not session.state.is_terminal
    session_id = session.session_id if session else None
    beat = heard.beat if is_up and heard.beat and heard.beat.session_id == session_id else None
    metrics = heard.metrics if is_up and heard.metrics and heard.metrics.session_id == session_id else None
    row = EngineRow(
        instance_id=view.instance_id,
        mode=mode_of(view),
        state=view.state,
        desired=view.desired,
        labels=config.labels,
        template=config.template,
        venues=tuple(venue.name for venue in config.venues),
        restarts=view.restarts,
        restart_at=view.restart_at,
        stop_flag=stop_flag,
        brake=view.brake if view.brake.is_on else None,
        losses=view.losses,
        problems=known_problems(view),
        **_of_session(view),
    )
    if beat is not None:
        row = msgspec.structs.replace(row, **_of_beat(beat, heard.beat_at, view))
    if metrics is not None:
        row = msgspec.structs.replace(row, **_of_metrics(metrics, heard.metrics_at))
    if day is not None and day.currency == row.equity_currency:
        row = msgspec.structs.replace(row, day_equity=str(day.amount), day_equity_at=day.at)
    return row


def mode_of(view: EngineView) -> Mode:
    """What an engine trades with: only the pair of live and live trades money."""
    if view.config.template == WORKER_TEMPLATE:
        return Mode.WORKER
    if view.config.trades_money:
        return Mode.LIVE
    return Mode.PAPER if view.config.engine_type == EngineType.LIVE else Mode(view.config.engine_type)


def host_row(beat: HostHeartbeat, at: datetime) -> HostRow:
    """The row of a host, heard at `at`."""
    return HostRow(
        host=beat.host,
        heard_at=at,
        runtime=beat.runtime,
        is_runtime_up=beat.is_runtime_up,
        cpus=beat.cpus,
        memory_bytes=beat.memory_bytes,
        sessions=beat.sessions,
        version=beat.version,
        has_cache=beat.has_cache,
        labels=beat.labels,
        stop_flags=beat.stop_flags,
    )


def service_row(said: Health, at: datetime) -> ServiceRow:
    """The row of a service, heard at `at`."""
    return ServiceRow(
        service=said.service,
        is_ready=said.is_ready,
        heard_at=at,
        version=said.version,
        started_at=said.started_at,
        checks=said.checks,
        metrics=said.metrics,
    )


def backtest_row(view: BacktestView) -> BacktestRow:
    """The row of a backtest."""
    figures = view.metrics
    return BacktestRow(
        backtest_id=view.backtest_id,
        status=view.status,
        created_at=view.created_at,
        progress=view.progress,
        study_id=view.study_id,
        strategy=view.config.strategy_class,
        instruments=tuple(view.config.instruments),
        started_at=view.started_at,
        completed_at=view.completed_at,
        cancelled_at=view.cancelled_at,
        worker=view.worker,
        error=view.error,
        total_return=figures.total_return if figures else None,
        sharpe_ratio=figures.sharpe_ratio if figures else None,
        max_drawdown=figures.max_drawdown if figures else None,
        total_trades=figures.total_trades if figures else None,
    )


def changed_fields(before: Row | None, after: Row) -> dict[str, Any]:
    """The fields of `after` that are not as they were; all of them for a row that is new."""
    names = after.__struct_fields__
    if before is None:
        return {name: getattr(after, name) for name in names}
    return {name: value for name in names if (value := getattr(after, name)) != getattr(before, name)}


def _of_session(view: EngineView) -> Mapping[str, Any]:
    session = view.session
    if session is None:
        return {}
    return {
        "generation": session.generation,
        "run_state": session.state,
        "session_id": session.session_id,
        "host": session.host,
        "container_name": session.container_name,
        "created_at": session.created_at,
        "started_at": session.started_at,
        "trading_at": session.trading_at,
        "ended_at": session.ended_at,
        "reason": session.reason,
        "detail": session.detail or None,
        "exit_code": session.exit_code,
        "not_confirmed": session.not_confirmed,
    }


def known_problems(view: EngineView) -> tuple[str, ...]:
    """What impairs the session as the record has it: its event may come before the heartbeat that says the same."""
    session = view.session
    impaired = (RunState.IMPAIRED, RunState.MISMATCH)
    return (session.detail,) if session and session.state in impaired and session.detail else ()


def _of_beat(beat: Heartbeat, at: datetime | None, view: EngineView) -> Mapping[str, Any]:
    resources = beat.resources
    return {
        "heard_at": at,
        "is_frozen": beat.is_frozen,
        "problems": beat.problems or known_problems(view),
        "notes": beat.notes,
        "lease_s": beat.lease_s,
        "events_queued": beat.events_queued,
        "is_brake_taken": beat.is_brake_taken and beat.brake.number == view.brake.number,
        "losses": beat.losses or view.losses,
        "trading_hours": beat.trading_hours,
        "dead_man": beat.dead_man,
        "cpu_fraction": resources.cpu_fraction if resources else None,
        "memory_bytes": resources.memory_bytes if resources else None,
        "memory_limit_bytes": resources.memory_limit_bytes if resources else None,
    }


def _of_metrics(metrics: EngineMetrics, at: datetime | None) -> Mapping[str, Any]:
    equity = metrics.equity
    return {
        "fed_at": _fed_at(metrics, at),
        "strategies": metrics.strategies,
        "orders_open": metrics.orders_open,
        "orders_total": metrics.orders_total,
        "fills_total": metrics.fills_total,
        "positions_open": metrics.positions_open,
        "equity": str(equity.amount) if equity and equity.amount is not None else None,
        "equity_currency": equity.currency if equity else None,
        "equity_unknown": equity.unknown if equity else (),
        "balances": metrics.balances,
        "realized_pnl": metrics.realized_pnl,
        "unrealized_pnl": metrics.unrealized_pnl,
        "net_positions": metrics.net_positions,
    }


def _fed_at(metrics: EngineMetrics, at: datetime | None) -> datetime | None:
    """When data came last, of any feed, to a tenth of a second: ages are measured at each metric, and would differ by microseconds."""
    ages = [feed.age_s for feed in metrics.feeds if feed.age_s is not None]
    if at is None or not ages:
        return None
    moment = at - timedelta(seconds=min(ages))
    return datetime.fromtimestamp(round(moment.timestamp(), 1), UTC)
