"""What a sidecar knows of its session, and the moves that every part of the machine shares."""

import math
from enum import StrEnum

import msgspec

from flotilla.engine_sidecar.link.frames import Ended
from flotilla.engine_sidecar.link.messages import Effect, Publish
from flotilla.engine_sidecar.session.core.watch import Pulse
from flotilla.schemas.alerts import AlertKind
from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.loss_limits import NOTHING_KEPT, KeptLosses, LossesView, Mark
from flotilla.schemas.session import AccountLease, SessionSpec, reducing_s
from flotilla.schemas.states import FailureReason, RunState


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is when it runs out, in monotonic seconds; `is_lost` from then on, until it is renewed."""

    token: int
    ttl_s: float
    until: float
    is_lost: bool = False

    @property
    def stop_at(self) -> float:
        """When an engine that was not given it again is stopped."""
        return self.until + reducing_s(self.ttl_s)

    def left_s(self, now: float) -> float:
        """What is left of it."""
        return max(0.0, self.until - now)


def granted(lease: AccountLease, now: float) -> Lease:
    """The lease that a session was started with."""
    return Lease(token=lease.token, ttl_s=lease.ttl_s, until=now + lease.ttl_s)


def renewed(lease: Lease, token: int, ttl_s: float, now: float, as_of_s: float | None = None) -> Lease:
    """The lease after a renewal, which counts from `as_of_s`, the heartbeat that it answers.

    One with an older token changes nothing, and neither does one that was so long under way that it has run out already.
    """
    until = min(now, now if as_of_s is None else as_of_s) + ttl_s
    if token < lease.token or until <= now:
        return lease
    return Lease(token=token, ttl_s=ttl_s, until=max(until, lease.until))


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the control plane where a dead man waits for it, in monotonic seconds.

    `heard_at`: when the last heartbeat was sent that an orchestrator is known to have heard. `checked_at`: of the last look at it;
    `awake_since`: since when there was one look after another, without the host having slept in between. `is_lost` from when the dead
    man acts until an orchestrator is heard. `has_flattened`: it began to; `flatten_at`: when it is to try again, if at all.
    """

    heard_at: float
    checked_at: float
    awake_since: float
    is_lost: bool = False
    has_flattened: bool = False
    flatten_at: float = math.inf


class KillCause(StrEnum):
    """Why the sidecar killed the engine."""

    FROZEN = "frozen"
    MEMORY = "memory"
    BOOT = "boot"
    STOP = "stop"
    LINK = "link"


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """What people were told of an engine that was impaired, once or several times, each soon after the last.

    `told` are the problems that they know of. `well_since` (monotonic s) is when it traded again, null while it does not.
    `is_open`: they were told that it is impaired, and not yet that it is not.
    """

    told: tuple[str, ...]
    times: int = 1
    is_open: bool = True
    well_since: float | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the session. The deadlines are monotonic seconds, infinite while nothing is awaited.

    `phase` is what the engine last said of itself, `said` its detail; `state` follows it, and knows of problems and of stops besides.
    `refused` are the phases that came where they cannot (before, said), each alerted once.
    `problems` are why it is impaired; `suspected` is what the last measure says, which may be a moment's. `alarm` is what people were
    told of it. `brake` is the one that was asked for last, `taken` the one that the engine has taken; they differ while that is not known.
    `mark` is the last equity that was known, `unmarked` says why it is not known now. `cut_at` is when the engine was last told to cut
    its losses, in monotonic seconds.
    `contact` is null where the dead man does nothing, and before there is an engine.
    """

    spec: SessionSpec
    state: RunState = RunState.BOOTING
    phase: RunState = RunState.BOOTING
    said: str = ""
    failing: FailureReason | None = None
    """Of what it failed that stops by itself."""
    refused: frozenset[tuple[RunState, RunState]] = frozenset()
    pulse: Pulse | None = None
    loop_lag_s: float = 0.0
    is_bus_found: bool = False
    is_zygote_ready: bool = False
    is_forked: bool = False
    is_stop_asked: bool = False
    is_gate_shut: bool = False
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
    alarm: Alarm | None = None
    at_rest: frozenset[str] = frozenset()
    brake: EngineBrake = RELEASED
    taken: EngineBrake = RELEASED
    losses: KeptLosses = NOTHING_KEPT
    mark: Mark | None = None
    unmarked: tuple[str, ...] = ()
    cut_at: float = -math.inf
    contact: Contact | None = None

    @property
    def is_reduced(self) -> bool:
        """True while it may only reduce, whatever its brake: its lease is lost, or no orchestrator is heard."""
        is_lease_lost = self.lease is not None and self.lease.is_lost
        return is_lease_lost or (self.contact is not None and self.contact.is_lost)

    @property
    def held_by(self) -> tuple[str, ...]:
        """Why it does not trade freely although nothing is wrong with it, in words that stay the same while it lasts."""
        found = [self.taken.text] if self.taken.is_on else []
        if self.lease is not None and self.lease.is_lost:
            found.append("the lease on its accounts was not renewed: it only reduces")
        if self.contact is not None and self.contact.is_lost:
            found.append(
                f"no orchestrator is heard for {self.spec.dead_man.after_s:g} s and more: it only reduces"
            )
        return tuple(found)

    @property
    def is_out_of_orders(self) -> bool:
        """True once no order that opens or adds can leave any more: the engine said so, or there is none any more."""
        return self.is_gate_shut or self.is_over

    @property
    def is_brake_taken(self) -> bool:
        """True when the brake that was asked for is the one that holds: an engine that was not forked yet begins with it."""
        return self.taken == self.brake

    @property
    def losses_view(self) -> LossesView | None:
        """What is known of its losses; None where it has no limits."""
        limits = self.spec.loss_limits
        if limits is None:
            return None
        return LossesView(limits=limits, kept=self.losses, last=self.mark, unknown=self.unmarked)

    @property
    def is_frozen(self) -> bool:
        """True from the alert until the loop turns again."""
        return self.pulse is not None and self.pulse.is_frozen


type Step = tuple[Session, tuple[Effect, ...]]


def alert(kind: AlertKind, message: str, *, is_critical: bool = False) -> Publish:
    """The effect that tells a person."""
    return Publish(kind.alert(message, is_critical=is_critical))
