"""What is decided when somebody brakes an engine, and what is said of it once its sidecar has answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.brakes import AcceptMismatch, EngineBrake, is_crossed, is_narrower
from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.loss_limits import LIMIT, KeptLosses, handed_over, resumed
from flotilla.schemas.session import CommandAccepted
from flotilla.schemas.states import Brake, DesiredState, RunState, StopPolicy
from flotilla.schemas.telemetry import Heartbeat
from flotilla.services.orchestrator.core.record_time import wall
from flotilla.services.orchestrator.engines.core.answers import accepted
from flotilla.services.orchestrator.engines.core.decision import Decision, recorded
from flotilla.services.orchestrator.engines.core.effects import CommandBrake
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.views import client_state

OF_BEFORE: Final = (
    "its sidecar is of an older release and does not say what came of it, but in the engine's alerts"
)
_LONGEST_NAME: Final = 100
_SAID: Final = tuple(f"{each} by " for each in Brake if each != Brake.NONE)
"""How the detail of an impaired session begins while it is braked."""
_LAST_NUMBER: Final = 1 << 53
"""A higher one is no count of changes."""
_TRADES: Final = (RunState.TRADING, RunState.IMPAIRED, RunState.MISMATCH)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks of an engine: a brake, to take it out of the market by a policy, or both, in this order; or that what it
    and its venue do not agree on is accepted.
    """

    brake: Brake | None = None
    policy: StopPolicy | None = None
    accepts: AcceptMismatch | None = None
    by: str = ""


def brake(
    engine: Engine, asked: Asked, *, request_id: str, heartbeat: Heartbeat | None, now: datetime
) -> Decision:
    """The engine with the brake on record; its reply names the session that is to be told, if there is one.

    Raises FaultError: `invalid` for what trades nothing, `conflict` where nothing runs that could be braked.
    """
    _refuse(engine, asked)
    put = engine.brake if asked.brake is None else _put(engine, asked, heartbeat, now)
    losses = _losses(engine, asked, put)
    changed = msgspec.structs.replace(engine, brake=put, losses=losses)
    session = changed.session if changed.is_active else None
    told = session.session_id if session and session.state != RunState.SCHEDULED else None
    is_lifted = asked.brake == Brake.NONE and losses != engine.losses
    counts_anew = "; its loss limits count anew" if is_lifted else ""
    reply = accepted(changed, request_id, _message(put, asked) + counts_anew, told)
    return recorded(engine, Decision(engine=changed, reply=msgspec.structs.replace(reply, brake=put)), now)


def later(known: EngineBrake, said: EngineBrake, now: datetime) -> EngineBrake:
    """The brake on record once a session says that it has this one: its loss limits and its dead man put one on by themselves.

    Of two the higher number is the later. Where they crossed, the session's own holds if it is the narrower; else that on record is told
    again under a later number. What is taken over keeps its number: a limit goes by it whether its brake is still its own.
    """
    if said.number < known.number or said.number > _LAST_NUMBER:
        return known
    if said.number == known.number and not is_crossed(known, said):
        return known
    if said.number == known.number:
        holds = is_narrower(said.brake, known.brake)
    else:
        # A limit that ends puts back what was there before: it has not heard of somebody's that is narrower.
        holds = said.by != LIMIT or known.by == LIMIT or not is_narrower(known.brake, said.brake)
    if not holds:
        return msgspec.structs.replace(known, number=said.number + 1)
    by = said.by.replace("\x00", "\ufffd")[:_LONGEST_NAME]
    return msgspec.structs.replace(said, since=said.since or wall(now), by=by)


def as_heard(engine: Engine, heartbeat: Heartbeat | None, now: datetime) -> Engine:
    """The engine with what its loss limits and its dead man did and know, as the sidecar of its session says."""
    session = engine.session
    if session is None or heartbeat is None or heartbeat.session_id != session.session_id:
        return engine
    if not engine.brake.number <= heartbeat.brake.number <= _LAST_NUMBER:
        return engine  # it has not heard of the brake, and what it says of its losses may be of before
    losses = heartbeat.losses.kept if heartbeat.losses is not None else engine.losses
    return msgspec.structs.replace(engine, brake=later(engine.brake, heartbeat.brake, now), losses=losses)


def reminder(engine: Engine, heartbeat: Heartbeat | None) -> tuple[CommandBrake, ...]:
    """The brake once more, for a sidecar that says that it knows an older one."""
    session = engine.session
    if session is None or heartbeat is None or heartbeat.session_id != session.session_id:
        return ()
    if heartbeat.brake.number >= engine.brake.number:
        return ()
    return (CommandBrake(session.instance_id, session.session_id, engine.brake),)


def braked(reply: EngineAccepted, answer: CommandAccepted | None, why: str = "") -> EngineAccepted:
    """The answer to a brake. `answer` is the sidecar's, None where it gave none: `why` says what is known of that."""
    if answer is not None and answer.is_taken:
        return msgspec.structs.replace(reply, is_taken=True)
    doubt = f"; the engine is not known to have taken it: {why or 'it has not answered yet'}"
    return msgspec.structs.replace(reply, is_taken=False, message=reply.message + doubt)


def is_shown(engine: Engine | None, put: EngineBrake | None) -> bool:
    """True once the record has heard from the sidecar what the brake makes of the engine's state, or will hear nothing of it."""
    session = engine.session if engine else None
    if session is None or put is None or session.state not in _TRADES:
        return True
    detail = session.detail or ""
    return detail.startswith(put.text) if put.is_on else not detail.startswith(_SAID)


def as_seen(reply: EngineAccepted, engine: Engine | None) -> EngineAccepted:
    """The answer with the state that the engine is in by now."""
    return reply if engine is None else msgspec.structs.replace(reply, state=client_state(engine.session))


def at_once(reply: EngineAccepted) -> EngineAccepted:
    """The answer to a brake of an engine that has nothing that could send an order: its next session begins with it."""
    message = f"{reply.message}: its next session begins so"
    return msgspec.structs.replace(reply, is_taken=True, message=message)


def withdrawn(reply: EngineAccepted, answer: CommandAccepted) -> EngineAccepted:
    """The answer to cancelling or flattening, as the engine gave it."""
    cancelled, closed = answer.orders_cancelled, answer.positions_closed
    if cancelled is None:
        return not_withdrawn(reply, OF_BEFORE)
    counts = [
        f"{number} {what if number == 1 else f'{what}s'} {done}"
        for number, what, done in ((cancelled, "order", "cancelled"), (closed, "position", "closed"))
        if number is not None
    ]
    told = msgspec.structs.replace(
        reply,
        orders_cancelled=cancelled,
        positions_closed=closed,
        is_taken=reply.is_taken is not False,
        message=f"{reply.message}; {', '.join(counts)}",
    )
    return _with_doubts(told, answer.not_confirmed)


def taken_as_it_is(reply: EngineAccepted, answer: CommandAccepted) -> EngineAccepted:
    """The answer to accepting, with what was accepted as the engine says it."""
    return msgspec.structs.replace(reply, is_taken=True, message=f"{reply.message}: {answer.message}")


def not_withdrawn(reply: EngineAccepted, why: str) -> EngineAccepted:
    """The same where it gave none."""
    return _with_doubts(msgspec.structs.replace(reply, is_taken=False), (why,))


def _refuse(engine: Engine, asked: Asked) -> None:
    name, session = engine.instance_id, engine.session
    if engine.is_worker:
        text = f"{name} runs backtests and trades nothing, so there is nothing to brake"
        raise invalid(FieldError("instance_id", text))
    if asked.accepts is not None:
        if session is None or session.state != RunState.MISMATCH:
            state = session.state if session else "not started"
            raise fault(FaultCode.CONFLICT, f"engine {name} is {state}: there is nothing to accept")
    elif asked.policy is not None:
        if session is None or session.state not in _TRADES:
            state = session.state if session else "not started"
            text = f"engine {name} is {state}: it must be up for this; `flotilla emergency-stop` needs no answer of it"
            raise fault(FaultCode.CONFLICT, text)
    elif asked.brake != Brake.NONE and not _will_run(engine):
        state = session.state if session else "not started"
        raise fault(FaultCode.CONFLICT, f"engine {name} is {state}: there is nothing to brake")


def _will_run(engine: Engine) -> bool:
    """True for an engine that runs on, or begins again by itself."""
    if engine.restart_at is not None or engine.pending is not None:
        return True
    session = engine.session
    return engine.is_active and engine.desired == DesiredState.RUNNING and session is not None


def _put(engine: Engine, asked: Asked, heartbeat: Heartbeat | None, now: datetime) -> EngineBrake:
    """The brake that is asked for; whose it is does not change when it is on already.

    But a limit's becomes that person's: the next day may lift the one, and nobody but a person the other.
    """
    present = engine.brake
    # A record that was put back may be behind what its engine was told.
    heard = heartbeat.brake.number if heartbeat is not None else 0
    is_new = asked.brake != present.brake or heard > present.number
    # A limit that was reached without a brake is lifted too.
    lifts = asked.brake == Brake.NONE and bool(engine.losses.tripped)
    is_nobodys = present.is_on and present.by == LIMIT
    if asked.brake is None or not (is_new or lifts or is_nobodys):
        return present
    number = max(present.number, heard) + 1
    by = asked.by.replace("\x00", "\ufffd")[:_LONGEST_NAME]
    return EngineBrake(brake=asked.brake, number=number, since=wall(now), by=by)


def _losses(engine: Engine, asked: Asked, put: EngineBrake) -> KeptLosses:
    if asked.brake == Brake.NONE:
        return resumed(engine.losses)
    if put.brake == engine.brake.brake:
        return handed_over(engine.losses, engine.brake.number, put.number)
    return engine.losses


def _message(put: EngineBrake, asked: Asked) -> str:
    if asked.accepts is not None:
        return "what it and its venue do not agree on is accepted"
    if put.is_on:
        return f"is {put.text}"
    return "is not braked any more" if asked.brake is not None else "goes on"


def _with_doubts(reply: EngineAccepted, doubts: Sequence[str]) -> EngineAccepted:
    if not doubts:
        return reply
    message = f"{reply.message}; not confirmed: {'; '.join(doubts)}"
    return msgspec.structs.replace(
        reply, is_taken=False, not_confirmed=(*reply.not_confirmed, *doubts), message=message
    )
