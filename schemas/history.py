"""What engines measured, over time: equity, profit and loss, positions, orders and what they used, in steps that grow coarser with age.

Money is decimal text. Every list of a `History` has as many entries as `at`.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import InstanceId
from flotilla.schemas.labels import Labels
from flotilla.schemas.ledger import Engines, Moment

Zone = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9_+/-]{1,64}\Z", description="An IANA time zone, such as Europe/Berlin.")
]


class Measure(StrEnum):
    """What can be asked for."""

    EQUITY = "equity"
    PNL = "pnl"
    POSITIONS = "positions"
    COUNTS = "counts"
    RESOURCES = "resources"


class ReadHistory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for what an engine measured from `since` (a day before `until`, unless it is said) to `until` (now), in at most `points` points."""

    instance_id: InstanceId
    since: Moment | None = None
    until: Moment | None = None
    points: Annotated[int, Meta(ge=1, le=2000)] = 300
    measures: tuple[Measure, ...] = tuple(Measure)


class EquityHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Marked equity of each point: the first and the last that was known in it, the least and the most. All null where none was known.

    `unknown` says what was not known last in that point, as MarkedEquity does: also where the equity was known before.
    """

    currency: tuple[str | None, ...]
    first: tuple[Decimal | None, ...]
    min: tuple[Decimal | None, ...]
    max: tuple[Decimal | None, ...]
    last: tuple[Decimal | None, ...]
    unknown: tuple[tuple[str, ...], ...]


class PnlHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss by currency, as it was last in each point; null where the engine named none in that currency."""

    realized: dict[str, tuple[str | None, ...]]
    unrealized: dict[str, tuple[str | None, ...]]


class CountsHistory(msgspec.Struct, frozen=True, kw_only=True):
    """As they were last in each point; `fills_total` counts from the start of a session."""

    orders_open: tuple[int | None, ...]
    positions_open: tuple[int | None, ...]
    fills_total: tuple[int | None, ...]


class ResourcesHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The most memory of each point in bytes, and the mean of the processors used, 1.0 being one core."""

    memory_bytes: tuple[int | None, ...]
    cpu_fraction: tuple[float | None, ...]


class HistoryGap(msgspec.Struct, frozen=True, kw_only=True):
    """No point lies between two that are there. `is_lost`: the engine was heard, and what it said could not be kept."""

    since: datetime
    until: datetime
    is_lost: bool


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine measured. `at` is where each point begins, `width_s` how long it is, `step_s` how fine what is kept of that time was.

    Where nothing was heard there is no point, but for one of nulls (`samples` 0) at the beginning of each gap, so that a line through the points
    breaks there. What was not asked for is null.
    """

    instance_id: InstanceId
    since: datetime
    until: datetime
    width_s: float
    step_s: float
    at: tuple[datetime, ...]
    samples: tuple[int, ...]
    gaps: tuple[HistoryGap, ...] = ()
    equity: EquityHistory | None = None
    pnl: PnlHistory | None = None
    net_positions: dict[str, tuple[str | None, ...]] | None = None
    counts: CountsHistory | None = None
    resources: ResourcesHistory | None = None


class ReadDays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the equity with which engines began the present day of a zone; without ids and labels of all."""

    instance_ids: Engines = ()
    labels: Labels = {}
    timezone: Zone = "UTC"


class DayStart(msgspec.Struct, frozen=True, kw_only=True):
    """The first equity of the day that was known, and when."""

    amount: Decimal
    currency: str
    at: datetime


class DayStarts(msgspec.Struct, frozen=True, kw_only=True):
    """By engine, for those of which an equity is known today. `since` is when the day began; `is_whole` false: not all fit."""

    since: datetime
    days: dict[InstanceId, DayStart]
    is_whole: bool = True
