"""What happens to a session inside its container, and what the sidecar does about it: two closed unions."""

import msgspec

from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Ended,
    Exited,
    Forked,
    GateShut,
    Phase,
    Tick,
    ToEngine,
    ZygoteReady,
)
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.states import FailureReason, StopPolicy
from flotilla.schemas.telemetry import Alert, EngineMetrics, StateChange


class BusFound(msgspec.Struct, frozen=True):
    """The bus was reached for the first time and takes commands for the engine."""


class CannotRun(msgspec.Struct, frozen=True):
    """What the session is to run cannot be had: it ends before there is an engine. `reason` says whether another try may go better."""

    detail: str
    reason: FailureReason


class StopAsked(msgspec.Struct, frozen=True):
    """Somebody wants the session to end: a command, or SIGTERM. Asking again changes nothing.

    `timeout_s` is what is left for it, when that is less than the session's own time. `cause` is what the end is put down to where
    nobody sent a command.
    """

    policy: StopPolicy
    timeout_s: float | None = None
    cause: str = ""


class EndAsked(msgspec.Struct, frozen=True):
    """Somebody wants the engine flat and gone within `deadline_s`, whatever is under way."""

    deadline_s: float


class CommandedDirectly(msgspec.Struct, frozen=True):
    """A command came past the services. `command` is its subject's last word, `caller` who says to have sent it, empty where unsaid."""

    command: str
    caller: str


class LeaseRenewed(msgspec.Struct, frozen=True):
    """The lease on the session's accounts lasts `ttl_s` from `as_of_s` on, by the monotonic clock; from now on where it is null."""

    token: int
    ttl_s: float
    as_of_s: float | None = None


class BrakeAsked(msgspec.Struct, frozen=True):
    """The brake is to be on, or lifted. One with a lower number than the session's own changes nothing."""

    brake: EngineBrake


class Attended(msgspec.Struct, frozen=True):
    """An orchestrator heard our heartbeat of `as_of_s`, by the monotonic clock."""

    as_of_s: float


class Flattened(msgspec.Struct, frozen=True):
    """What came of `Flatten`: in words what is not confirmed of it, nothing when all is."""

    not_confirmed: tuple[str, ...]


class Observed(msgspec.Struct, frozen=True):
    """The engine measured itself."""

    metrics: EngineMetrics


class AtRest(msgspec.Struct, frozen=True):
    """A strategy was stopped, or set to work again, because somebody asked for it."""

    strategy_id: str
    is_at_rest: bool


class Checked(msgspec.Struct, frozen=True):
    """Time went by. `engine_rss_bytes` is known where the sidecar keeps the memory limit itself."""

    engine_rss_bytes: int | None = None


class LinkClosed(msgspec.Struct, frozen=True):
    """The engine's end of the link is closed, or `error` made it unreadable: it is dead, dying or out of control."""

    error: str = ""


class ZygoteGone(msgspec.Struct, frozen=True):
    """The zygote ended; whatever engine it had is an orphan now."""

    exit_code: int


type Message = (
    Tick
    | Phase
    | GateShut
    | BrakeTaken
    | Ended
    | ZygoteReady
    | Forked
    | Exited
    | BusFound
    | CannotRun
    | StopAsked
    | EndAsked
    | CommandedDirectly
    | LeaseRenewed
    | BrakeAsked
    | Attended
    | Flattened
    | Observed
    | AtRest
    | Checked
    | LinkClosed
    | ZygoteGone
)


class Fork(msgspec.Struct, frozen=True):
    """Have the zygote fork the engine process, and hand it what to run."""


class Send(msgspec.Struct, frozen=True):
    """Hand the engine a command."""

    message: ToEngine


class Publish(msgspec.Struct, frozen=True):
    """Put a durable event on record."""

    data: StateChange | Alert


class Flatten(msgspec.Struct, frozen=True):
    """Have the engine cancel every order and close every position; `Flattened` says what came of it."""


class KillEngine(msgspec.Struct, frozen=True):
    """SIGKILL the engine process; a stopped or stuck one dies of it too."""


class KillZygote(msgspec.Struct, frozen=True):
    """SIGKILL the zygote: its engine becomes our child, so that we learn its end ourselves."""


class Conclude(msgspec.Struct, frozen=True):
    """The engine is gone: read what it left, then put the final state on record."""


type Effect = Fork | Send | Publish | Flatten | KillEngine | KillZygote | Conclude
