"""The dead man: what an engine does by itself once no orchestrator is heard any more, and what lifts it.

Nothing outside is asked: the moment of the last heartbeat that an orchestrator is known to have heard is all that counts. See ADR 52.
"""

import math
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import GoOn, PutBrake, Reduce
from flotilla.engine_sidecar.link.messages import Attended, Effect, Flatten, Flattened, Send
from flotilla.engine_sidecar.session.core import losses
from flotilla.engine_sidecar.session.core.facts import Contact, Session, Step, alert
from flotilla.engine_sidecar.session.core.trading import UP, judged_anew
from flotilla.schemas.alerts import CONTROL_PLANE_BACK, CONTROL_PLANE_LOST
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.states import Brake, DeadManPolicy, TradingMode

BY: Final = "dead man"
"""Who is said to have put on the brake of an engine that flattened itself."""
SLEPT_S: Final = 5.0
"""A longer gap between two checks means that the host slept, or that we got no time at all. No dead man waits for less."""
RETRY_S: Final = 10.0
"""How long after an attempt that was not confirmed to flatten is made again."""


def begun(plan: DeadMan, now: float) -> Contact | None:
    """What is known as the engine begins: it was started a moment ago. None where the dead man does nothing."""
    if plan.policy == DeadManPolicy.CONTINUE:
        return None
    return Contact(heard_at=now, checked_at=now, awake_since=now)


def attended(session: Session, message: Attended, now: float) -> Step:
    """An orchestrator hears us. An engine that only reduced goes on; one that was flattened stays halted until somebody resumes it."""
    before = session.contact
    if before is None:
        return session, ()
    heard_at = max(before.heard_at, min(now, message.as_of_s))
    after = msgspec.structs.replace(before, heard_at=heard_at)
    if not before.is_lost or now - heard_at > session.spec.dead_man.after_s:
        return msgspec.structs.replace(session, contact=after), ()
    after = msgspec.structs.replace(after, is_lost=False, has_flattened=False, flatten_at=math.inf)
    freed = msgspec.structs.replace(session, contact=after)
    text = f"an orchestrator hears the engine again, after {now - before.heard_at:.0f} s{_what_now(freed)}"
    effects: tuple[Effect, ...] = (alert(CONTROL_PLANE_BACK, text),)
    if not freed.is_reduced:
        effects = (*effects, Send(GoOn()))
    freed, said = judged_anew(freed, session, now)
    return freed, (*effects, *said)


def check(session: Session, now: float) -> Step:
    """Acts once no orchestrator was heard for as long as the dead man waits; a stop that is under way goes before it."""
    contact, plan = session.contact, session.spec.dead_man
    if contact is None:
        return session, ()
    # Time that the host slept counts for reducing, which costs little. Positions are closed only after we were awake for long enough.
    awake_since = now if now - contact.checked_at > SLEPT_S else contact.awake_since
    contact = msgspec.structs.replace(contact, checked_at=now, awake_since=awake_since)
    session = msgspec.structs.replace(session, contact=contact)
    if session.is_stop_asked or now - contact.heard_at <= plan.after_s:
        return session, ()
    session, effects = (session, ()) if contact.is_lost else _lost(session, now)
    if plan.policy != DeadManPolicy.FLATTEN or now - awake_since <= plan.after_s:
        return session, effects
    session, more = _flatten(session, now)
    return session, (*effects, *more)


def flattened(session: Session, message: Flattened, now: float) -> Step:
    """What is not confirmed is tried again, for as long as nobody is there to see to it."""
    contact = session.contact
    if contact is None or not contact.has_flattened or not message.not_confirmed:
        return session, ()
    contact = msgspec.structs.replace(contact, flatten_at=now + RETRY_S)
    return msgspec.structs.replace(session, contact=contact), ()


def _lost(session: Session, now: float) -> Step:
    plan = session.spec.dead_man
    lost = msgspec.structs.replace(session, contact=_known(session, is_lost=True))
    closes = ", and its positions are closed" if plan.policy == DeadManPolicy.FLATTEN else ""
    text = f"no orchestrator was heard for {plan.after_s:g} s: the engine only reduces now{closes}"
    is_live = session.spec.trading_mode == TradingMode.LIVE
    lost, said = judged_anew(lost, session, now)
    return lost, (alert(CONTROL_PLANE_LOST, text, is_critical=is_live), Send(Reduce()), *said)


def _flatten(session: Session, now: float) -> Step:
    """Halts it and has it closed, once it trades: while engine and venue do not agree nothing is closed that may not be there."""
    contact = session.contact
    if contact is None or session.state not in UP:
        return session, ()
    if contact.has_flattened and now < contact.flatten_at:
        return session, ()
    session = msgspec.structs.replace(
        session, contact=_known(session, has_flattened=True, flatten_at=math.inf)
    )
    if session.brake.brake == Brake.HALTED and not losses.ends_by_itself(session):
        return session, (Flatten(),)
    brake = EngineBrake(brake=Brake.HALTED, number=session.brake.number + 1, by=BY)
    return losses.taken_over(session, brake), (Send(PutBrake(brake)), Flatten())


def _known(session: Session, **change: object) -> Contact | None:
    return msgspec.structs.replace(session.contact, **change) if session.contact is not None else None


def _what_now(session: Session) -> str:
    if session.brake.is_on:
        if session.brake.by == BY:
            return f": it took itself out of the market, and is {session.brake.brake} until it is resumed"
        return f", but the engine is {session.brake.text}"
    if session.is_reduced:
        return ": it only reduces, until the lease on its accounts is renewed"
    return ": it only reduced meanwhile, and trades freely again"
