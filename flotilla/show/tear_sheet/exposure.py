"""The part of a tear sheet that is of exposure: for how long a run was in the market, and with how much money."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from flotilla.schemas.backtest import ExposurePoint
from flotilla.schemas.figures import UNDEFINED, money, ratio, share
from flotilla.schemas.thinning import Point
from flotilla.show.tear_sheet.analysis import held, in_the_market
from flotilla.show.tear_sheet.charts import Line, Time, time_chart
from flotilla.show.tear_sheet.equity import time_of
from flotilla.show.tear_sheet.html import Html, element, note, section, table
from flotilla.show.tear_sheet.record import Record
from flotilla.show.tear_sheet.scales import short


def exposure(record: Record) -> Html:
    """What was held over time, in money and by instrument."""
    time = time_of(record)
    if time is None or not record.fills:
        return Html("")
    positions = held(record.fills, time.first, time.last)
    rows = [
        (
            each.instrument_id,
            share(each.long),
            share(each.short),
            _quantity(each.largest_long),
            _quantity(each.largest_short),
        )
        for each in positions
    ]
    whole = in_the_market(positions, time.first, time.last)
    return section(
        "Exposure",
        *_in_money(record, time),
        note(
            f"In the market for {share(whole)} of the run's time. Long and short are shares of it too; quantities are in the instruments' own units."
        ),
        table(("", ">long", ">short", ">most long", ">most short"), rows),
    )


def _in_money(record: Record, time: Time) -> Iterator[Html]:
    if not record.exposure:
        said = "What positions were worth is not on record, as of backtests that ran before it was kept: run it again to see it."
        yield note(said)
        return
    gross = _points(record.exposure, lambda each: each.gross)
    net = _points(record.exposure, lambda each: each.net)
    lines = [Line("gross", "accent", gross), *([Line("net", "ink", net)] if net != gross else [])]
    yield element(
        "h3", f"Value of positions, {record.currency}" + (", gross and net" if net != gross else "")
    )
    yield time_chart("value of positions", time, lines, written=short, zero=True)
    leverage = _points(record.exposure, lambda each: each.leverage)
    yield element("h3", "Leverage: gross value by equity")
    yield time_chart(
        *("leverage", time, [Line("leverage", "accent", leverage)]),
        written=short,
        is_area=True,
        is_small=True,
        zero=True,
    )
    yield table(
        ("", ">on average", ">most", ">at the end"),
        [
            _row(f"gross, {record.currency}", gross, money),
            _row(f"net, {record.currency}", net, money),
            _row("leverage", leverage, ratio),
        ],
        class_="name",
    )
    unknown = sum(each.gross is None for each in record.exposure)
    more = (
        f" At {unknown:,} of {len(record.exposure):,} moments there was no price or rate, and it is not known."
        if unknown
        else ""
    )
    yield note(
        "Notional values at the price that would close each position, at the moments of the equity curve; of an option its premium. Net is long less short; "
        f"most is the farthest from zero.{more}"
    )


def _points(points: Sequence[ExposurePoint], chosen: Callable[[ExposurePoint], float | None]) -> list[Point]:
    return [(each.at_ns, value) for each in points if (value := chosen(each)) is not None]


def _row(
    name: str, points: Sequence[Point], written: Callable[[float | None], str]
) -> tuple[str, str, str, str]:
    most = max((value for _, value in points), key=abs, default=None)
    return name, written(average(points)), written(most), written(points[-1][1] if points else None)


def average(points: Sequence[Point]) -> float | None:
    """Over time: each value holds until the next one; None of fewer than two moments."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    sums = math.fsum(value * (after - at) for (at, value), (after, _) in pairwise(points))
    return sums / (points[-1][0] - points[0][0])


def _quantity(value: float) -> str:
    return f"{value:,.10g}" if value else UNDEFINED
