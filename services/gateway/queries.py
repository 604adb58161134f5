"""What may stand in a query string and in a body, as far as the bus's own types do not say it."""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.config import EngineConfig
from schemas.ids import InstanceId, SessionId
from schemas.states import StopPolicy
from schemas.telemetry import EventKind

_LEVELS: Final = (
    r"\A(?:[Dd][Ee][Bb][Uu][Gg]|[Ii][Nn][Ff][Oo]|[Ww][Aa][Rr][Nn][Ii][Nn][Gg]|[Ee][Rr][Rr][Oo][Rr])\Z"
)

type StreamKind = Literal[
    "state", "order", "fill", "position", "account", "alert", "metrics", "heartbeat", "fleet"
]
STREAM_KINDS: Final[tuple[str, ...]] = get_args(StreamKind.__value__)
type Limit = Annotated[int, Meta(ge=1, le=1000)]


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


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`active` keeps engines whose session has not ended."""

    active: bool = False
    limit: Limit = 100


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions."""

    limit: Limit = 20


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine and which kinds, separated by commas; without them everything."""

    instance_id: InstanceId | None = None
    kinds: tuple[StreamKind, ...] = ()


class StartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The engine to start. Live trading needs its confirmation spelt out."""

    config: EngineConfig
    confirm_live_trading: bool = False


class StopBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`force` kills without waiting; `policy` overrides what the template does about orders and positions."""

    instance_id: InstanceId | None = None
    force: bool = False
    policy: StopPolicy | None = None


class RestartBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last configuration is used again; if it trades live, that is confirmed anew."""

    instance_id: InstanceId | None = None
    confirm_live_trading: bool = False
