"""Strategies of a running engine: added, started, stopped and removed while it trades. What is changed here ends with the session."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.ids import InstanceId, Name, RequestId, SessionId
from flotilla.schemas.package import PackageRef
from flotilla.schemas.states import StopPolicy

StrategyId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}-[A-Za-z0-9_.-]{1,60}\Z",
        description="A strategy as NautilusTrader names it: class and order id tag, such as EMACross-001.",
    ),
]


class StrategyView(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy in a running engine. `state` is NautilusTrader's: READY, RUNNING, STOPPED, DEGRADED, FAULTED, …"""

    strategy_id: str
    state: str
    strategy_class: str
    orders_open: int = 0
    positions_open: int = 0


class StrategyList(msgspec.Struct, frozen=True, kw_only=True):
    """The strategies of a running engine, after the change that was asked for.

    `not_confirmed` lists what could not be confirmed of orders and positions, as a stop of the engine does.
    """

    instance_id: InstanceId
    session_id: SessionId
    strategies: tuple[StrategyView, ...]
    message: str = ""
    strategy_id: str | None = None
    not_confirmed: tuple[str, ...] = ()


class AddStrategy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds a strategy to a running engine, and starts it unless told otherwise."""

    strategy: StrategyChoice
    instance_id: InstanceId | None = None
    start: bool = True
    request_id: RequestId | None = None


class WhichStrategy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a strategy of a running engine, to start, stop or remove it.

    `policy` says what becomes of its orders and positions when it stops or is removed: the engine's stop policy when null.
    """

    strategy_id: StrategyId
    instance_id: InstanceId | None = None
    policy: StopPolicy | None = None
    request_id: RequestId | None = None


class ListStrategies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the strategies of a running engine."""

    instance_id: InstanceId | None = None


SignalValue: TypeAlias = (
    Annotated[int, Meta(ge=-(2**53), le=2**53)]
    | Annotated[float, Meta(ge=-1e308, le=1e308)]
    | Annotated[str, Meta(max_length=4096)]
)


class SendSignal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sends a signal to a running engine whose configuration permits it (`signals`): NautilusTrader's, as `publish_signal` of an actor does."""

    name: Name
    value: SignalValue
    instance_id: InstanceId | None = None
    request_id: RequestId | None = None


class SignalInEngine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Tells a sidecar to hand a signal to its engine."""

    name: Name
    value: SignalValue
    session_id: SessionId | None = None
    request_id: RequestId | None = None


class AddToEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tells a sidecar to add a strategy: `strategy` is an importable config, rendered already, and comes from `package` if that is given."""

    strategy: dict[str, Any]
    start: bool = True
    session_id: SessionId | None = None
    request_id: RequestId | None = None
    package: PackageRef | None = None


class ChangeInEngine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Tells a sidecar to start, stop or remove a strategy."""

    strategy_id: StrategyId
    policy: StopPolicy | None = None
    session_id: SessionId | None = None
    request_id: RequestId | None = None


class LookIntoEngine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Asks a sidecar what its engine runs."""

    session_id: SessionId | None = None
