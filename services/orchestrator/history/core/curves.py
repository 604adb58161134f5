"""Rows of one engine as the lists of a History, and how fine it can be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

import msgspec

from flotilla.schemas.history import (
    CountsHistory,
    EquityHistory,
    HistoryGap,
    Measure,
    PnlHistory,
    ResourcesHistory,
)
from flotilla.services.orchestrator.history.core.buckets import STEP


class Step(StrEnum):
    """How far apart rows are that are kept."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"


WIDTH: Final = {
    Step.SECONDS: STEP,
    Step.MINUTES: timedelta(minutes=1),
    Step.HOURS: timedelta(hours=1),
}
KEPT: Final = {Step.SECONDS: timedelta(days=2), Step.MINUTES: timedelta(days=31)}
"""For how long at least. Seconds for more than a day, so that each day of each time zone begins in them."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an engine from `at` on."""

    at: datetime
    samples: int
    equity_currency: str | None = None
    equity_first: Decimal | None = None
    equity_min: Decimal | None = None
    equity_max: Decimal | None = None
    equity_last: Decimal | None = None
    equity_unknown: tuple[str, ...] = ()
    realized_pnl: Mapping[str, str] = {}
    unrealized_pnl: Mapping[str, str] = {}
    net_positions: Mapping[str, str] = {}
    orders_open: int | None = None
    positions_open: int | None = None
    fills_total: int | None = None
    memory_bytes: int | None = None
    cpu_fraction: float | None = None


class Cut(msgspec.Struct, frozen=True):
    """From which rows, and how wide each point is."""

    step: Step
    width: timedelta


def cut(since: datetime, until: datetime, points: int, now: datetime) -> Cut:
    """The finest that is kept of this time, and no finer than so many points need; points are whole steps wide."""
    wanted = (until - since) / points
    step = next((one for one in (Step.HOURS, Step.MINUTES) if wanted >= WIDTH[one]), Step.SECONDS)
    if now - since > KEPT[Step.MINUTES]:
        step = Step.HOURS
    elif now - since > KEPT[Step.SECONDS] and step is Step.SECONDS:
        step = Step.MINUTES
    width = WIDTH[step] * max(1, -(-wanted // WIDTH[step]))
    return Cut(step, width)


def with_breaks(rows: Sequence[Row], width: timedelta) -> list[Row]:
    """The rows, and one of nulls where a gap begins."""
    made: list[Row] = []
    for row in rows:
        if made and row.at - made[-1].at > width:
            made.append(Row(at=made[-1].at + width, samples=0))
        made.append(row)
    return made


def gaps(
    rows: Sequence[Row], width: timedelta, lost: Sequence[tuple[datetime, datetime]]
) -> tuple[HistoryGap, ...]:
    """Where rows are further apart than they are wide; what was `lost` is so called."""
    found = []
    for before, after in pairwise(rows):
        since, until = before.at + width, after.at
        if until > since:
            is_lost = any(first < until and last > since for first, last in lost)
            found.append(HistoryGap(since=since, until=until, is_lost=is_lost))
    return tuple(found)


def lists(rows: Sequence[Row], measures: Sequence[Measure]) -> dict[str, Any]:
    """The fields of a History that were asked for."""
    makers: Mapping[Measure, tuple[str, Callable[[Sequence[Row]], Any]]] = {
        Measure.EQUITY: ("equity", _equity),
        Measure.PNL: ("pnl", _pnl),
        Measure.POSITIONS: ("net_positions", lambda rows: _by_name(rows, "net_positions")),
        Measure.COUNTS: ("counts", _counts),
        Measure.RESOURCES: ("resources", _resources),
    }
    return {field: make(rows) for field, make in (makers[one] for one in measures)}


def _equity(rows: Sequence[Row]) -> EquityHistory:
    return EquityHistory(
        currency=_of(rows, "equity_currency"),
        first=_of(rows, "equity_first"),
        min=_of(rows, "equity_min"),
        max=_of(rows, "equity_max"),
        last=_of(rows, "equity_last"),
        unknown=_of(rows, "equity_unknown"),
    )


def _pnl(rows: Sequence[Row]) -> PnlHistory:
    return PnlHistory(realized=_by_name(rows, "realized_pnl"), unrealized=_by_name(rows, "unrealized_pnl"))


def _counts(rows: Sequence[Row]) -> CountsHistory:
    names = CountsHistory.__struct_fields__
    return CountsHistory(**{name: _of(rows, name) for name in names})


def _resources(rows: Sequence[Row]) -> ResourcesHistory:
    names = ResourcesHistory.__struct_fields__
    return ResourcesHistory(**{name: _of(rows, name) for name in names})


def _of(rows: Sequence[Row], field: str) -> tuple[Any, ...]:
    return tuple(getattr(row, field) for row in rows)


def _by_name(rows: Sequence[Row], field: str) -> dict[str, tuple[str | None, ...]]:
    figures: list[Mapping[str, str]] = [getattr(row, field) for row in rows]
    return {
        name: tuple(each.get(name) for each in figures)
        for name in sorted({name for each in figures for name in each})
    }
