"""What may stand in a path, a query string and a body, as far as the bus's own types do not say it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from flotilla.schemas.alerting import AlertId, RuleCode
from flotilla.schemas.brakes import AfterFlatten, Shown
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.data import ImportId
from flotilla.schemas.engine import ExpectedDigests
from flotilla.schemas.ids import BacktestId, InstanceId, Name, PackageVersion, SessionId, StudyId
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.strategy import SignalValue, StrategyId
from flotilla.schemas.telemetry import EventKind

_LEVELS: Final = (
    r"\A(?:[Dd][Ee][Bb][Uu][Gg]|[Ii][Nn][Ff][Oo]|[Ww][Aa][Rr][Nn][Ii][Nn][Gg]|[Ee][Rr][Rr][Oo][Rr])\Z"
)

type StreamKind = Literal[
    "state",
    "order",
    "fill",
    "position",
    "account",
    "alert",
    "metrics",
    "heartbeat",
    "fleet",
    "fleet_alert",
    "backtest",
    "backtest_progress",
]
STREAM_KINDS: Final[tuple[str, ...]] = get_args(StreamKind.__value__)
type FleetTopic = Literal[
    "engines", "orders", "positions", "accounts", "alerts", "hosts", "services", "backtests"
]
type TemplateKind = Literal["engine", "strategy"]
type PartName = Literal[
    "trades",
    "orders",
    "fills",
    "equity_curve",
    "open_positions",
    "prices",
    "exposure",
    "statistics",
    "balances",
    "fees",
    "manifest",
]
PATH_TYPES: Final[Mapping[str, Any]] = {
    "instance_id": InstanceId,
    "name": Name,
    "strategy_id": StrategyId,
    "kind": TemplateKind,
    "backtest_id": BacktestId,
    "study_id": StudyId,
    "part": PartName,
    "import_id": ImportId,
    "version": PackageVersion,
    "alert_id": AlertId,
    "rule": RuleCode,
}
"""What may stand in a path, by the name of its placeholder."""
type Limit = Annotated[int, Meta(ge=1, le=1000)]
type LabelFilter = Annotated[
    tuple[str, ...],
    Meta(description="Only what carries all of these labels: `key=value`, separated by commas."),
]
"""What it is checked by is schemas.labels.read_labels, which says what is wrong with a label."""


class NoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """No parameters."""


class EngineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine: without an id the one that is active."""

    instance_id: InstanceId | None = None


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`wait` answers only when the engine trades or has ended, or after `timeout` seconds with the state reached by then."""

    wait: Annotated[bool, Meta(description="Answer when it trades or has ended.")] = False
    timeout: Annotated[float, Meta(gt=0, le=300, description="Seconds to wait at most.")] = 60.0


class EngineWaitQuery(WaitQuery, frozen=True, kw_only=True):
    """Which engine, and whether to wait for it."""

    instance_id: InstanceId | None = None


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the last lines, from which level up, and since when."""

    lines: Limit = 100
    level: Annotated[str, Meta(pattern=_LEVELS, description="debug, info, warning or error.")] | None = None
    since: Annotated[datetime, Meta(tz=True, description="RFC 3339, with its time zone.")] | None = None


class EngineLogQuery(LogQuery, frozen=True, kw_only=True):
    """Which engine, and which of its lines."""

    instance_id: InstanceId | None = None


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which session (without an id the present one), after which number, and of which kind."""

    session_id: SessionId | None = None
    after_seq: Annotated[int, Meta(ge=0)] = 0
    kind: EventKind | None = None
    limit: Limit = 100


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of one engine, backtest or study, or of all; `before` is the `next` of the page before."""

    about: Annotated[str, Meta(max_length=100)] | None = None
    before: Annotated[int, Meta(ge=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`active` keeps engines whose session has not ended, `label` those that carry all of its labels."""

    active: bool = False
    limit: Limit = 100
    label: LabelFilter = ()


class HostsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`label` keeps the hosts that carry all of its labels."""

    label: LabelFilter = ()


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions."""

    limit: Limit = 20


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which kinds, separated by commas, and about what: an engine, a backtest, or a study; without them everything.

    `after` is the id of the last event that the reader took: it is sent what came since. A `Last-Event-ID` header says the same.
    """

    instance_id: InstanceId | None = None
    backtest_id: BacktestId | None = None
    study_id: StudyId | None = None
    kinds: tuple[StreamKind, ...] = ()
    after: Annotated[str, Meta(max_length=100)] | None = None


class FleetQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which topics, separated by commas; all that the token sees without any."""

    topics: tuple[FleetTopic, ...] = ()


class FleetStreamQuery(FleetQuery, frozen=True, kw_only=True):
    """The topics, and where the reader left off: `after` is the id of the last message that it took, `<boot>-<number>`."""

    after: Annotated[str, Meta(max_length=100)] | None = None


class CleanupQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`force` stops and removes the containers of active engines too; `dry_run` says what would go and touches nothing."""

    force: bool = False
    dry_run: bool = False


class PolicyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a strategy's orders and positions; the engine's stop policy when left out."""

    policy: StopPolicy | None = None


class StartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The engine to start. Live trading needs its confirmation spelt out.

    `expected_digests` are the packages that it is to run, by name: a start that would run other content is refused (409).
    """

    config: EngineConfig
    confirm_live_trading: bool = False
    expected_digests: ExpectedDigests | None = None


class StoredStartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The engine in the path; without `config` it is started with the configuration that is stored for it."""

    config: EngineConfig | None = None
    confirm_live_trading: bool = False
    expected_digests: ExpectedDigests | None = None


class ConfigBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration to store."""

    config: EngineConfig


class EmergencyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `instance_id` every engine is meant. What is not flat and gone after `deadline_s` seconds is killed."""

    instance_id: InstanceId | None = None
    deadline_s: Annotated[float, Meta(ge=1, le=120)] = 20.0
    reason: Annotated[str, Meta(max_length=200)] = ""


class StrategyAddBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The strategy to add, and whether to start it too."""

    strategy: StrategyChoice
    instance_id: InstanceId | None = None
    start: bool = True


class SignalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signal's name, which the engine's configuration has among its `signals`, and its value."""

    name: Name
    value: SignalValue
    instance_id: InstanceId | None = None


class StrategyStartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing but the engine, which the path names already."""

    instance_id: InstanceId | None = None


class StrategyStopBody(StrategyStartBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`policy` says what becomes of its orders and positions; the engine's stop policy when left out."""

    policy: StopPolicy | None = None


class StopBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`force` kills without waiting; `policy` overrides what the template does about orders and positions."""

    instance_id: InstanceId | None = None
    force: bool = False
    policy: StopPolicy | None = None


class BrakeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing but the engine, which the path names already."""

    instance_id: InstanceId | None = None


class AcceptBody(BrakeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`shown` is what the caller saw differ, as `problems` has it: if something else differs by now, nothing is accepted."""

    shown: Shown | None = None


class FlattenBody(BrakeBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`then` says whether strategies are halted once positions are closed, or go on as before."""

    then: AfterFlatten = AfterFlatten.HALT


class RestartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last configuration is used again; if it trades live, that is confirmed anew. `expected_digests`: see the start."""

    instance_id: InstanceId | None = None
    confirm_live_trading: bool = False
    expected_digests: ExpectedDigests | None = None
