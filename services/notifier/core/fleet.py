"""What is known of hosts, the queue and what the notifier depends on, and what the rules say of it. Pure."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas import alert_rules, alerts
from flotilla.schemas.alert_rules import AlertRule
from flotilla.schemas.backtest import BacktestStatus, BacktestView
from flotilla.schemas.telemetry import FleetAlert
from flotilla.services.notifier.core.signals import FLEET, Signal, Thresholds, shortened, since

_MOST_WAITING: Final = 1_000


class HostMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A host, and when its supervisor was last heard."""

    host: str
    heard_at: datetime


class QueueMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Backtests that wait, a thousand at most, and when one of all last began or ended."""

    waiting: tuple[str, ...] = ()
    moved_at: datetime | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the notifier depends on: since when the bus is there (null: not), since when it is not, and when the orchestrator last was well.

    `certificate_ends`: of the bus; null where it is not encrypted.
    """

    bus_since: datetime | None = None
    bus_lost_at: datetime | None = None
    orchestrator_at: datetime | None = None
    orchestrator_says: str = ""
    certificate_ends: datetime | None = None


def of_host(host: str, now: datetime) -> tuple[HostMemory, list[Signal]]:
    """A heartbeat of a supervisor."""
    cleared = Signal(rule=alert_rules.HOST_LOST, about=host, is_raised=False)
    return HostMemory(host=host, heard_at=now), [cleared]


def of_hosts_tick(
    hosts: tuple[HostMemory, ...], now: datetime, thresholds: Thresholds, heard_since: datetime | None
) -> list[Signal]:
    """The hosts that were not heard for too long, counted from when the bus was there."""
    if heard_since is None:
        return []
    found = []
    for one in hosts:
        quiet = since(max(one.heard_at, heard_since), now)
        if quiet > thresholds.of(alert_rules.HOST_LOST, one.host, {}).threshold:
            text = f"host {one.host} is not heard for {quiet:.0f} s"
            found.append(Signal(rule=alert_rules.HOST_LOST, about=one.host, is_raised=True, text=text))
    return found


def of_backtest(memory: QueueMemory, view: BacktestView, now: datetime) -> tuple[QueueMemory, list[Signal]]:
    """A backtest as the record has it."""
    signals: list[Signal] = []
    name, is_own = view.backtest_id, view.study_id is None
    if is_own and view.status == BacktestStatus.FAILED:
        why = view.error or view.reason or "see `flotilla backtest show`"
        signals.append(_once(alert_rules.BACKTEST_FAILED, name, f"backtest {name} failed: {why}", view))
    # A second view of the same end says that the tear sheet is there.
    elif is_own and view.status == BacktestStatus.COMPLETED and not view.has_report:
        signals.append(_once(alert_rules.BACKTEST_DONE, name, f"backtest {name} is completed", view))
    if view.status == BacktestStatus.PENDING:
        if name in memory.waiting or len(memory.waiting) >= _MOST_WAITING:
            return memory, signals
        begun = memory.moved_at if memory.waiting else now
        return QueueMemory(waiting=(*memory.waiting, name), moved_at=begun), signals
    left = tuple(one for one in memory.waiting if one != name)
    return QueueMemory(waiting=left, moved_at=now), signals


def _once(rule: AlertRule, about: str, text: str, view: BacktestView) -> Signal:
    at = view.completed_at or view.created_at
    return Signal(
        rule=rule, about=about, is_raised=True, text=shortened(text), happened=f"{at:%s}-{view.attempts}"
    )


def of_queue_tick(memory: QueueMemory, now: datetime, thresholds: Thresholds) -> list[Signal]:
    """Whether it moves."""
    stuck_s = since(memory.moved_at, now)
    limit = thresholds.of(alert_rules.QUEUE_STUCK, FLEET, {}).threshold
    is_stuck = bool(memory.waiting) and stuck_s > limit
    text = f"{len(memory.waiting)} backtests wait, and none began or ended for {stuck_s:.0f} s"
    return [Signal(rule=alert_rules.QUEUE_STUCK, about=FLEET, is_raised=is_stuck, text=text)]


def of_disk(alert: FleetAlert) -> list[Signal]:
    """The orchestrator's word on the disks of PostgreSQL and the bus."""
    if alert.code not in (alerts.DISK_LOW.code, alerts.DISK_LOW_OVER.code):
        return []
    is_raised = alert.code == alerts.DISK_LOW.code
    return [
        Signal(rule=alert_rules.DISK_LOW, about=FLEET, is_raised=is_raised, text=shortened(alert.message))
    ]


def of_surroundings(around: Surroundings, now: datetime, thresholds: Thresholds) -> list[Signal]:
    """Who watches is watched: the bus, and over it the orchestrator."""
    away_s = since(around.bus_lost_at, now)
    is_lost = away_s > thresholds.of(alert_rules.BUS_LOST, FLEET, {}).threshold
    signals: list[Signal] = []
    if around.bus_since is not None:
        signals.append(Signal(rule=alert_rules.BUS_LOST, about=FLEET, is_raised=False))
        quiet_s = since(max(around.orchestrator_at or around.bus_since, around.bus_since), now)
        limit = thresholds.of(alert_rules.ORCHESTRATOR_SILENT, FLEET, {}).threshold
        says = around.orchestrator_says or "it does not answer"
        text = f"the orchestrator is not well for {quiet_s:.0f} s: {says}"
        is_quiet = quiet_s > limit
        if is_quiet or around.orchestrator_says == "":
            signals.append(
                Signal(
                    rule=alert_rules.ORCHESTRATOR_SILENT,
                    about=FLEET,
                    is_raised=is_quiet,
                    text=shortened(text),
                )
            )
    elif is_lost:
        text = f"the notifier has no connection to NATS for {away_s:.0f} s"
        signals.append(Signal(rule=alert_rules.BUS_LOST, about=FLEET, is_raised=True, text=text))
    return signals


def of_certificate(around: Surroundings, now: datetime, thresholds: Thresholds) -> list[Signal]:
    """Whether that of the bus is good for long enough."""
    if (ends := around.certificate_ends) is None:
        return []
    limit = timedelta(days=thresholds.of(alert_rules.CERTIFICATE, FLEET, {}).threshold)
    text = f"the certificate of the bus ends at {ends:%Y-%m-%d %H:%M} UTC"
    return [Signal(rule=alert_rules.CERTIFICATE, about=FLEET, is_raised=ends - now < limit, text=text)]
