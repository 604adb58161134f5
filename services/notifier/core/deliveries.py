"""Messages to channels: what comes at the same time goes out together, and what could not be sent is sent again. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.alert_rules import AlertAbout
from flotilla.schemas.alerting import AlertChange, AlertChangeKind
from flotilla.schemas.telemetry import Severity

GATHER: Final = timedelta(seconds=1)
"""How long a message waits for what else comes."""
GATHER_BUSY: Final = timedelta(seconds=5)
"""The same where one was sent just before."""
BUSY: Final = timedelta(seconds=10)
GIVE_UP: Final = timedelta(hours=24)
"""For so long it is tried to send a message."""
LONGEST_PAUSE_S: Final = 60.0
MOST_CHANGES: Final = 200
MOST_LINES: Final = 20
_SHOWN: Final = 300
_GRAVE: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message to one channel, with its id. `is_begun`: an attempt was, and whether it succeeded is not known.

    `more` counts the changes that found no room in it. `attempts` are those that were begun.
    """

    delivery_id: str
    channel: str
    changes: tuple[AlertChange, ...]
    created_at: datetime
    due_at: datetime
    more: int = 0
    attempts: int = 0
    is_begun: bool = False
    problem: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent."""

    title: str
    body: str
    severity: Severity


def gathered(
    change: AlertChange, waiting: Delivery | None, channel: str, last_sent: datetime | None, new_id: str
) -> Delivery:
    """The delivery that tells of a change: the one that waits for its channel and was not tried yet, or a new one."""
    if waiting is not None and waiting.attempts == 0:
        if len(waiting.changes) >= MOST_CHANGES:
            return msgspec.structs.replace(waiting, more=waiting.more + 1)
        return msgspec.structs.replace(waiting, changes=(*waiting.changes, change))
    is_busy = last_sent is not None and change.at - last_sent < BUSY
    return Delivery(
        delivery_id=new_id,
        channel=channel,
        changes=(change,),
        created_at=change.at,
        due_at=change.at + (GATHER_BUSY if is_busy else GATHER),
    )


def begun(delivery: Delivery) -> Delivery:
    """On record before it is sent."""
    return msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, is_begun=True)


def failed(delivery: Delivery, problem: str, now: datetime, *, is_unsure: bool) -> Delivery:
    """To be sent again, each time later: `is_unsure` where the channel may have got it."""
    pause = min(LONGEST_PAUSE_S, 2.0 ** min(delivery.attempts - 1, 10))
    return msgspec.structs.replace(
        delivery, is_begun=is_unsure, due_at=now + timedelta(seconds=pause), problem=problem
    )


def is_given_up(delivery: Delivery, now: datetime) -> bool:
    """True when it was tried for long enough."""
    return delivery.attempts > 0 and now - delivery.created_at > GIVE_UP


def message(delivery: Delivery) -> Message:
    """A delivery in words. One that may have been sent before says so."""
    last = _last_of_each(delivery.changes)
    gravest = max((one.alert.severity for one, _ in last), key=lambda severity: _GRAVE[severity])
    lines = [_line(change, first) for change, first in last]
    title = lines[0] if len(lines) == 1 else _summary(last, delivery.more)
    shown = [_details(last[0][0])] if len(lines) == 1 else lines[:MOST_LINES]
    if (hidden := max(0, len(lines) - MOST_LINES) + delivery.more) and len(lines) > 1:
        shown.append(f"and {hidden} more: `flotilla alert ls`")
    repeat = "(repeat) " if delivery.is_begun else ""
    return Message(
        title=f"{repeat}{title}"[:_SHOWN],
        body="\n".join([*shown, f"delivery {delivery.delivery_id}"]),
        severity=gravest,
    )


def _last_of_each(changes: Sequence[AlertChange]) -> list[tuple[AlertChange, AlertChange]]:
    """The last change of each alert with the first, the gravest alerts first."""
    found: dict[str, tuple[AlertChange, AlertChange]] = {}
    for change in changes:
        first = found.get(change.alert.alert_id, (change, change))[1]
        found[change.alert.alert_id] = (change, first)
    return sorted(found.values(), key=lambda pair: (-_GRAVE[pair[0].alert.severity], pair[1].at))


def _line(change: AlertChange, first: AlertChange) -> str:
    alert = change.alert
    who = f"engine {alert.about}: " if alert.about_kind == AlertAbout.ENGINE else ""
    how = "".join(_words(change, first))
    return f"[{alert.severity}] {how}{who}{alert.text or alert.rule}"[:_SHOWN]


def _words(change: AlertChange, first: AlertChange) -> Iterator[str]:
    match change.change:
        case AlertChangeKind.RESOLVED:
            is_new = first.change in (AlertChangeKind.OPENED, AlertChangeKind.REPEATED)
            yield "began and is over: " if is_new else "resolved: "
        case AlertChangeKind.REPEATED:
            yield "again: "
        case AlertChangeKind.FLAPPING:
            yield "flapping: "


def _details(change: AlertChange) -> str:
    alert = change.alert
    times = f"; it began {alert.times} times" if alert.times > 1 else ""
    labels = "".join(f"\n{key}={value}" for key, value in sorted(alert.labels.items()))
    return f"{alert.rule}, {change.change} at {change.at:%Y-%m-%d %H:%M:%S} UTC{times}\nalert {alert.alert_id}{labels}"


def _summary(last: Sequence[tuple[AlertChange, AlertChange]], more: int) -> str:
    over = sum(change.change == AlertChangeKind.RESOLVED for change, _ in last)
    counts = [
        f"{count} {severity}"
        for severity in reversed(tuple(Severity))
        if (
            count := sum(
                change.alert.severity == severity and change.change != AlertChangeKind.RESOLVED
                for change, _ in last
            )
        )
    ]
    if over:
        counts.append(f"{over} resolved")
    return f"{len(last) + more} alerts: {', '.join(counts)}"
