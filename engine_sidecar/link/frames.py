"""What the sidecar, its zygote and the engine process say to each other over a socketpair.

Frames are a 4-byte big-endian length and a msgpack body. The engine writes one frame at a time, so frames never mix.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.link.asking import Answer, Ask
from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.session import CacheAccess, EnginePlan
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind, StopReport
from flotilla.schemas.trading_hours import TradingHours

MAX_FRAME_BYTES: Final = 16 << 20
_LENGTH: Final = struct.Struct(">I")


class Tick(msgspec.Struct, frozen=True, tag=True):
    """Every 0.25 s from the engine's link thread, whatever its loop does. `loop_age_s`: since the loop last answered a ping.

    `loop_lag_s`: how long the loop took for its last answer.
    """

    loop_age_s: float
    loop_lag_s: float = 0.0


class Phase(msgspec.Struct, frozen=True, tag=True):
    """The engine entered a state: connecting, reconciling, mismatch, trading, stopping; or says more of it: booting, too.

    `reason`: that it stops because it failed, and of what.
    """

    state: RunState
    detail: str = ""
    reason: FailureReason | None = None


class GateShut(msgspec.Struct, frozen=True, tag=True):
    """The engine is ending: no order that opens or adds leaves it any more, and those that were let through before have left."""


class Happened(msgspec.Struct, frozen=True, tag=True):
    """An order, fill, position, account or alert event; `data` is the JSON of the matching struct of schemas.telemetry."""

    kind: EventKind
    data: bytes


class Measured(msgspec.Struct, frozen=True, tag=True):
    """Once a second: the JSON of an EngineMetrics."""

    data: bytes


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The engine's last word before it exits by itself. `reason` null means a clean stop; `stop` is null when nothing ever ran.

    `is_completed`: it ended because its data is through.
    """

    reason: FailureReason | None
    detail: str = ""
    not_confirmed: tuple[str, ...] = ()
    stop: StopReport | None = None
    is_completed: bool = False


class BrakeTaken(msgspec.Struct, frozen=True, tag=True):
    """The brake is on, and what was let through before has left; or it is lifted."""

    brake: EngineBrake


type FromEngine = Tick | Phase | GateShut | BrakeTaken | Happened | Measured | Answer | Ended


class Run(msgspec.Struct, frozen=True, tag=True):
    """First frame to the engine process: what to run. `stop_policy` is for stops that nobody ordered, such as a replay's end.

    `secrets` are the entries of the secret store that the plan names; `cache` is the engine's part of Redis, if it has one. `packages` are
    the archives that strategies come from, `wheels` is the folder of what these need. `brake` is on from the beginning.
    `equity_currency` is what the equity is marked in, that of the accounts where it is empty. Outside of `trading_hours` only orders that reduce pass.
    `lease_until_s` is when the lease on its accounts runs out, in seconds since boot; null where it holds none.
    """

    instance_id: str
    session_id: str
    plan: EnginePlan
    catalog_path: str
    log_level: str
    stop_timeout_s: float
    stop_policy: StopPolicy = StopPolicy.CANCEL
    cache: CacheAccess | None = None
    secrets: dict[str, dict[str, Any]] = {}
    packages: tuple[bytes, ...] = ()
    wheels: str = ""
    brake: EngineBrake = RELEASED
    equity_currency: str = ""
    trading_hours: TradingHours | None = None
    lease_until_s: float | None = None


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Stop trading by policy, then the node, then exit 0; all within `timeout_s`."""

    policy: StopPolicy
    timeout_s: float


class EndNow(msgspec.Struct, frozen=True, tag=True):
    """Cancel, close and end within `timeout_s`, whatever else is under way: a stop that is takes this policy and deadline."""

    timeout_s: float


class Reduce(msgspec.Struct, frozen=True, tag=True):
    """Let strategies cancel orders and reduce positions only, until `GoOn`."""


class GoOn(msgspec.Struct, frozen=True, tag=True):
    """Trade freely again, as far as the brake allows."""


class PutBrake(msgspec.Struct, frozen=True, tag=True):
    """Put this brake on, or lift it; what `Reduce` and `GoOn` say holds beside it, the narrower counts. Answered by `BrakeTaken`."""

    brake: EngineBrake


class CutLosses(msgspec.Struct, frozen=True, tag=True):
    """A loss limit was reached: close every position (`flatten`), or cancel the orders that could open or add (`cancel`)."""

    policy: StopPolicy
    timeout_s: float


class HoldLease(msgspec.Struct, frozen=True, tag=True):
    """The lease on its accounts lasts until then, in seconds since boot; beyond it every new order is looked at by the engine itself."""

    until_s: float


type ToEngine = Run | Stop | EndNow | Reduce | GoOn | PutBrake | HoldLease | CutLosses | Ask


class Fork(msgspec.Struct, frozen=True, tag=True):
    """To the zygote, with three file descriptors: the child's end of a link, and where its stdout and stderr go.

    `is_trial`: the child runs one backtest and not an engine. `tcp_ports`: the only ones that it may connect to, null being all.
    """

    is_trial: bool = False
    tcp_ports: tuple[int, ...] | None = ()


class ZygoteReady(msgspec.Struct, frozen=True, tag=True):
    """NautilusTrader is imported; forks are cheap from now on.

    `cannot_confine`: why what is forked could stop and kill its sidecar; empty where the kernel keeps it from that.
    """

    import_s: float
    cannot_confine: str = ""


class Forked(msgspec.Struct, frozen=True, tag=True):
    """The engine process runs as `pid`."""

    pid: int


class Exited(msgspec.Struct, frozen=True, tag=True):
    """The engine process ended: `exit_code` as os.waitstatus_to_exitcode gives it (negative: the signal)."""

    pid: int
    exit_code: int


type FromZygote = ZygoteReady | Forked | Exited


def frame(message: object) -> bytes:
    """The message as one frame."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames[T]:
    """Cuts a byte stream into messages; raises ValueError on a frame that is too long."""

    def __init__(self, messages: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(messages)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """The messages that `data` completes."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield self._decoder.decode(body)
