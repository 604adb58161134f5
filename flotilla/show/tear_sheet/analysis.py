"""What a tear sheet works out from the lists of a result: drawdowns, months, positions over time, trades by their result.

The headline figures are not made here: they are those on record.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flotilla.schemas.backtest import ClosedTrade, EquityPoint
from flotilla.schemas.telemetry import Fill
from flotilla.schemas.thinning import Point
from flotilla.show.tear_sheet.scales import scale

DAY_NS: Final = 86_400_000_000_000
_NS: Final = 1_000_000_000
_BINS: Final = 24


class Drawdown(NamedTuple):
    """From a high (UNIX ns) to the lowest point, `depth` 0 or less, and to the first sample as high again; None: never by the end."""

    peak_ns: int
    bottom_ns: int
    recovered_ns: int | None
    depth: float
    days: float


def zone_of(name: str) -> tzinfo | None:
    """An IANA time zone; None where this machine does not know it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def drawdowns(curve: Sequence[EquityPoint]) -> list[Drawdown]:
    """All of them, the deepest first; the first one is that of the headline figures (`schemas/performance.py`)."""
    if not curve or curve[0].equity <= 0:
        return []
    found: list[Drawdown] = []
    high = bottom = curve[0]
    for point in curve:
        if point.equity < high.equity:
            bottom = point if bottom is high or point.equity < bottom.equity else bottom
            continue
        if bottom is not high:
            found.append(_drawdown(high, bottom, point.at_ns, point.at_ns))
        high = bottom = point
    if bottom is not high:
        found.append(_drawdown(high, bottom, None, curve[-1].at_ns))
    return sorted(found, key=lambda each: each.depth)


def _drawdown(high: EquityPoint, bottom: EquityPoint, recovered_ns: int | None, end_ns: int) -> Drawdown:
    depth = bottom.equity / high.equity - 1.0
    return Drawdown(high.at_ns, bottom.at_ns, recovered_ns, depth, (end_ns - high.at_ns) / DAY_NS)


class Year(NamedTuple):
    """Returns by month, 1 to 12, and of the whole year; None where equity was nothing before."""

    year: int
    months: Mapping[int, float | None]
    whole: float | None


def monthly_returns(curve: Sequence[EquityPoint], zone: tzinfo) -> list[Year]:
    """From one month's last sample to the next one's, by the calendar of `zone`; a sample at midnight belongs to the day that it ends."""
    ends: dict[tuple[int, int], float] = {}
    for point in curve[1:]:
        day = datetime.fromtimestamp((point.at_ns - 1) // _NS, zone)
        ends[day.year, day.month] = point.equity
    years: dict[int, dict[int, float | None]] = defaultdict(dict)
    starts: dict[int, float] = {}
    before = curve[0].equity if curve else 0.0
    for (year, month), equity in ends.items():
        starts.setdefault(year, before)
        years[year][month] = _return(before, equity)
        before = equity
    lasts = {year: equity for (year, _), equity in ends.items()}
    return [Year(year, months, _return(starts[year], lasts[year])) for year, months in years.items()]


def _return(before: float, after: float) -> float | None:
    return after / before - 1.0 if before > 0 else None


class Held(NamedTuple):
    """The net position of an instrument after each of its fills, and the shares of a run's time that it was long and short."""

    instrument_id: str
    steps: tuple[Point, ...]
    long: float
    short: float
    largest_long: float
    largest_short: float


def held(fills: Iterable[Fill], first: int, last: int) -> list[Held]:
    """By instrument, in the order in which they were first traded, over the time from `first` to `last` (UNIX ns)."""
    steps: dict[str, list[tuple[int, Decimal]]] = {}
    for fill in fills:
        there = steps.setdefault(fill.instrument_id, [(first, Decimal(0))])
        quantity = Decimal(fill.last_qty)
        there.append((fill.ts_event, there[-1][1] + (quantity if fill.side == "BUY" else -quantity)))
    return [_held(name, there, first, last) for name, there in steps.items()]


def _held(name: str, steps: Sequence[tuple[int, Decimal]], first: int, last: int) -> Held:
    whole = max(1, last - first)
    spans = [(quantity, after - at) for (at, quantity), (after, _) in pairwise([*steps, (last, Decimal(0))])]
    return Held(
        instrument_id=name,
        steps=(*((at, float(quantity)) for at, quantity in steps), (last, float(steps[-1][1]))),
        long=math.fsum(span for quantity, span in spans if quantity > 0) / whole,
        short=math.fsum(span for quantity, span in spans if quantity < 0) / whole,
        largest_long=float(max(quantity for _, quantity in steps)),
        largest_short=float(min(quantity for _, quantity in steps)),
    )


def in_the_market(positions: Sequence[Held], first: int, last: int) -> float:
    """The share of the time from `first` to `last` (UNIX ns) in which any of the positions was open."""
    steps = [(at, number, held) for number, each in enumerate(positions) for at, held in each.steps[:-1]]
    # By time alone: of two changes of one position at the same moment the later one counts.
    changes = sorted(steps, key=lambda step: step[0])
    now: dict[int, float] = {}
    open_ns, since = 0, first
    for at, number, quantity in changes:
        open_ns += at - since if any(now.values()) else 0
        now[number], since = quantity, at
    open_ns += last - since if any(now.values()) else 0
    return open_ns / max(1, last - first)


class Bins(NamedTuple):
    """How many trades gave from `low + n * width` to the next: zero is an edge."""

    low: float
    width: float
    counts: tuple[int, ...]


def distribution(results: Sequence[float]) -> Bins | None:
    """Trades by their result in bins of a round width; None without trades. A trade on an edge is in the bin above it."""
    if not results:
        return None
    axis = scale(min(*results, 0.0), max(*results, 0.0), count=_BINS)
    counts = [0] * max(1, round((axis.high - axis.low) / axis.step))
    for result in results:
        counts[min(len(counts) - 1, max(0, math.floor((result - axis.low) / axis.step + 1e-9)))] += 1
    return Bins(axis.low, axis.step, tuple(counts))


class Side(NamedTuple):
    """Trades that won, or that lost. Money is in the trades' currency, times are simulated seconds; None where there are none."""

    trades: int
    total: float
    average: float | None
    median: float | None
    average_s: float | None
    longest_run: int


def side(trades: Sequence[ClosedTrade], sign: int) -> Side:
    """The trades that won (1) or lost (-1), and how many of them came in a row at most."""
    chosen = [each for each in trades if sign * float(each.pnl) > 0]
    results = sorted(float(each.pnl) for each in chosen)
    count, run, longest = len(chosen), 0, 0
    for each in trades:
        run = run + 1 if sign * float(each.pnl) > 0 else 0
        longest = max(longest, run)
    middle = (results[(count - 1) // 2] + results[count // 2]) / 2 if count else None
    return Side(
        trades=count,
        total=math.fsum(results),
        average=math.fsum(results) / count if count else None,
        median=middle,
        average_s=math.fsum(each.duration_s for each in chosen) / count if count else None,
        longest_run=longest,
    )
