"""What is said of a session that ended: of orders and positions what was known last, and that it ended though nobody asked."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.alerts import ALERTS, ENGINE_ENDED, ENGINE_FAILED, SILENT, RaisedBy, closers
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import OrderUpdate, PositionUpdate
from flotilla.services.orchestrator.engines.core.alerts import about_session
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.effects import Effect, PublishState
from flotilla.services.orchestrator.engines.core.events import storable
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.core.restarts import was_asked

UNACCOUNTED_FOR: Final = "the engine gave no account of its orders and positions"
UNREAD: Final = "what it held when last heard could not be read from the record"
_LONGEST: Final = 500
CLOSED_BY: Final = closers(of=RaisedBy.ENGINE)
"""The alerts of a sidecar that another one takes back."""
_TRADED: Final = (RunState.TRADING, RunState.IMPAIRED, RunState.MISMATCH, RunState.SILENT)


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """The positions and orders of a session that were open when it was last heard, as its events on record have them.

    `more_positions` and `more_orders` are those beyond what is named here. `open_alerts` are the codes in CLOSED_BY that
    its sidecar told people and did not take back. `is_read` is false when the record could not say.
    """

    positions: tuple[PositionUpdate, ...] = ()
    orders: tuple[OrderUpdate, ...] = ()
    more_positions: int = 0
    more_orders: int = 0
    open_alerts: tuple[str, ...] = ()
    is_read: bool = True

    def in_words(self) -> Iterator[str]:
        """One line for each, fit for the record: an engine may call its orders what it likes."""
        if not self.is_read:
            yield UNREAD
        for held in self.positions:
            named = f"position {held.instrument_id} {held.side} {held.quantity} ({held.strategy_id})"
            yield f"{storable(named)[:_LONGEST]} when last heard"
        if self.more_positions:
            yield f"and {self.more_positions} more positions when last heard"
        for order in self.orders:
            named = f"order {order.client_order_id} {order.side} {order.quantity} {order.instrument_id}"
            yield f"{storable(f'{named} {order.status}')[:_LONGEST]} when last heard"
        if self.more_orders:
            yield f"and {self.more_orders} more orders when last heard"


def ended_by(before: Engine | None, decision: Decision) -> Session | None:
    """The session that this decision ends, if it does."""
    was = before.session if before else None
    if was is None or was.is_over:
        return None
    now = decision.ended if decision.ended is not None else decision.engine.session
    return now if now is not None and now.session_id == was.session_id and now.is_over else None


def needs_exposure(ended: Session) -> bool:
    """True when the engine left no account of its own of what it held, or completed with something open."""
    if ended.stop_report is None:
        return ended.started_at is not None
    return _left_open(ended)


def _left_open(ended: Session) -> bool:
    report = ended.stop_report
    return (
        ended.state == RunState.COMPLETED
        and report is not None
        and bool(report.orders_left or report.positions_left)
    )


def concluded(
    before: Engine, decision: Decision, ended: Session, exposure: Exposure, now: datetime
) -> Decision:
    """The decision with what is known of the end: doubts on record, and the alert of one that nobody asked for."""
    told = _with_doubts(before.session, ended, exposure)
    alerts = (*unasked(before, told, now), *closings(told, exposure, now))
    if decision.ended is not None:
        return msgspec.structs.replace(decision, ended=told, effects=(*decision.effects, *alerts))
    engine = msgspec.structs.replace(decision.engine, session=told)
    effects = [PublishState(engine) if isinstance(each, PublishState) else each for each in decision.effects]
    return msgspec.structs.replace(decision, engine=engine, effects=(*effects, *alerts))


def unasked(engine: Engine, ended: Session, now: datetime) -> tuple[Effect, ...]:
    """The alert of a session that ended though nobody asked, with all that is not known of what it held."""
    if was_asked(ended) or not _is_news(ended):
        return ()
    how = f"failed ({ended.reason})" if ended.state == RunState.FAILED else f"ended ({ended.state})"
    detail = f": {ended.detail}" if ended.detail else ""
    doubts = f"; not confirmed: {'; '.join(ended.not_confirmed)}" if ended.not_confirmed else ""
    is_grave = engine.config.trades_money or bool(ended.not_confirmed)
    return (
        about_session(
            ended,
            ENGINE_FAILED if ended.state == RunState.FAILED else ENGINE_ENDED,
            f"engine {ended.instance_id} {how}, and nobody asked it to{detail}{doubts}",
            now,
            is_critical=is_grave,
        ),
    )


def closings(ended: Session, exposure: Exposure, now: datetime) -> tuple[Effect, ...]:
    """What closes the alerts about the session that people were told of and that nobody else closes: it is gone."""
    is_silent = ended.silence is not None and ended.silence.is_open
    open_codes = (*((SILENT.code,) if is_silent else ()), *exposure.open_alerts)
    return tuple(
        about_session(
            ended,
            kind,
            f"the alert {code} of engine {ended.instance_id} is over: it has ended ({ended.state})",
            now,
        )
        for code in open_codes
        if (kind := ALERTS[code].closed_by_end) is not None
    )


def standing(engine: Engine, now: datetime) -> tuple[Effect, ...]:
    """The alerts that go with the end on record, for whoever takes over from one that died before it was told."""
    session = engine.session
    if session is None or not session.is_over:
        return ()
    return (*unasked(engine, session, now), *closings(session, Exposure(), now))


def _is_news(ended: Session) -> bool:
    """False for what was stopped before it began, and for a sidecar that was asked past us, as by an emergency stop: that ends
    without a detail.
    """
    if ended.state == RunState.FAILED:
        return ended.reason != FailureReason.OPERATOR
    return ended.state == RunState.STOPPED and ended.started_at is not None and bool(ended.detail)


def _with_doubts(was: Session | None, ended: Session, exposure: Exposure) -> Session:
    if not needs_exposure(ended):
        return ended
    known = tuple(exposure.in_words())
    if _left_open(ended):
        left = (*ended.not_confirmed, *(f"left open: {words}" for words in known))
        return msgspec.structs.replace(ended, not_confirmed=left)
    has_traded = ended.trading_at is not None or (was is not None and was.state in _TRADED)
    first: Sequence[str] = ended.not_confirmed or ((UNACCOUNTED_FOR,) if known or has_traded else ())
    doubts = dict.fromkeys((*first, *known))
    return msgspec.structs.replace(ended, not_confirmed=tuple(doubts))
