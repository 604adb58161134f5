"""What a sidecar knows of its session, and the moves that every part of the machine shares."""

import math
from enum import StrEnum

import msgspec

from engine_sidecar.core.lease import Lease
from engine_sidecar.core.messages import Effect, Publish
from engine_sidecar.core.watch import Pulse
from engine_sidecar.link import Ended
from schemas.session import SessionSpec
from schemas.states import RunState
from schemas.telemetry import Alert, Severity


class KillCause(StrEnum):
    """Why the sidecar killed the engine."""

    FROZEN = "frozen"
    MEMORY = "memory"
    BOOT = "boot"
    STOP = "stop"
    LINK = "link"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the session. The deadlines are monotonic seconds, infinite while nothing is awaited.

    `problems` are why it is impaired; `suspected` is what the last measure says, which may be a moment's.
    """

    spec: SessionSpec
    state: RunState = RunState.BOOTING
    pulse: Pulse | None = None
    loop_lag_s: float = 0.0
    is_bus_found: bool = False
    is_zygote_ready: bool = False
    is_forked: bool = False
    is_stop_asked: bool = False
    is_over: bool = False
    engine_pid: int | None = None
    boot_until: float = math.inf
    stop_until: float = math.inf
    obey_until: float = math.inf
    reap_until: float = math.inf
    killed_for: KillCause | None = None
    is_zygote_killed: bool = False
    ended: Ended | None = None
    exit_code: int | None = None
    zygote_exit: int | None = None
    link_error: str = ""
    stop_cause: str = ""
    lease: Lease | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    at_rest: frozenset[str] = frozenset()

    @property
    def is_frozen(self) -> bool:
        """True from the alert until the loop turns again."""
        return self.pulse is not None and self.pulse.is_frozen


type Step = tuple[Session, tuple[Effect, ...]]


def alert(severity: Severity, code: str, message: str) -> Publish:
    """The effect that tells a person."""
    return Publish(Alert(severity=severity, code=code, message=message))
