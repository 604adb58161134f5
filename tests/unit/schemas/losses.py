"""Limits, and what is kept of losses, for tests."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from flotilla.schemas.loss_limits import KeptLosses, LossLimits, Mark, Trip

MONDAY = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def limit(
    measure: str = "day", at: str = "100", action: str = "flatten", until: str = "resume"
) -> dict[str, str]:
    return {"measure": measure, "at": at, "action": action, "until": until}


def limits(*given: dict[str, str], **fields: Any) -> LossLimits:
    values = {"currency": "USD", "limits": given or (limit(),), **fields}
    return msgspec.convert(msgspec.to_builtins(values), LossLimits)


def mark(equity: str, at: datetime = MONDAY) -> Mark:
    return Mark(Decimal(equity), at)


def trip(measure: str, at: str, action: str, until: str = "resume", brake: int = 1) -> Trip:
    (made,) = limits(limit(measure, at, action, until)).limits
    return Trip(limit=made, at=MONDAY, equity=Decimal(900), lost=Decimal(100), brake=brake)


def kept(
    counted_from: str | None,
    *,
    peak: str | None = None,
    tripped: tuple[Trip, ...] = (),
    day: date | None = None,
) -> KeptLosses:
    return KeptLosses(
        currency="USD",
        day=day or MONDAY.date(),
        counted_from=mark(counted_from) if counted_from else None,
        peak=mark(peak) if peak else None,
        tripped=tripped,
    )
