"""Alerts: one that holds is opened once, told again when it comes back soon, called flapping when that goes on, and resolved. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.alerting import (
    AlertChange,
    AlertChangeKind,
    AlertState,
    AlertView,
    Channel,
    Mute,
)
from flotilla.schemas.telemetry import Severity
from flotilla.services.notifier.core.signals import InForce, Signal, Thresholds, is_set

BACK_WITHIN: Final = timedelta(minutes=10)
"""What begins again so soon after it was over is the same alert."""
FLAPPING_AT: Final = 4
"""It flaps from so many beginnings within that time on."""
STEADY: Final = timedelta(minutes=2)
"""A flapping alert is resolved when it did not begin for so long."""
_GRAVE: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, and what is kept besides: when it began, the last few times; since when a flapping one does not hold; who was told."""

    view: AlertView
    began: tuple[datetime, ...] = ()
    quiet_since: datetime | None = None
    told: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """As Signal.key."""
        return self.view.rule, self.view.about, self.view.code


class Step(msgspec.Struct, frozen=True):
    """An alert after a signal. `change` is what is told of it; null: nothing."""

    record: AlertRecord
    change: AlertChangeKind | None = None


def take(
    signal: Signal, current: AlertRecord | None, thresholds: Thresholds, now: datetime, new_id: str
) -> Step | None:
    """What a signal makes of the alert of its key that is open, or was lately; None where it changes nothing."""
    force = thresholds.of(signal.rule, signal.about, signal.labels)
    if not signal.is_raised:
        return _over(current, now)
    if not force.is_on:
        return None
    severity = _severity(signal, force, thresholds)
    if signal.happened or signal.rule.is_event:
        view = _opened(signal, severity, now, new_id)
        return Step(
            AlertRecord(view=msgspec.structs.replace(view, state=AlertState.TOLD)), AlertChangeKind.OPENED
        )
    if current is None or not _is_same(current, now):
        record = AlertRecord(view=_opened(signal, severity, now, new_id), began=(now,))
        return Step(record, AlertChangeKind.OPENED)
    if current.view.state == AlertState.OPEN:
        return _still(signal, current, severity, now)
    return _again(signal, current, severity, now)


def ended(current: AlertRecord, now: datetime) -> Step:
    """An alert that is over whatever is seen, such as one whose rule was switched off."""
    return _resolved(msgspec.structs.replace(current, quiet_since=None), now)


def settled(current: AlertRecord, now: datetime) -> Step | None:
    """A flapping alert that has been quiet for long enough is resolved."""
    if current.quiet_since is None or now - current.quiet_since < STEADY:
        return None
    return _resolved(current, now)


def is_done_with(record: AlertRecord, now: datetime) -> bool:
    """True when nothing that comes can be the same alert."""
    return record.view.state != AlertState.OPEN and not _is_same(record, now)


def _is_same(current: AlertRecord, now: datetime) -> bool:
    over = current.view.resolved_at
    return current.view.state == AlertState.OPEN or (over is not None and now - over < BACK_WITHIN)


def _opened(signal: Signal, severity: Severity, now: datetime, new_id: str) -> AlertView:
    return AlertView(
        alert_id=new_id,
        rule=signal.rule.code,
        about_kind=signal.rule.about,
        about=signal.about,
        severity=severity,
        text=signal.text,
        state=AlertState.OPEN,
        opened_at=now,
        changed_at=now,
        code=signal.code,
        labels=signal.labels,
    )


def _severity(signal: Signal, force: InForce, thresholds: Thresholds) -> Severity:
    if is_set(signal.rule, thresholds.settings):
        return force.severity
    if signal.rule.is_as_raised and signal.severity is not None:
        return signal.severity
    return Severity.CRITICAL if signal.rule.is_graver_live and signal.is_live else force.severity


def _still(signal: Signal, current: AlertRecord, severity: Severity, now: datetime) -> Step | None:
    if current.quiet_since is not None:
        view = msgspec.structs.replace(current.view, times=current.view.times + 1, changed_at=now)
        began = (*_lately(current.began, now), now)
        return Step(msgspec.structs.replace(current, view=view, began=began, quiet_since=None))
    if _GRAVE[severity] <= _GRAVE[current.view.severity]:
        return None
    view = msgspec.structs.replace(current.view, severity=severity, text=signal.text, changed_at=now)
    return Step(msgspec.structs.replace(current, view=view), AlertChangeKind.REPEATED)


def _again(signal: Signal, current: AlertRecord, severity: Severity, now: datetime) -> Step:
    began = (*_lately(current.began, now), now)
    is_flapping = len(began) >= FLAPPING_AT
    view = msgspec.structs.replace(
        current.view,
        state=AlertState.OPEN,
        severity=severity,
        text=signal.text,
        times=current.view.times + 1,
        is_flapping=is_flapping,
        changed_at=now,
        resolved_at=None,
        labels=signal.labels,
        acknowledged_by="" if not is_flapping else current.view.acknowledged_by,
        acknowledged_at=None if not is_flapping else current.view.acknowledged_at,
    )
    change = AlertChangeKind.FLAPPING if is_flapping else AlertChangeKind.REPEATED
    return Step(msgspec.structs.replace(current, view=view, began=began, quiet_since=None), change)


def _lately(began: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in began if now - at < BACK_WITHIN)[-FLAPPING_AT:]


def _over(current: AlertRecord | None, now: datetime) -> Step | None:
    if current is None or current.view.state != AlertState.OPEN:
        return None
    if current.view.is_flapping:
        if current.quiet_since is not None:
            return None
        return Step(msgspec.structs.replace(current, quiet_since=now))
    return _resolved(current, now)


def _resolved(current: AlertRecord, now: datetime) -> Step:
    view = msgspec.structs.replace(
        current.view, state=AlertState.RESOLVED, resolved_at=now, changed_at=now, is_flapping=False
    )
    return Step(msgspec.structs.replace(current, view=view, quiet_since=None), AlertChangeKind.RESOLVED)


def acknowledged(current: AlertRecord, by: str, note: str, now: datetime) -> Step:
    """Somebody has taken it on."""
    view = msgspec.structs.replace(
        current.view, acknowledged_by=by, acknowledged_at=now, note=note, changed_at=now
    )
    return Step(msgspec.structs.replace(current, view=view), AlertChangeKind.ACKNOWLEDGED)


def is_muted(view: AlertView, mutes: Iterable[Mute], now: datetime) -> bool:
    """True while a mute is in force that fits."""
    return any(
        one.until > now
        and one.rule in (None, view.rule)
        and one.about in (None, view.about)
        and one.labels.items() <= view.labels.items()
        for one in mutes
    )


def hearers(
    change: AlertChange, record: AlertRecord, channels: Iterable[Channel], mutes: Iterable[Mute]
) -> tuple[str, ...]:
    """The channels that are told of a change: of an end those that were told of the beginning."""
    kind, view = change.change, change.alert
    if kind == AlertChangeKind.ACKNOWLEDGED or is_muted(view, mutes, change.at):
        return ()
    if kind == AlertChangeKind.RESOLVED:
        return tuple(
            one.name for one in channels if one.is_on and one.tells_resolved and one.name in record.told
        )
    if view.acknowledged_by:
        return ()
    return tuple(one.name for one in channels if _gets(one, view))


def _gets(channel: Channel, view: AlertView) -> bool:
    return (
        channel.is_on
        and _GRAVE[view.severity] >= _GRAVE[channel.severity]
        and (not channel.rules or view.rule in channel.rules)
        and channel.labels.items() <= view.labels.items()
    )
