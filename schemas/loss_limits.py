"""Loss limits of an engine: how much of its marked equity may be lost in a day, or since its highest, and what follows.

Equity is what the engine's accounts are worth with everything open valued at the market, in one currency.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.local_times import LocalTime, check_timezone

LIMIT: Final = "limit"
"""Who put a brake on that a loss limit put on."""


class LossMeasure(StrEnum):
    """From where a loss is counted: from the day's first equity, or from the highest one ever."""

    DAY = "day"
    DRAWDOWN = "drawdown"


class LimitAction(StrEnum):
    """What follows when a limit is reached, from the mildest to the gravest. All are told in an alert.

    `reduce`: strategies may reduce only, and orders that could open or add are cancelled. `flatten`: they are halted, and every position is
    closed. `stop`: that too, and the session ends.
    """

    ALERT = "alert"
    REDUCE = "reduce"
    FLATTEN = "flatten"
    STOP = "stop"


class LiftedBy(StrEnum):
    """What sets an engine free again: a person who resumes it, or the next trading day too."""

    RESUME = "resume"
    NEXT_DAY = "next_day"


class LossLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit. `at` is an amount of the limits' currency (`500`) or a share of what the loss is counted from (`2%`); that much is too much."""

    measure: LossMeasure
    at: Annotated[str, Meta(pattern=r"\A[0-9]{1,15}(\.[0-9]{1,10})?%?\Z")]
    action: LimitAction
    until: LiftedBy = LiftedBy.RESUME

    def __post_init__(self) -> None:
        if self.number <= 0 or (self.is_share and self.number > 100):
            raise ValueError("`at` must be an amount above 0, or a share of at most 100%")
        if self.measure == LossMeasure.DRAWDOWN and self.until == LiftedBy.NEXT_DAY:
            raise ValueError("`until` must be resume: a drawdown does not end with the day")

    @property
    def is_share(self) -> bool:
        """True where it is a share of what the loss is counted from."""
        return self.at.endswith("%")

    @property
    def number(self) -> Decimal:
        """The amount, or the per cent."""
        return Decimal(self.at.removesuffix("%"))

    def amount(self, base: Decimal) -> Decimal:
        """How much may not be lost from `base`, in the limits' currency."""
        return base * self.number / 100 if self.is_share else self.number

    @property
    def text(self) -> str:
        """`day 2% (flatten)`."""
        return f"{self.measure} {self.at} ({self.action})"


class LossLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of an engine and the currency that its equity is counted in. A trading day begins at `rollover`, local time of `timezone`."""

    currency: Annotated[str, Meta(pattern=r"\A[A-Z0-9]{2,12}\Z")]
    limits: Annotated[tuple[LossLimit, ...], Meta(min_length=1, max_length=8)]
    timezone: str = "UTC"
    rollover: LocalTime = "00:00"

    def __post_init__(self) -> None:
        check_timezone(self.timezone)
        if len(set(self.limits)) < len(self.limits):
            raise ValueError("`limits` must not have one twice")


class Mark(msgspec.Struct, frozen=True):
    """The equity at a moment."""

    equity: Decimal
    at: datetime


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was reached: when, at what equity, and how much was lost. `brake` is the number of the brake that holds for it."""

    limit: LossLimit
    at: datetime
    equity: Decimal
    lost: Decimal
    brake: int = 0


class KeptLosses(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an engine's equity from one session to the next. `counted_from` is where the loss of `day` counts from.

    Both marks are null until there is one. `tripped` are the limits that were reached and not lifted yet; `beneath` is the brake that
    was on when they put on theirs, and is again when that ends by itself.
    """

    currency: str = ""
    day: date | None = None
    counted_from: Mark | None = None
    peak: Mark | None = None
    tripped: tuple[Trip, ...] = ()
    beneath: EngineBrake = RELEASED

    def base(self, measure: LossMeasure) -> Mark | None:
        """Where a loss counts from; null while that is not known."""
        return self.counted_from if measure == LossMeasure.DAY else self.peak


NOTHING_KEPT: Final = KeptLosses()


class LossesView(msgspec.Struct, frozen=True, kw_only=True):
    """Limits, what was lost and which were reached. `last` is the last equity that was known, null where no session is heard.

    `unknown` says why the equity is not known now; empty while it is.
    """

    limits: LossLimits | None = None
    kept: KeptLosses = NOTHING_KEPT
    last: Mark | None = None
    unknown: tuple[str, ...] = ()

    def lost(self, measure: LossMeasure) -> Decimal | None:
        """How much is lost now, less than 0 for a gain; None while that is not known."""
        base = self.kept.base(measure)
        return None if base is None or self.last is None else base.equity - self.last.equity


def resumed(kept: KeptLosses) -> KeptLosses:
    """After a person set the engine free: what a limit was reached by counts anew, from the next mark."""
    measures = {trip.limit.measure for trip in kept.tripped}
    return msgspec.structs.replace(
        kept,
        tripped=(),
        beneath=RELEASED,
        counted_from=None if LossMeasure.DAY in measures else kept.counted_from,
        peak=None if LossMeasure.DRAWDOWN in measures else kept.peak,
    )


def handed_over(kept: KeptLosses, before: int, after: int) -> KeptLosses:
    """After the brake that holds for a limit came to be somebody's own, under another number: what the limit asks for is done on."""
    tripped = tuple(
        msgspec.structs.replace(trip, brake=after) if trip.brake == before else trip for trip in kept.tripped
    )
    return msgspec.structs.replace(kept, tripped=tripped)
