"""Loss limits as the sidecar watches them: each measure of the engine has its equity, and what follows is done from here.

A limit that was reached holds until it is lifted, whatever the equity does afterwards: see `set_free` and `judged`.
"""

import math
from datetime import UTC, datetime
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import CutLosses, PutBrake
from flotilla.engine_sidecar.link.messages import Effect, Send, StopAsked
from flotilla.engine_sidecar.session.core import ending
from flotilla.engine_sidecar.session.core.facts import Session, Step, alert
from flotilla.schemas.alerts import LOSS_LIMIT, LOSS_LIMIT_LIFTED
from flotilla.schemas.brakes import EngineBrake, is_narrower
from flotilla.schemas.local_times import trading_day
from flotilla.schemas.loss_limits import (
    LIMIT,
    KeptLosses,
    LiftedBy,
    LimitAction,
    LossLimit,
    LossLimits,
    LossMeasure,
    Mark,
    Trip,
    handed_over,
    resumed,
)
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.telemetry import EngineMetrics, MarkedEquity

CUT_S: Final = 25.0
"""How long closing positions may take at most; what is open afterwards is tried again after `AGAIN_S`."""
AGAIN_S: Final = 5.0
_UP: Final = (RunState.TRADING, RunState.IMPAIRED)
_WATCHED: Final = (*_UP, RunState.MISMATCH)
_BRAKES: Final = {
    LimitAction.ALERT: Brake.NONE,
    LimitAction.REDUCE: Brake.REDUCED,
    LimitAction.FLATTEN: Brake.HALTED,
    LimitAction.STOP: Brake.HALTED,
}
_FOLLOWS: Final = {
    LimitAction.ALERT: "nothing else is done",
    LimitAction.REDUCE: "it may reduce only, and orders that could open or add are cancelled",
    LimitAction.FLATTEN: "it is halted, and its positions are closed",
    LimitAction.STOP: "it is halted, its positions are closed, and it is stopped",
}
_GRAVITY: Final = tuple(LimitAction)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a mark makes of the losses: limits that were reached by it, and trips that it ends."""

    kept: KeptLosses
    reached: tuple[Trip, ...] = ()
    ended: tuple[Trip, ...] = ()


def judged(limits: LossLimits, kept: KeptLosses, mark: Mark) -> Judged:
    """The losses after a mark. A day counts from its first one; a clock that is set back begins no day.

    Equity in another currency is another thing: it counts anew, and what was reached stays reached.
    """
    if kept.currency != limits.currency:
        kept = KeptLosses(currency=limits.currency, tripped=kept.tripped)
    day = trading_day(mark.at, limits.timezone, limits.rollover)
    is_new_day = kept.day is None or day > kept.day
    is_peak = kept.peak is None or mark.equity > kept.peak.equity
    ended = tuple(trip for trip in kept.tripped if _is_over(trip, is_new_day=is_new_day, is_peak=is_peak))
    kept = msgspec.structs.replace(
        kept,
        day=day if is_new_day else kept.day,
        counted_from=mark if is_new_day or kept.counted_from is None else kept.counted_from,
        peak=mark if is_peak else kept.peak,
        tripped=tuple(trip for trip in kept.tripped if trip not in ended),
    )
    held = {trip.limit for trip in kept.tripped}
    reached = tuple(_reached(limit, kept, mark) for limit in limits.limits if limit not in held)
    return Judged(kept=kept, reached=tuple(trip for trip in reached if trip is not None), ended=ended)


def _is_over(trip: Trip, *, is_new_day: bool, is_peak: bool) -> bool:
    """A day's limit that is to end with it does; what was only told of is over when it can happen anew."""
    is_told_only = trip.limit.action == LimitAction.ALERT
    if trip.limit.measure == LossMeasure.DRAWDOWN:
        return is_told_only and is_peak
    return is_new_day and (is_told_only or trip.limit.until == LiftedBy.NEXT_DAY)


def _reached(limit: LossLimit, kept: KeptLosses, mark: Mark) -> Trip | None:
    base = kept.base(limit.measure)
    if base is None:
        return None
    lost = base.equity - mark.equity
    # What cannot lose a share any more, since nothing is there, has lost all.
    is_reached = lost >= limit.amount(base.equity) if base.equity > 0 or not limit.is_share else True
    return Trip(limit=limit, at=mark.at, equity=mark.equity, lost=lost) if is_reached else None


def weighed(session: Session, metrics: EngineMetrics, now: float) -> Step:
    """The session after a measure: limits that are reached by it act at once; what they left open is cut again."""
    limits = session.spec.loss_limits
    if limits is None or session.state not in _WATCHED:
        return session, ()
    found = metrics.equity or MarkedEquity(currency=limits.currency, amount=None, unknown=("not told",))
    if found.amount is None:
        session = msgspec.structs.replace(session, unmarked=found.unknown)
        return _cut(session, metrics, now)
    mark = Mark(found.amount, datetime.fromtimestamp(metrics.at_ns / 1e9, UTC))
    result = judged(limits, session.losses, mark)
    session = msgspec.structs.replace(session, losses=result.kept, mark=mark, unmarked=())
    session, effects = _ended(session, result.ended, mark)
    session, more = _tripped(session, result.reached, mark, now)
    session, cut = _cut(session, metrics, now)
    return session, (*effects, *more, *cut)


def set_free(session: Session, brake: EngineBrake) -> Step:
    """Somebody changed the brake: lifting it has what was reached count anew, from the next mark."""
    if brake.is_on or not session.losses.tripped:
        return session, ()
    names = ", ".join(trip.limit.text for trip in session.losses.tripped)
    text = f"{names}: lifted by {brake.by or 'somebody'}; it counts anew from the next mark"
    session = msgspec.structs.replace(session, losses=resumed(session.losses))
    return session, (alert(LOSS_LIMIT_LIFTED, text),)


def ends_by_itself(session: Session) -> bool:
    """True while the brake is a limit's that the next day may lift."""
    ends = [trip for trip in session.losses.tripped if trip.limit.until == LiftedBy.NEXT_DAY]
    return session.brake.by == LIMIT and any(trip.brake == session.brake.number for trip in ends)


def taken_over(session: Session, brake: EngineBrake) -> Session:
    """The session with somebody's own brake in place of a limit's: what the limit asks for is done on, and it lifts that brake no more."""
    kept = handed_over(session.losses, session.brake.number, brake.number)
    return msgspec.structs.replace(session, brake=brake, losses=kept)


def _ended(session: Session, ended: tuple[Trip, ...], mark: Mark) -> Step:
    """The brake goes with what it was put on for, if it is still that one and nothing else holds it."""
    if not ended:
        return session, ()
    effects: list[Effect] = []
    for trip in ended:
        text = (
            f"{trip.limit.text}: a new day begins"
            if trip.limit.measure == LossMeasure.DAY
            else trip.limit.text
        )
        effects.append(alert(LOSS_LIMIT_LIFTED, f"{text}; equity {mark.equity:f}"))
    brake = session.brake
    is_its_own = brake.by == LIMIT and brake.is_on and any(trip.brake == brake.number for trip in ended)
    still = [trip for trip in session.losses.tripped if trip.limit.action != LimitAction.ALERT]
    if is_its_own and not still:
        beneath = session.losses.beneath
        session, put = _put(session, beneath if beneath.is_on else EngineBrake(since=mark.at, by=LIMIT))
        effects += put
    return session, tuple(effects)


def _tripped(session: Session, reached: tuple[Trip, ...], mark: Mark, now: float) -> Step:
    if not reached:
        return session, ()
    effects: list[Effect] = []
    gravest = max((trip.limit.action for trip in reached), key=_GRAVITY.index)
    if is_narrower(_BRAKES[gravest], session.brake.brake):
        if not (session.brake.is_on and session.brake.by == LIMIT):
            kept = msgspec.structs.replace(session.losses, beneath=session.brake)
            session = msgspec.structs.replace(session, losses=kept)
        session, put = _put(session, EngineBrake(brake=_BRAKES[gravest], since=mark.at, by=LIMIT))
        effects += put
    reached = tuple(msgspec.structs.replace(trip, brake=session.brake.number) for trip in reached)
    kept = msgspec.structs.replace(session.losses, tripped=(*session.losses.tripped, *reached))
    session = msgspec.structs.replace(session, losses=kept)
    if gravest != LimitAction.ALERT:
        session = msgspec.structs.replace(session, cut_at=-math.inf)
    effects += [alert(LOSS_LIMIT, _text(session, trip)) for trip in reached]
    if gravest == LimitAction.STOP:
        cause = next(trip.limit.text for trip in reached if trip.limit.action == gravest)
        session = msgspec.structs.replace(session, stop_cause=f"loss limit {cause}")
        session, stopping = ending.stop(
            session, StopAsked(StopPolicy.FLATTEN), f"loss limit {cause} was reached", now
        )
        effects += stopping
    return session, tuple(effects)


def _put(session: Session, brake: EngineBrake) -> tuple[Session, tuple[Effect, ...]]:
    """The brake under the next number."""
    put = msgspec.structs.replace(brake, number=session.brake.number + 1)
    return msgspec.structs.replace(session, brake=put), (Send(PutBrake(put)),)


def _cut(session: Session, metrics: EngineMetrics, now: float) -> Step:
    """Has what is open closed while a limit holds that asks for it, and again for as long as something is.

    Somebody who changed the brake since decides alone. While engine and venue do not agree nobody knows what to close.
    """
    held = [
        trip.limit.action
        for trip in session.losses.tripped
        if trip.brake == session.brake.number and trip.limit.action != LimitAction.ALERT
    ]
    if not held or session.state not in _UP or session.is_stop_asked:
        return session, ()
    timeout_s = min(session.spec.stop_timeout_s, CUT_S)
    if now < session.cut_at + timeout_s + AGAIN_S:
        return session, ()
    is_flattened = max(held, key=_GRAVITY.index) != LimitAction.REDUCE
    is_left = metrics.orders_open or (metrics.positions_open and is_flattened)
    if not is_left or (session.cut_at > -math.inf and not is_flattened):
        return session, ()
    policy = StopPolicy.FLATTEN if is_flattened else StopPolicy.CANCEL
    session = msgspec.structs.replace(session, cut_at=now)
    return session, (Send(CutLosses(policy, timeout_s)),)


def _text(session: Session, trip: Trip) -> str:
    limit, currency = trip.limit, session.losses.currency
    base = session.losses.base(limit.measure)
    since = f", counted from {base.equity:f} at {base.at:%Y-%m-%d %H:%M:%S} UTC" if base else ""
    text = f"{limit.text}: {trip.lost:f} {currency} lost at an equity of {trip.equity:f} {currency}{since}"
    told = f"{text}: {_FOLLOWS[limit.action]}"
    if session.state == RunState.MISMATCH and limit.action in (LimitAction.REDUCE, LimitAction.FLATTEN):
        told += ", once engine and venue agree"
    return told
