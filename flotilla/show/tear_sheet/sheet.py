"""The tear sheet of a backtest: a pure function of what is on record, so that every past backtest has one without being run again."""

from flotilla.schemas.figures import UNDEFINED
from flotilla.show.tear_sheet.equity import equity, figures, months, worst
from flotilla.show.tear_sheet.exposure import exposure
from flotilla.show.tear_sheet.head import heading, headline, title, what_ran
from flotilla.show.tear_sheet.html import element
from flotilla.show.tear_sheet.orders import left_open, orders
from flotilla.show.tear_sheet.page import page
from flotilla.show.tear_sheet.record import Record
from flotilla.show.tear_sheet.trading import by_strategy, costs, prices, trades


def tear_sheet(record: Record) -> str:
    """The whole document: HTML of one file without any script, under 1 MB whatever the run, the same for the same record."""
    view = record.view
    zone = record.zone_name if record.knows_zone else "UTC"
    end = (
        f"Made by Flotilla from the record of backtest {view.backtest_id}. What is not defined is shown as {UNDEFINED}."
        + (
            " Times are UTC."
            if zone == "UTC"
            else f" Times are UTC; days, months and charts are those of {zone}."
        )
    )
    return page(
        f"{title(view.config)} · {view.backtest_id}",
        heading(record),
        what_ran(record),
        headline(record),
        equity(record),
        figures(record),
        worst(record),
        months(record),
        by_strategy(record),
        trades(record),
        prices(record),
        exposure(record),
        costs(record),
        orders(record),
        left_open(record),
        element("footer", element("p", end)),
    )
