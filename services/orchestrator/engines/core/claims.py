"""What an engine says is a claim: it is held against what is on record of its session. Pure; see ADR 31.

A sidecar numbers its events without gaps, says each number once, and never beats twice with one. So what it cannot have said was said
by somebody else who has its credential, or by a sidecar that is broken: neither is to be believed.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from flotilla.schemas.alerts import DOUBTFUL_CLAIM, FORGED_CLAIM
from flotilla.schemas.session import Stranger
from flotilla.schemas.states import SilencePolicy
from flotilla.schemas.telemetry import AccountUpdate, Fill, OrderUpdate, PositionUpdate, StateChange
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core import silence
from flotilla.services.orchestrator.engines.core.alerts import about_session, once_per
from flotilla.services.orchestrator.engines.core.decision import Decision, conclude
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.stopping import next_look, stop_step

MOST_LOST: Final = 2**32
"""By how much a number may lie beyond the last on record: what a sidecar that makes 10,000 events a second loses in five days."""
MOST_AHEAD: Final = timedelta(seconds=60)
"""How far an engine's clock may be ahead of the bus server's until its times are not taken for when something happened."""
MOST_BEFORE: Final = timedelta(hours=1)
"""By how much an event may lie before its session was made: engine and orchestrator have clocks of their own."""
_MOST: Final = Decimal(10) ** 15
"""No quantity, price or amount that NautilusTrader can hold is as large: its types end at 3.4 * 10**13."""
_LONGEST: Final = 60
NOT_ITS_OWN: Final = "somebody else spoke in its name: what is said of its end may be theirs"


class Sort(StrEnum):
    """What is wrong with a claim."""

    NUMBER = "number"
    REPEATED = "repeated"
    SIZE = "size"
    AHEAD = "ahead"
    BEAT = "beat"
    FIGURES = "figures"
    SESSION = "session"
    CONNECTION = "connection"
    TIME = "time"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"


_PROOFS: Final = frozenset(
    {
        Sort.NUMBER,
        Sort.REPEATED,
        Sort.SIZE,
        Sort.AHEAD,
        Sort.BEAT,
        Sort.FIGURES,
        Sort.SESSION,
        Sort.CONNECTION,
    }
)


class Finding(msgspec.Struct, frozen=True):
    """Something that was said in an engine's name and is not to be believed; `text` says why and what became of it."""

    sort: Sort
    text: str

    @property
    def is_proof(self) -> bool:
        """True when no sidecar that works can have said it. A clock may be wrong, a release speak otherwise, a record be put back."""
        return self.sort in _PROOFS


def impossible(seq: int, data: object, last_seq: int) -> Finding | None:
    """Why an event is kept off the record: its number, or a size in it. `last_seq` is the last number of its session on record."""
    if seq > last_seq + MOST_LOST:
        return Finding(Sort.NUMBER, f"number {seq} follows {last_seq}: kept off the record")
    for name, text in _sizes(data):
        if not _is_size(text):
            return Finding(Sort.SIZE, f"event {seq} has {name} {text[:40]!r}: kept off the record")
    return None


def repeated(seq: int) -> Finding:
    """An event whose number is on record with another content."""
    return Finding(
        Sort.REPEATED, f"event {seq} was said twice, each time otherwise: the first one is on record"
    )


def ended_twice(session: Session, seq: int, change: StateChange) -> Finding | None:
    """Another account of a session's end than the one on record. A sidecar gives one, which may come to us more than once."""
    if session.stop_report is None or not change.state.is_terminal:
        return None
    if (change.state, change.stop) == (session.state, session.stop_report):
        return None
    return Finding(
        Sort.REPEATED, f"its end was said twice, each time otherwise: event {seq} is not the one on record"
    )


def stranger(seen: Stranger) -> Finding:
    """Somebody besides its sidecar on the bus with a session's credential, whatever he says or hears there."""
    return Finding(
        Sort.CONNECTION,
        f"somebody else was on the bus with its credential, from {seen.address} since {seen.connected_at.isoformat()}",
    )


def unlikely_time(seq: int, at: datetime, received_at: datetime, made_at: datetime) -> Finding | None:
    """What is odd about the time that an event names, received by the bus then, of a session that was made at `made_at`."""
    # The clocks of engine and bus may be set back together.
    if min(made_at, received_at) - MOST_BEFORE <= at <= received_at + MOST_AHEAD:
        return None
    what = "after the bus had it" if at > received_at else "before its session was made"
    return Finding(
        Sort.TIME,
        f"event {seq} says {at.isoformat()}, long {what}: on record under {received_at.isoformat()}",
    )


def answered(engine: Engine, session_id: str, finding: Finding, now: datetime) -> Decision | None:
    """What follows from a finding about a session: somebody is told, and it is ended where its policy says so (`on_silence`).

    A session that has ended by its own account is marked: that account may be somebody else's.
    """
    session = engine.session
    if session is None or session.session_id != session_id:
        return _told_late(engine, session_id, finding, now)
    kind = FORGED_CLAIM if finding.is_proof else DOUBTFUL_CLAIM
    policy = silence.policy_of(engine)
    follows = f"; what follows: {policy}" if finding.is_proof else ""
    message = f"engine {engine.instance_id}: {finding.text}{follows}"
    alert = about_session(session, kind, message, now, key=f"{session_id}-{finding.sort}")
    if not finding.is_proof:
        return Decision(engine=engine, effects=(alert,), is_change=False)
    if session.is_over and finding.sort in (Sort.AHEAD, Sort.REPEATED):
        return conclude(engine, _marked(session), (alert,), (), now)
    if session.is_over or session.stop is not None or policy == SilencePolicy.REPORT:
        return Decision(engine=engine, effects=(alert,), is_change=False)
    ending, session = silence.ended(engine, session, policy, now)
    effects = (alert, *stop_step(session, now), *next_look(session, now))
    return conclude(ending, session, effects, (), now)


def _told_late(engine: Engine, session_id: str, finding: Finding, now: datetime) -> Decision | None:
    """What was found of a session that another has followed. A stranger is seen up to three seconds after he was there."""
    if finding.sort != Sort.CONNECTION:
        return None
    message = f"engine {engine.instance_id}: {finding.text}; its session has ended since"
    alert = FORGED_CLAIM.fleet_alert(
        message, wall(now), instance_id=engine.instance_id, session_id=session_id
    )
    effect = once_per(f"{session_id}-{finding.sort}", alert)
    return Decision(engine=engine, effects=(effect,), is_change=False)


def _marked(session: Session) -> Session:
    if NOT_ITS_OWN in session.not_confirmed:
        return session
    return msgspec.structs.replace(
        session, not_confirmed=(*session.not_confirmed, NOT_ITS_OWN), stop_report=None
    )


def _sizes(data: object) -> Iterator[tuple[str, str]]:
    """Decimals of an event. Averages are not among them: NautilusTrader keeps them as floats, which may be no number."""
    match data:
        case Fill():
            yield from (
                ("last_qty", data.last_qty),
                ("last_px", data.last_px),
                ("commission", data.commission),
            )
        case OrderUpdate():
            yield from (("quantity", data.quantity), ("filled_qty", data.filled_qty))
            yield from (("price", data.price or "0"), ("trigger_price", data.trigger_price or "0"))
        case PositionUpdate():
            yield from (("quantity", data.quantity), ("signed_qty", data.signed_qty))
        case AccountUpdate():
            for each in data.balances:
                yield from (("total", each.total), ("free", each.free), ("locked", each.locked))


def _is_size(text: str) -> bool:
    try:
        # No arithmetic: that would round, and overflow. To compare a NaN raises.
        return len(text) <= _LONGEST and Decimal(text).copy_abs() < _MOST
    except ArithmeticError:
        return False
