"""What is known of one engine, and what its rules say of it. Pure: what comes in makes a new memory and signals."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from flotilla.schemas import alert_rules, alerts
from flotilla.schemas.alert_rules import AlertRule
from flotilla.schemas.alerts import ALERTS
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.engine import EngineView
from flotilla.schemas.labels import Labels
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    Fill,
    OrderUpdate,
    PositionUpdate,
    Severity,
    StateChange,
)
from flotilla.services.notifier.core.signals import Signal, Thresholds, shortened, since

_REFUSED: Final = frozenset({"OrderRejected", "OrderDenied"})
_HEARD: Final = frozenset(
    {RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING, RunState.IMPAIRED, RunState.MISMATCH}
)
"""States in which a sidecar sends heartbeats."""
_CLEAR_AT: Final = 0.8
"""What share of a threshold a loss must be below to be over: what moves around it would open an alert each second."""
_MOST_TIMES: Final = 1_000
_COVERED: Final = frozenset(
    kind.code
    for kind in (
        *(alerts.IMPAIRED, alerts.MISMATCH, alerts.SILENT, alerts.ENGINE_FAILED, alerts.ENGINE_RESTARTED),
        alerts.DISK_LOW,
    )
)
"""Alerts of engines and the fleet that another rule is about."""
_CLOSES: Final = {
    closer.code: kind.code
    for kind in ALERTS.values()
    for closer in (kind.closed_by, kind.closed_by_end)
    if closer is not None
}


class EngineMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an engine. `highest` and `day_begin` are equities in `currency`, of this session and of `day` (UTC, ISO).

    `held` is what each position is worth at its entry price, by id, with its currency; `refused` and `restarted` are when that happened.
    `heard_at` is the last heartbeat, or since when one is waited for; `seq` the number of the session's last event that was taken.
    """

    instance_id: str
    session_id: str = ""
    generation: int = 0
    state: RunState | None = None
    is_live: bool = False
    labels: Labels = {}
    heard_at: datetime | None = None
    currency: str = ""
    highest: Decimal | None = None
    day: str = ""
    day_begin: Decimal | None = None
    held: dict[str, tuple[str, Decimal]] = {}
    refused: tuple[datetime, ...] = ()
    restarted: tuple[datetime, ...] = ()
    seq: int = 0

    def signal(self, rule: AlertRule, *, is_raised: bool, text: str = "") -> Signal:
        """About this engine."""
        return Signal(
            rule=rule,
            about=self.instance_id,
            is_raised=is_raised,
            text=shortened(text),
            labels=self.labels,
            is_live=self.is_live,
        )


Seen = tuple[EngineMemory, list[Signal]]


def of_view(memory: EngineMemory, view: EngineView, now: datetime) -> Seen:
    """The orchestrator's word on an engine. Workers are its own affair; what an older session says changes nothing."""
    session, config = view.session, view.config
    if config.template == WORKER_TEMPLATE or (session and session.generation < memory.generation):
        return memory, []
    is_new = session is not None and session.session_id != memory.session_id
    known = msgspec.structs.replace(
        memory,
        session_id=session.session_id if session else memory.session_id,
        generation=session.generation if session else memory.generation,
        state=session.state if session else None,
        is_live=config.engine_type.lower() == "live" and config.trading_mode.lower() == "live",
        labels=config.labels,
        heard_at=now if is_new else memory.heard_at,
        highest=None if is_new else memory.highest,
        held={} if is_new else memory.held,
        seq=0 if is_new else memory.seq,
    )
    return known, list(_of_state(known, view))


def numbered(memory: EngineMemory, session_id: str, seq: int) -> EngineMemory | None:
    """The memory in which an event of a session is counted; None for one that was taken before, or is of an older session."""
    if session_id < memory.session_id or (session_id == memory.session_id and seq <= memory.seq):
        return None
    if session_id == memory.session_id:
        return msgspec.structs.replace(memory, seq=seq)
    return msgspec.structs.replace(
        memory, session_id=session_id, seq=seq, highest=None, held={}, heard_at=None
    )


def of_state_change(memory: EngineMemory, change: StateChange) -> list[Signal]:
    """What the session says of itself: that it failed is told also while no orchestrator is there to say so."""
    if change.state != RunState.FAILED or change.reason == FailureReason.OPERATOR or memory.state is None:
        return []
    detail = f": {change.detail}" if change.detail else ""
    text = f"failed ({change.reason or 'for an unknown reason'}){detail}"
    return [memory.signal(alert_rules.ENGINE_FAILED, is_raised=True, text=text)]


def _of_state(memory: EngineMemory, view: EngineView) -> Iterator[Signal]:
    state, session = memory.state, view.session
    if session is None or state in (RunState.STOPPED, RunState.COMPLETED):
        yield from _clear(memory, *_STATES)
        return
    match state:
        case RunState.FAILED if session.reason == FailureReason.OPERATOR:
            yield from _clear(memory, *_STATES)
        case RunState.FAILED:
            why = f"{session.reason or 'for an unknown reason'}"
            left = f"; not confirmed: {', '.join(session.not_confirmed)}" if session.not_confirmed else ""
            detail = f": {session.detail}" if session.detail else ""
            yield memory.signal(
                alert_rules.ENGINE_FAILED, is_raised=True, text=f"failed ({why}){detail}{left}"
            )
            yield from _clear(memory, alert_rules.ENGINE_SILENT, alert_rules.ENGINE_MISMATCH)
            yield from _clear(memory, alert_rules.ENGINE_IMPAIRED, *_MONEY)
        case RunState.SILENT:
            yield memory.signal(alert_rules.ENGINE_SILENT, is_raised=True, text="sends no heartbeat")
        case RunState.UNKNOWN:
            yield memory.signal(
                alert_rules.ENGINE_SILENT, is_raised=True, text=f"its host {session.host} is out of sight"
            )
        case RunState.MISMATCH:
            why = "; ".join(view.problems) or session.detail or "it and its venue do not agree"
            yield memory.signal(alert_rules.ENGINE_MISMATCH, is_raised=True, text=f"mismatch: {why}")
            yield from _clear(memory, alert_rules.ENGINE_FAILED, alert_rules.ENGINE_IMPAIRED)
        case RunState.IMPAIRED:
            why = "; ".join(view.problems) or session.detail or "see `flotilla engine inspect`"
            yield memory.signal(alert_rules.ENGINE_IMPAIRED, is_raised=True, text=f"does not trade: {why}")
            yield from _clear(memory, alert_rules.ENGINE_FAILED, alert_rules.ENGINE_MISMATCH)
        case RunState.TRADING:
            yield from _clear(memory, *_STATES[:4])
        case _ if view.desired == DesiredState.STOPPED:
            yield from _clear(memory, *_STATES)
        case _:
            yield from _clear(memory, alert_rules.ENGINE_MISMATCH, alert_rules.ENGINE_IMPAIRED)


_STATES: Final = (
    alert_rules.ENGINE_FAILED,
    alert_rules.ENGINE_SILENT,
    alert_rules.ENGINE_MISMATCH,
    alert_rules.ENGINE_IMPAIRED,
    alert_rules.FEED_STALE,
    alert_rules.DRAWDOWN,
    alert_rules.DAY_LOSS,
    alert_rules.EXPOSURE,
)
_MONEY: Final = (alert_rules.FEED_STALE, alert_rules.DRAWDOWN, alert_rules.DAY_LOSS, alert_rules.EXPOSURE)


def _clear(memory: EngineMemory, *rules: AlertRule) -> Iterator[Signal]:
    for rule in rules:
        yield memory.signal(rule, is_raised=False)


def of_beat(memory: EngineMemory, session_id: str, now: datetime) -> Seen:
    """A heartbeat: it is heard, whatever was said of it before."""
    if memory.session_id and session_id < memory.session_id:
        return memory, []
    known = msgspec.structs.replace(memory, heard_at=now)
    if memory.state in (RunState.SILENT, RunState.UNKNOWN):
        # The orchestrator says so itself when it takes it back.
        return known, []
    return known, list(_clear(known, alert_rules.ENGINE_SILENT))


def of_metrics(memory: EngineMemory, metrics: EngineMetrics, now: datetime, thresholds: Thresholds) -> Seen:
    """What its measure of each second says: silent data, and losses."""
    if metrics.session_id < memory.session_id:
        return memory, []
    known = _measured(memory, metrics, now)
    return known, [*_stale(known, metrics, thresholds), *_losses(known, metrics, thresholds)]


def _measured(memory: EngineMemory, metrics: EngineMetrics, now: datetime) -> EngineMemory:
    equity = metrics.equity
    if equity is None or equity.amount is None:
        return memory
    if equity.currency != memory.currency:
        memory = msgspec.structs.replace(memory, currency=equity.currency, highest=None, day="")
    today = now.date().isoformat()
    highest = equity.amount if memory.highest is None else max(memory.highest, equity.amount)
    if highest == memory.highest and today == memory.day:
        return memory
    begin = memory.day_begin if today == memory.day else equity.amount
    return msgspec.structs.replace(memory, highest=highest, day=today, day_begin=begin)


def _stale(memory: EngineMemory, metrics: EngineMetrics, thresholds: Thresholds) -> Iterator[Signal]:
    limit = thresholds.of(alert_rules.FEED_STALE, memory.instance_id, memory.labels).threshold
    silent = [
        one
        for feed in metrics.feeds
        for one in feed.quiet
        if one.age_s > limit + one.interval_s and one.is_market_open is not False
    ]
    if silent:
        worst = max(silent, key=lambda one: one.age_s)
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        text = f"no {worst.what} for {worst.age_s:.0f} s{more}"
        yield memory.signal(alert_rules.FEED_STALE, is_raised=True, text=text)
    else:
        yield memory.signal(alert_rules.FEED_STALE, is_raised=False)


def _losses(memory: EngineMemory, metrics: EngineMetrics, thresholds: Thresholds) -> Iterator[Signal]:
    equity = metrics.equity
    if equity is None or equity.amount is None:
        return
    for rule, before, what in (
        (alert_rules.DRAWDOWN, memory.highest, "its highest"),
        (alert_rules.DAY_LOSS, memory.day_begin, "the day's begin"),
    ):
        if before is None or before <= 0:
            continue
        share = float((before - equity.amount) / before)
        limit = thresholds.of(rule, memory.instance_id, memory.labels).threshold
        text = f"equity {equity.amount} {equity.currency} is {share:.1%} below {what}, {before}"
        yield from _against(memory, rule, share, limit, text)


def of_position(memory: EngineMemory, update: PositionUpdate, thresholds: Thresholds) -> Seen:
    """A position: what all of them are worth at their entry prices, in each currency by itself."""
    try:
        value = abs(Decimal(update.quantity)) * Decimal(update.avg_px_open)
    except InvalidOperation:
        return memory, []
    held = {name: one for name, one in memory.held.items() if name != update.position_id}
    if value > 0 and update.event != "PositionClosed":
        held[update.position_id] = (update.currency, value)
    known = msgspec.structs.replace(memory, held=held)
    sums: dict[str, Decimal] = {}
    for currency, one in held.values():
        sums[currency] = sums.get(currency, Decimal(0)) + one
    currency, most = max(sums.items(), key=lambda item: item[1], default=("", Decimal(0)))
    limit = thresholds.of(alert_rules.EXPOSURE, memory.instance_id, memory.labels).threshold
    text = f"holds {most.normalize():f} {currency} at entry prices"
    return known, list(_against(known, alert_rules.EXPOSURE, float(most), limit, text))


def _against(
    memory: EngineMemory, rule: AlertRule, value: float, limit: float, text: str
) -> Iterator[Signal]:
    if limit and value > limit:
        yield memory.signal(rule, is_raised=True, text=text)
    elif not limit or value < limit * _CLEAR_AT:
        yield memory.signal(rule, is_raised=False)


def of_order(memory: EngineMemory, update: OrderUpdate, now: datetime, thresholds: Thresholds) -> Seen:
    """An order that was rejected or denied counts."""
    if update.event not in _REFUSED:
        return memory, []
    known = msgspec.structs.replace(memory, refused=(*memory.refused[-_MOST_TIMES:], now))
    return known, [_counted(known, alert_rules.ORDER_REJECTS, known.refused, now, thresholds)]


def of_restart(memory: EngineMemory, now: datetime, thresholds: Thresholds) -> Seen:
    """The orchestrator started it again by itself."""
    known = msgspec.structs.replace(memory, restarted=(*memory.restarted[-_MOST_TIMES:], now))
    return known, [_counted(known, alert_rules.RESTARTS, known.restarted, now, thresholds)]


def of_fill(memory: EngineMemory, fill: Fill) -> Seen:
    """An execution; one that came back with an engine's state was told before."""
    if fill.is_restored:
        return memory, []
    text = f"{fill.side} {fill.last_qty} {fill.instrument_id} at {fill.last_px}"
    made = memory.signal(alert_rules.FILL, is_raised=True, text=text)
    return memory, [msgspec.structs.replace(made, happened=f"{fill.trade_id}-{fill.instrument_id}")]


def of_tick(
    memory: EngineMemory, now: datetime, thresholds: Thresholds, heard_since: datetime | None
) -> Seen:
    """What follows from time alone. `heard_since`: the bus is there since then; null while it is not."""
    signals: list[Signal] = []
    refused, restarted = memory.refused, memory.restarted
    if refused:
        signals.append(_counted(memory, alert_rules.ORDER_REJECTS, refused, now, thresholds))
        refused = _within(memory, alert_rules.ORDER_REJECTS, refused, now, thresholds)
    if restarted:
        signals.append(_counted(memory, alert_rules.RESTARTS, restarted, now, thresholds))
        restarted = _within(memory, alert_rules.RESTARTS, restarted, now, thresholds)
    if memory.state in _HEARD and memory.heard_at is not None and heard_since is not None:
        limit = thresholds.of(alert_rules.ENGINE_SILENT, memory.instance_id, memory.labels).threshold
        quiet = since(max(memory.heard_at, heard_since), now)
        if quiet > limit:
            text = f"sends no heartbeat for {quiet:.0f} s"
            signals.append(memory.signal(alert_rules.ENGINE_SILENT, is_raised=True, text=text))
    if (refused, restarted) == (memory.refused, memory.restarted):
        return memory, signals
    return msgspec.structs.replace(memory, refused=refused, restarted=restarted), signals


def _within(
    memory: EngineMemory, rule: AlertRule, times: tuple[datetime, ...], now: datetime, thresholds: Thresholds
) -> tuple[datetime, ...]:
    window = timedelta(seconds=thresholds.of(rule, memory.instance_id, memory.labels).window_s)
    return tuple(at for at in times if now - at < window)


def _counted(
    memory: EngineMemory,
    rule: AlertRule,
    times: tuple[datetime, ...],
    now: datetime,
    thresholds: Thresholds,
) -> Signal:
    limit = thresholds.of(rule, memory.instance_id, memory.labels)
    count = len(_within(memory, rule, times, now, thresholds))
    text = f"{count} {rule.unit} within {limit.window_s:.0f} s"
    return memory.signal(rule, is_raised=count >= limit.threshold, text=text)


def of_alert(
    memory: EngineMemory, code: str, severity: Severity, message: str, happened: str
) -> list[Signal]:
    """An alert that the engine, its sidecar or the orchestrator raised: one that another of the table closes lasts until then."""
    if code in _COVERED:
        return []
    made = msgspec.structs.replace(
        memory.signal(alert_rules.ENGINE_ALERT, is_raised=True, text=f"{code}: {message}"),
        severity=severity,
        code=code,
    )
    closed = _CLOSES.get(code)
    if closed is not None:
        return [] if closed in _COVERED else [msgspec.structs.replace(made, is_raised=False, code=closed)]
    kind = ALERTS.get(code)
    if kind is None or kind.closed_by is None:
        return [msgspec.structs.replace(made, happened=happened)]
    return [made]
