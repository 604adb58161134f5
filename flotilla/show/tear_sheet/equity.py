"""The part of a tear sheet that is of marked equity: its figures, the curve beside a benchmark, drawdowns, months."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from flotilla.schemas.backtest import Metrics
from flotilla.schemas.figures import FIGURES, OF_EQUITY, UNDEFINED, amounts, days, share, written
from flotilla.schemas.thinning import Point
from flotilla.show import formats
from flotilla.show.figure_tables import began_with, is_default_balance
from flotilla.show.tear_sheet.analysis import Year, drawdowns, monthly_returns
from flotilla.show.tear_sheet.charts import Line, Time, time_chart
from flotilla.show.tear_sheet.html import Html, element, joined, note, section, table
from flotilla.show.tear_sheet.record import Record
from flotilla.show.tear_sheet.scales import percent, short

_WORST: Final = 8
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHADES: Final = (0.02, 0.04, 0.08)
"""Where a month's colour becomes stronger: the same on every sheet, so that sheets can be laid side by side."""


def time_of(record: Record) -> Time | None:
    """The time that its charts show; None of a run of one moment."""
    curve = record.curve
    if len(curve) < 2 or curve[0].at_ns == curve[-1].at_ns:
        return None
    return Time(curve[0].at_ns, curve[-1].at_ns, record.zone)


def moment(record: Record, at_ns: int) -> str:
    """A day in UTC, with the time where days do not tell moments apart."""
    if not record.is_short:
        return formats.day(at_ns)
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M}"


def figures(record: Record) -> Html:
    """All figures of marked equity, with NautilusTrader's own beside them."""
    metrics, summary = record.view.metrics, record.view.summary
    if metrics is None:
        return Html("")
    rows = [*_of_equity(record, metrics), *_money(record, metrics)]
    if summary is None:
        said = "These figures are of realized returns, as they were defined before; run it again for figures of marked equity."
        return section("Figures", element("p", said, class_="warn"), table(("", "> "), rows, class_="name"))
    years = "an unknown time" if summary.years is None else f"{summary.years:,.2f} years"
    said = (
        f"Of {summary.returns:,} returns from one day's end ({summary.timezone}) to the next over {years}; the drawdown is of every point "
        "of the curve. NautilusTrader's are of realized returns: what is open does not count."
    )
    return section(
        "Figures", table(("", ">marked equity", ">NautilusTrader"), rows, class_="name"), note(said)
    )


def _of_equity(record: Record, metrics: Metrics) -> Iterator[tuple[str, ...]]:
    theirs = record.view.summary.nautilus_statistics if record.view.summary else None
    for name in OF_EQUITY:
        cells = FIGURES[name].label, written(name, getattr(metrics, name))
        other = written(name, getattr(theirs, name)) if theirs and hasattr(theirs, name) else ""
        yield cells if theirs is None else (*cells, other)


def _money(record: Record, metrics: Metrics) -> Iterator[tuple[str, ...]]:
    began = began_with(record.view.config, record.currency)
    began_label = (
        "initial balance, the default" if is_default_balance(record.view.config) else "initial balance"
    )
    rows = (
        *(((began_label, began),) if began else ()),
        ("final equity", written("final_equity", metrics.final_equity, record.currency)),
        ("final balance", amounts(record.balances) or UNDEFINED),
        ("fees", amounts(record.fees) or UNDEFINED),
    )
    return (row if record.view.summary is None else (*row, "") for row in rows)


def equity(record: Record) -> Html:
    """Equity beside the benchmark, and what was lost since the high before."""
    time = time_of(record)
    if time is None:
        return section("Equity", note("The run has one moment only: there is no curve."))
    own = Line("marked equity", "accent", [(each.at_ns, each.equity) for each in record.curve])
    lines, compared = [own], record.compared()
    if compared is not None:
        within = [
            each for each in compared.equity(record.curve[0].equity) if time.first <= each[0] <= time.last
        ]
        lines.append(Line(f"buy and hold {compared.instrument_id}", "bench", within))
    under = (
        f"Buying and holding {compared.instrument_id} gave {share(compared.total_return)}: from the first price to the last of the run, without fees, "
        "dividends, funding or a change of currency."
        if compared
        else "There is no benchmark: the prices of the run's first instrument are not on record, as those of runs from before they were kept."
    )
    return section(
        f"Equity, {record.currency}",
        time_chart(f"equity in {record.currency}", time, lines, written=short),
        drawdown_chart(time, [(each.at_ns, -abs(each.drawdown)) for each in record.curve]),
        note(under),
    )


def drawdown_chart(time: Time, lost: Sequence[Point]) -> Html:
    """The share lost since the high before, 0 or less; nothing where nothing was lost."""
    if not any(value for _, value in lost):
        return Html("")
    line = Line("drawdown", "loss", lost)
    drawn = time_chart("drawdown", time, [line], written=percent, is_area=True, is_small=True, zero=True)
    return joined((element("h3", "Drawdown"), drawn))


def worst(record: Record) -> Html:
    """The worst drawdowns with their dates."""
    found = [each for each in drawdowns(record.curve) if share(each.depth) != share(0.0)]
    rows = [
        (
            share(each.depth),
            days(each.days) if each.days >= 1 else formats.duration(each.days * 86_400),
            moment(record, each.peak_ns),
            moment(record, each.bottom_ns),
            UNDEFINED if each.recovered_ns is None else moment(record, each.recovered_ns),
        )
        for each in found[:_WORST]
    ]
    head = (">lost", ">lasted", "from", "lowest", "recovered")
    more = f"{len(found) - _WORST:,} more are less deep. " if len(found) > _WORST else ""
    return section(
        "Worst drawdowns",
        table(head, rows) if rows else note("There was no drawdown of 0.01 % or more."),
        note(f"{more}One that has not recovered lasts until the end of the run.") if rows else "",
    )


def months(record: Record) -> Html:
    """Returns by month and year."""
    years = monthly_returns(record.curve, record.zone)
    if not years:
        return Html("")
    head = element("tr", element("th", ""), *(element("th", name) for name in (*_MONTHS, "year")))
    rows = (element("tr", element("td", str(each.year)), *_cells(each)) for each in years)
    made = element("table", element("thead", head), element("tbody", *rows), class_="months")
    said = f"Percent of marked equity, from the end of one month to that of the next; days end at midnight {record.zone_name}."
    if not record.knows_zone:
        said = f"Percent of marked equity, from the end of one month to that of the next; days end at midnight UTC here, for {record.zone_name} is not known on this machine."
    return section("Months", element("div", made, class_="wide"), note(said))


def _cells(year: Year) -> Iterator[Html]:
    for number in range(1, 13):
        if number not in year.months:
            yield element("td", "")
            continue
        yield _cell(year.months[number])
    yield _cell(year.whole, is_year=True)


def _cell(value: float | None, *, is_year: bool = False) -> Html:
    if value is None:
        return element("td", UNDEFINED)
    shown = share(value).removesuffix(" %")
    return element("td", shown, class_=None if is_year else shade(value, _SHADES))


def shade(value: float, steps: tuple[float, ...]) -> str | None:
    """The class of a cell: `g1` to `g4` for gains, `l1` to `l4` for losses; None for nothing."""
    if not value:
        return None
    return f"{'g' if value > 0 else 'l'}{1 + sum(abs(value) >= step for step in steps)}"
