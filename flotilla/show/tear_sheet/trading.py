"""The part of a tear sheet that is of trading: closed trades, prices with fills, positions over time, costs."""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from flotilla.schemas.backtest import ClosedTrade
from flotilla.schemas.figures import FIGURES, OF_TRADES, UNDEFINED, amount, amounts, money, share, written
from flotilla.schemas.telemetry import Fill
from flotilla.schemas.thinning import Point, thinned
from flotilla.show import formats
from flotilla.show.tear_sheet.analysis import Bins, Held, Side, distribution, held, side
from flotilla.show.tear_sheet.charts import Dots, Line, Time, bars, time_chart
from flotilla.show.tear_sheet.equity import moment, time_of
from flotilla.show.tear_sheet.html import Html, element, joined, note, section, table
from flotilla.show.tear_sheet.record import Record
from flotilla.show.tear_sheet.scales import scale, short

_LISTED: Final = 500
"""Trades in the list at most, half of them the first and half the last ones."""
_DOTS: Final = 2_000
"""Fills of one side that a chart shows at most."""
_CHARTS: Final = 4


def trades(record: Record) -> Html:
    """Winners beside losers, how results are distributed, and every trade."""
    metrics = record.view.metrics
    if metrics is None:
        return Html("")
    if not record.trades:
        return section("Trades", note("No trade was closed."))
    plain = [
        (FIGURES[name].label, written(name, getattr(metrics, name), record.currency)) for name in OF_TRADES
    ]
    return section(
        "Trades",
        element(
            "div",
            table(("", ">closed trades"), plain, class_="name"),
            _sides(record),
            class_="beside",
        ),
        _distribution(record),
        _listed(record),
    )


def _is_one_currency(record: Record) -> bool:
    return all(each.currency == record.currency for each in record.trades)


def _sides(record: Record) -> Html:
    """Sums of money where all trades are in the currency of the run."""
    won, lost = side(record.trades, 1), side(record.trades, -1)
    rows = [
        ("trades", f"{won.trades:,}", f"{lost.trades:,}"),
        ("longest in a row", f"{won.longest_run:,}", f"{lost.longest_run:,}"),
        ("held on average", _held_for(won), _held_for(lost)),
    ]
    if _is_one_currency(record):
        sums = [("total", won.total, lost.total), ("average", won.average, lost.average)]
        rows[1:1] = [
            (name, _bare(gained, record), _bare(given, record))
            for name, gained, given in (*sums, ("median", won.median, lost.median))
        ]
    return table(("", ">won", ">lost"), rows, class_="name")


def _bare(value: float | None, record: Record) -> str:
    return money(value, record.currency, is_bare=True)


def _held_for(one: Side) -> str:
    return UNDEFINED if one.average_s is None else formats.duration(one.average_s)


def _distribution(record: Record) -> Html:
    if not _is_one_currency(record):
        return note("Trades are in several currencies: their results are not drawn together.")
    found = distribution([float(each.pnl) for each in record.trades])
    if found is None:
        return Html("")
    styles = [
        "loss" if found.low + found.width * (n + 0.5) < 0 else "accent" for n in range(len(found.counts))
    ]
    return joined(
        (
            element("h3", f"Trades by result, {record.currency}"),
            bars("trades by result", found.counts, styles, list(_edges(found))),
        )
    )


def _edges(found: Bins) -> Iterator[tuple[float, str]]:
    high = found.low + found.width * len(found.counts)
    axis = scale(found.low, high, count=5, is_tight=True)
    for tick in axis.ticks:
        yield axis.part(tick), short(tick, axis.step)


def _listed(record: Record) -> Html:
    """All of them, or the first and last; where they are of one instrument and one currency, the heading says which."""
    everything, half = record.trades, _LISTED // 2
    instruments = {each.instrument_id for each in everything}
    currency = f", {record.currency}" if _is_one_currency(record) else ""
    names = ["instrument"] if len(instruments) > 1 else []
    head = ("in", "out", "position", *names, ">from", ">to", ">commission", f">result{currency}")
    chosen = everything if len(everything) <= _LISTED else (*everything[:half], *everything[-half:])
    rows = [_trade(record, each, has_name=bool(names), has_currency=not currency) for each in chosen]
    if left := len(everything) - len(chosen):
        rows.insert(half, ("…", f"{left:,} more", *[""] * (len(head) - 2)))
    return element("details", element("summary", f"All {len(everything):,} trades"), table(head, rows))


def _trade(record: Record, one: ClosedTrade, *, has_name: bool, has_currency: bool) -> tuple[str, ...]:
    return (
        moment(record, one.entry_time_ns),
        moment(record, one.exit_time_ns),
        f"{one.side} {amount(one.quantity)}",
        *([one.instrument_id] if has_name else []),
        f"{one.entry_price:,.10g}",
        f"{one.exit_price:,.10g}",
        amount(one.commission),
        f"{amount(one.pnl)} {one.currency}" if has_currency else amount(one.pnl),
    )


def prices(record: Record) -> Html:
    """Each instrument's price with the fills, and below it the position."""
    time = time_of(record)
    if time is None:
        return Html("")
    positions = {each.instrument_id: each for each in held(record.fills, time.first, time.last)}
    priced = record.priced()
    if not priced:
        said = "Prices are not on record, as of backtests that ran before they were kept: run it again to see them."
        charts = [_position(one, time) for one in list(positions.values())[:_CHARTS]]
        return section("Prices and fills", note(said), *charts)
    charts = [
        _priced(name, points, record.fills, positions.get(name), time) for name, points in priced.items()
    ]
    left = len(record.view.config.instruments) - len(priced)
    return section(
        "Prices and fills", *charts, note(f"{left:,} more instruments are not drawn.") if left > 0 else ""
    )


def _priced(
    name: str, points: Sequence[Point], fills: Sequence[Fill], position: Held | None, time: Time
) -> Html:
    dots = [
        Dots(f"{word} ({len(found):,})", style, thinned(found, _DOTS), is_hollow)
        for word, style, is_hollow, given in (
            ("bought", "accent", False, "BUY"),
            ("sold", "loss", True, "SELL"),
        )
        if (
            found := [
                (each.ts_event, float(each.last_px))
                for each in fills
                if (each.instrument_id, each.side) == (name, given)
            ]
        )
    ]
    drawn = time_chart(f"price of {name}", time, [Line("price", "ink", points)], written=short, dots=dots)
    if not drawn:
        return note(f"There is one price of {name} only.")
    return joined((element("h3", name), drawn, _position(position, time) if position else ""))


def _position(position: Held, time: Time) -> Html:
    line = Line("position", "accent", position.steps, is_steps=True)
    return joined(
        (
            element("h3", f"Position, {position.instrument_id}"),
            time_chart("position", time, [line], written=short, is_area=True, is_small=True, zero=True),
        )
    )


def by_strategy(record: Record) -> Html:
    """What each of several strategies did."""
    summary = record.view.summary
    if summary is None or not summary.strategies:
        return Html("")
    rows = [
        (
            one.strategy_id,
            *(f"{count:,}" for count in (one.orders, one.fills, one.trades, one.positions_open)),
            amounts(one.pnl) or UNDEFINED,
            amounts(one.fees) or UNDEFINED,
        )
        for one in summary.strategies
    ]
    head = ("strategy", ">orders", ">fills", ">closed trades", ">open", ">closed trades earned", ">fees")
    return section("Strategies", table(head, rows))


def costs(record: Record) -> Html:
    """What trading cost: fees by fill, by trade, and of what was earned before them."""
    if not record.fills:
        return section("Costs", note("Nothing was filled: there were no costs."))
    makers = sum(each.liquidity_side == "MAKER" for each in record.fills)
    rows = [
        ("fees", amounts(record.fees) or UNDEFINED),
        ("fills", f"{len(record.fills):,}, of which {makers:,} as maker"),
        *(_in_one_currency(record) if len(record.fees) == 1 and record.currency in record.fees else ()),
    ]
    return section("Costs", table(("", ">"), rows, class_="name"))


def _in_one_currency(record: Record) -> Iterator[tuple[str, str]]:
    total, currency = float(Decimal(record.fees[record.currency])), record.currency
    yield "fees a fill", money(total / len(record.fills), currency)
    if record.curve and record.curve[0].equity > 0:
        yield "fees, of what it began with", share(total / record.curve[0].equity)
    if record.trades and _is_one_currency(record):
        after = math.fsum(float(each.pnl) for each in record.trades)
        paid = math.fsum(float(each.commission) for each in record.trades)
        yield "closed trades before fees", money(after + paid, currency)
        yield "closed trades after fees", money(after, currency)
