"""The emergency stops in force on a host: how one is set, lifted and obeyed. Pure."""

from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import StopOrder
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.supervisor.core.fleet_orders import OrderBook

type Flags = tuple[StopFlag, ...]

UNREADABLE: Final = "the stop flags of this host cannot be read, so nothing starts until all are lifted: "


def with_flag(flags: Flags, flag: StopFlag) -> Flags:
    """The flags and this one; when one names the same engine already, that stays, because it is older."""
    is_set = any(each.instance_id == flag.instance_id for each in flags)
    return flags if is_set else (*flags, flag)


def followed(flags: Flags, book: OrderBook, now: datetime) -> tuple[Flags, tuple[StopOrder, ...]]:
    """The flags as the fleet has them, and its stops in force that no flag was there for.

    A flag that somebody left here alone, or of which the fleet does not know, stays.
    """
    kept = tuple(flag for flag in flags if flag.order_id is None or flag.order_id not in book.lifted)
    missed = []
    for order in book.in_force.values():
        if any(flag.instance_id == order.instance_id for flag in kept):
            continue
        flag = StopFlag(
            since=now, instance_id=order.instance_id, reason=order.reason, order_id=order.order_id
        )
        kept = (*kept, flag)
        missed.append(order)
    return kept, tuple(missed)


def without_flag(flags: Flags, instance_id: str | None) -> Flags:
    """The flags without that of one engine; without any when no engine is named."""
    return () if instance_id is None else tuple(flag for flag in flags if flag.instance_id != instance_id)


def flag_on(flags: Flags, instance_id: str, *, is_worker: bool = False) -> StopFlag | None:
    """A flag that names this engine, or all of them."""
    return next((flag for flag in flags if flag.names(instance_id, is_worker=is_worker)), None)


def refuse_stopped(flags: Flags, instance_id: str, *, is_worker: bool = False) -> None:
    """Raises FaultError `conflict`, which says how to go on, for an engine that a flag names."""
    if (flag := flag_on(flags, instance_id, is_worker=is_worker)) is None:
        return
    of_whom = "of all engines" if flag.instance_id is None else f"of engine {instance_id}"
    why = f" ({flag.reason})" if flag.reason else ""
    raise fault(
        FaultCode.CONFLICT,
        f"an emergency stop {of_whom} is in force since {flag.since.isoformat(timespec='seconds')}{why}: lift it first (lift_stop)",
    )


def unreadable(now: datetime, problem: str) -> Flags:
    """What holds while nobody knows which flags were set: all engines are stopped."""
    return (StopFlag(since=now, reason=UNREADABLE + problem),)


def with_doubts(flags: Flags, stored: Flags, problem: str) -> Flags:
    """The flags; of those that could not be stored, each says so."""
    return tuple(flag if flag in stored else _unstored(flag, problem) for flag in flags)


def _unstored(flag: StopFlag, problem: str) -> StopFlag:
    reason = f"{flag.reason} (not stored, so it ends with this supervisor: {problem})".lstrip()
    return msgspec.structs.replace(flag, reason=reason)
