"""What engines and hosts publish: lossy telemetry at 1 Hz, and durable events numbered per session.

Money, prices and quantities are decimal strings as NautilusTrader prints them; times that end in `_ns` are UNIX nanoseconds.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.ids import HostId, InstanceId, RequestId, SessionId
from flotilla.schemas.labels import Labels
from flotilla.schemas.loss_limits import LossesView
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.trading_hours import HoursView

T = TypeVar("T")


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a session uses, from its own counters. `cpu_fraction` 1.0 is one core; unknown figures are null."""

    cpu_fraction: float
    memory_bytes: int
    memory_limit_bytes: int
    pids: int
    network_rx_bytes: int | None = None
    network_tx_bytes: int | None = None
    block_read_bytes: int | None = None
    block_write_bytes: int | None = None


class EventKind(StrEnum):
    """The durable events of an engine; each is the last token of its subject."""

    STATE = "state"
    ORDER = "order"
    FILL = "fill"
    POSITION = "position"
    ACCOUNT = "account"
    ALERT = "alert"


class EngineEvent(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A durable event. `seq` counts from 1 without gaps over all kinds of one session; (session_id, seq) names the event."""

    instance_id: InstanceId
    session_id: SessionId
    generation: int
    seq: int
    at_ns: int
    kind: EventKind
    data: T


class StopReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a stop did, as the engine saw it. Times are milliseconds; null is a step that was not taken.

    `is_flat`: no order is open or in flight and no position is open, as far as the venue has confirmed; `orders_left` and
    `positions_left` count those that are, whether or not anything was asked of them.
    """

    policy: StopPolicy
    orders_cancelled: int = 0
    positions_closed: int = 0
    orders_left: int = 0
    positions_left: int = 0
    is_flat: bool = False
    cancel_ms: float | None = None
    close_ms: float | None = None
    stop_ms: float | None = None


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """The session entered `state`. A failure carries its reason, exit code (negative: the signal) and last log lines; one that stops because
    it failed has the reason already.

    `not_confirmed` lists what a stop could not confirm, such as `order O-1 still open`; `stop` is what it did, null when the
    engine did not live to tell. `brake` is the one that is on, or that the session put on itself; null where there is none.
    """

    state: RunState
    reason: FailureReason | None = None
    detail: str = ""
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    not_confirmed: tuple[str, ...] = ()
    stop: StopReport | None = None
    brake: EngineBrake | None = None


class OrderUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An order after one of NautilusTrader's order events (`event` is its name, for example OrderAccepted).

    OrderRestored is an order that came back open from where the engine's state is kept, at the session's start.

    `is_claim`: an end (OrderRejected, OrderCanceled, OrderExpired) that the venue has not borne out yet; NautilusTrader says so too where
    a request failed or was never answered. OrderLookedUp follows, with the status and filled quantity of the venue: as long as it does
    not, nobody knows.
    """

    event: str
    client_order_id: str
    instrument_id: str
    strategy_id: str
    status: str
    side: str
    order_type: str
    quantity: str
    filled_qty: str
    time_in_force: str
    ts_event: int
    venue_order_id: str | None = None
    price: str | None = None
    trigger_price: str | None = None
    avg_px: str | None = None
    reason: str | None = None
    is_reduce_only: bool = False
    is_claim: bool = False


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of an order. `is_restored`: it came back from where the engine's state is kept, at the session's start, and the
    session before may have told of it too; (trade_id, instrument_id) names an execution.
    """

    trade_id: str
    client_order_id: str
    instrument_id: str
    strategy_id: str
    side: str
    last_qty: str
    last_px: str
    currency: str
    commission: str
    liquidity_side: str
    ts_event: int
    venue_order_id: str | None = None
    position_id: str | None = None
    is_restored: bool = False


class PositionUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A position after it opened, changed or closed; or PositionRestored, when it came back open at the session's start."""

    event: str
    position_id: str
    instrument_id: str
    strategy_id: str
    side: str
    quantity: str
    signed_qty: str
    avg_px_open: str
    currency: str
    realized_pnl: str
    ts_event: int
    avg_px_close: str | None = None
    ts_opened: int = 0
    ts_closed: int = 0


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of an account."""

    currency: str
    total: str
    free: str
    locked: str


class AccountUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An account's balances after they changed."""

    account_id: str
    account_type: str
    balances: tuple[Balance, ...]
    ts_event: int
    base_currency: str | None = None


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know of: `code` is stable, `message` is for reading."""

    severity: Severity
    code: str
    message: str


class FleetAlert(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the fleet that a person should know of: `code` is stable, `message` is for reading."""

    at: datetime
    severity: Severity
    code: str
    message: str
    instance_id: InstanceId | None = None
    session_id: SessionId | None = None
    host: HostId | None = None
    container: str | None = None


class StoreProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing happened: the orchestrator tries whether the stream of events stores. `at` is when."""

    at: datetime


class LogLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the engine's stdout and stderr in order; `first` is the session-wide number of the first, from 1."""

    instance_id: InstanceId
    session_id: SessionId
    first: int
    at_ns: int
    lines: tuple[str, ...]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Once a second from the sidecar, whatever the engine does. `tick_age_s` is how long the engine's loop has been silent.

    `problems` says in words why an engine is impaired: a strategy that stopped, an instrument that is not loaded, a venue that
    is not connected, data that does not arrive. `notes` are facts that may be one and may not: data that is quiet where nobody
    knows whether the market is open. `event_age_s` is the time since its last durable event, `lease_s` what is left of the
    lease on its accounts (null: it holds none). `last_seq` is the number of the last event that the session made, told or not.
    `is_worker`: it runs backtests and trades nothing. `monotonic_s` is the time since its host's boot, for
    `RenewLease.as_of_s`. `brake` is the one that the sidecar knows of, `is_brake_taken` when its engine has taken it.
    `losses` and `trading_hours` are null where the engine has no such limits.
    `dead_man` is what it does when no orchestrator says that it hears it (`engine.<id>.command.attend`); null: nothing.
    """

    instance_id: InstanceId
    session_id: SessionId
    generation: int
    beat: int
    at_ns: int
    state: RunState
    is_frozen: bool = False
    tick_age_s: float | None = None
    loop_lag_ms: float | None = None
    engine_pid: int | None = None
    resources: Resources | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    event_age_s: float | None = None
    lease_s: float | None = None
    last_seq: int = 0
    events_published: int = 0
    events_queued: int = 0
    events_dropped: int = 0
    logs_dropped: int = 0
    telemetry_dropped: int = 0
    is_worker: bool = False
    monotonic_s: float | None = None
    brake: EngineBrake = RELEASED
    is_brake_taken: bool = True
    losses: LossesView | None = None
    trading_hours: HoursView | None = None
    dead_man: DeadMan | None = None


class QuietData(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription of which nothing has come for `age_s` seconds, counted from the subscription where none ever came.

    `what` names it: `bars of BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL`. `interval_s` is how far apart its data is (bars), 0 where
    that is not known. `is_market_open` comes from the venue's status, or is true where its template says that it never closes; null when there is
    neither: there is no calendar of market hours.
    """

    what: str
    age_s: float
    interval_s: float = 0.0
    is_market_open: bool | None = None


class FeedProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One data feed. `total` is known for a replay only; `age_s` is the time since its last event.

    `not_there` is what a replay was asked for and does not have. `quiet` are the subscriptions of a venue that are silent, the
    longest first, no more than 20; a replay's data comes when it comes, and is never called quiet.
    """

    venue: str
    events: int
    age_s: float | None = None
    last_ts_event: int | None = None
    total: int | None = None
    is_finished: bool = False
    is_connected: bool = True
    not_there: tuple[str, ...] = ()
    quiet: tuple[QuietData, ...] = ()


class MarkedEquity(msgspec.Struct, frozen=True, kw_only=True):
    """What the accounts are worth with everything open valued at the market; `amount` is null for what `unknown` says.

    `currency` is that of the engine's loss limits, else the one that its accounts are in, empty where they are in several.
    """

    currency: str
    amount: Decimal | None
    unknown: tuple[str, ...] = ()


class EngineMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Once a second from the engine: counts since its start, and money per currency.

    `not_connected` names the clients of venues, for data or execution, that have no connection; `not_loaded` the instruments
    that a strategy names and the engine does not know; `not_compared` the venues that do not say what they have of orders and
    positions. `reconnects` counts by execution client how often its private stream was connected anew.
    """

    instance_id: InstanceId
    session_id: SessionId
    at_ns: int
    orders_total: int = 0
    orders_open: int = 0
    fills_total: int = 0
    positions_total: int = 0
    positions_open: int = 0
    balances: dict[str, str] = {}
    realized_pnl: dict[str, str] = {}
    unrealized_pnl: dict[str, str] = {}
    net_positions: dict[str, str] = {}
    strategies: dict[str, str] = {}
    feeds: tuple[FeedProgress, ...] = ()
    not_connected: tuple[str, ...] = ()
    not_loaded: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    reconnects: dict[str, int] = {}
    queues: dict[str, int] = {}
    equity: MarkedEquity | None = None


class StopFlag(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop in force on a host: nothing it names starts there until it is lifted. `instance_id` null: all.

    `order_id` is the request id of the stop that set it, as far as it had one.
    """

    since: datetime
    instance_id: InstanceId | None = None
    reason: str = ""
    order_id: RequestId | None = None

    def names(self, instance_id: str, *, is_worker: bool = False) -> bool:
        """True when it is a stop of this engine."""
        return is_meant(self.instance_id, instance_id, is_worker=is_worker)


def is_meant(target: str | None, instance_id: str, *, is_worker: bool = False) -> bool:
    """True when a stop of `target` (null: of all) is one of this engine. Of all engines means no worker: it trades nothing."""
    return target == instance_id or (target is None and not is_worker)


class HostHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Every second from a supervisor: what its host is and how many sessions run there.

    `has_cache`: engines there can keep their state in Redis. `stop_flags` are the emergency stops in force, `labels` those of
    the supervisor's settings.
    """

    host: HostId
    runtime: str
    at_ns: int
    cpus: int
    memory_bytes: int
    sessions: int
    version: str
    is_runtime_up: bool = True
    has_cache: bool = False
    stop_flags: tuple[StopFlag, ...] = ()
    detail: dict[str, Any] = {}
    labels: Labels = {}
