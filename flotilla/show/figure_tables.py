"""The figures of a completed backtest for people: of marked equity, NautilusTrader's own beside them, its orders, and what it left open."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.backtest import (
    NOWHERE,
    BacktestConfig,
    BacktestView,
    ClosedTrade,
    EquityPoint,
    Metrics,
    NautilusStatistics,
    OpenOrder,
    OpenPosition,
    RunSummary,
)
from flotilla.schemas.figures import FIGURES, OF_EQUITY, OF_TRADES, UNDEFINED, fates, money, written
from flotilla.show import formats
from flotilla.show.output import table

NOTHING_REQUESTED: Final = "no strategy requested history of bars, quotes or trades: --warm-up did nothing"
_NAMED: Final = 3
_DEFAULT_BALANCE: Final = next(
    each.default for each in msgspec.structs.fields(BacktestConfig) if each.name == "initial_balance"
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a completed backtest beside its view; all of it is empty where the result was not saved."""

    balances: dict[str, str] = {}
    fees: dict[str, str] = {}
    curve: tuple[EquityPoint, ...] = ()
    trades: tuple[ClosedTrade, ...] = ()


def has_old_figures(backtest: BacktestView) -> bool:
    """True when its metrics are of the time before they came from marked equity."""
    return backtest.metrics is not None and backtest.summary is None


def trades_text(backtest: BacktestView) -> str:
    """How many trades were closed; of none, how many orders went nowhere: `0 (81 rejected)`."""
    if backtest.metrics is None:
        return ""
    count, orders = backtest.metrics.total_trades, backtest.summary.orders if backtest.summary else None
    if count or orders is None:
        return f"{count:,}"
    lost = [f"{number:,} {name}" for name in NOWHERE if (number := getattr(orders, name))]
    return f"0 ({', '.join(lost)})" if lost else "0"


def figures_report(backtest: BacktestView, metrics: Metrics, told: Told) -> list[RenderableType]:
    """All figures, in 80 columns."""
    currency, summary = backtest.currency or "", backtest.summary
    theirs = summary.nautilus_statistics if summary else None
    parts: list[RenderableType] = [_figures(metrics, theirs, currency)]
    parts += [Text(""), _money(backtest, metrics, told)]
    if summary is None:
        text = "these figures are of realized returns, as they were defined before; run it again for marked equity"
        return [*parts, Text(text, style="yellow")]
    return [
        *parts,
        *_orders(summary, metrics),
        *_asked(summary, is_to_warm_up=backtest.config.warm_up),
        *_by_strategy(summary),
        *_left_open(summary),
    ]


def _figures(metrics: Metrics, theirs: NautilusStatistics | None, currency: str) -> Table:
    made = Table(box=None, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    made.add_column("", style="dim", no_wrap=True)
    made.add_column("marked equity" if theirs else "", justify="right", no_wrap=True)
    made.add_column("NautilusTrader" if theirs else "", justify="right", style="dim", no_wrap=True)
    made.add_column("", style="dim", no_wrap=True)
    made.add_column("closed trades", justify="right", no_wrap=True)
    for name, other in zip_longest(OF_EQUITY, OF_TRADES):
        made.add_row(
            FIGURES[name].label if name else "",
            written(name, getattr(metrics, name)) if name else "",
            written(name, getattr(theirs, name)) if theirs and hasattr(theirs, name or "") else "",
            FIGURES[other].label,
            written(other, getattr(metrics, other), currency, is_bare=True),
        )
    return made


def is_default_balance(config: BacktestConfig) -> bool:
    """True where nobody said with how much it begins, as far as can be seen."""
    return bool(config.initial_balance == _DEFAULT_BALANCE)


def began_with(config: BacktestConfig, currency: str) -> str:
    """`1,000,000.00 BTC`; empty where venues have balances of their own."""
    if any(each.starting_balances or each.base_currency for each in config.venue_settings.values()):
        return ""
    where = " at each venue" if len(config.venues) > 1 else ""
    return f"{money(config.initial_balance, currency)}{where}"


def _money(backtest: BacktestView, metrics: Metrics, told: Told) -> Table:
    made, currency = _facts(), backtest.currency or ""
    if began := began_with(backtest.config, currency):
        # Nobody who left it out meant a million of whatever the currency is.
        is_default = is_default_balance(backtest.config)
        made.add_row("initial balance", f"{began}, the default (--balance)" if is_default else began)
    made.add_row("final equity", written("final_equity", metrics.final_equity, currency))
    made.add_row("final balance", formats.money(told.balances) or UNDEFINED)
    made.add_row("fees", formats.money(told.fees) or UNDEFINED)
    return made


def _orders(summary: RunSummary, metrics: Metrics) -> Iterator[RenderableType]:
    """What became of them; orders that went nowhere stand out, with why."""
    made, orders = _facts(), summary.orders
    ends = fates(orders)
    sent = "" if orders.submitted == orders.total else f", {orders.submitted:,} sent"
    made.add_row("orders", f"{orders.total:,}{sent}{f': {ends}' if ends else ''}")
    yield made
    for reason in orders.reasons:
        yield Text(f"{reason.count:,} {reason.status}: {reason.reason}", style="bold yellow")
    if not metrics.total_trades:
        yield Text(f"no trade was closed: {_why_none(summary)}", style="yellow")


def _asked(summary: RunSummary, *, is_to_warm_up: bool) -> Iterator[RenderableType]:
    if is_to_warm_up and summary.answered_requests == 0:
        yield Text(NOTHING_REQUESTED, style="yellow")
    if count := summary.unanswered_requests:
        what = "request for past data was" if count == 1 else "requests for past data were"
        yield Text(f"{count:,} {what} not answered: --warm-up does", style="dim")


def _by_strategy(summary: RunSummary) -> Iterator[RenderableType]:
    """A row for each strategy of several."""
    if not summary.strategies:
        return
    made = table("STRATEGY", ">ORDERS", ">FILLS", ">TRADES", ">OPEN", ">CLOSED PNL", ">FEES")
    for one in summary.strategies:
        counts = (one.orders, one.fills, one.trades, one.positions_open)
        made.add_row(
            Text(one.strategy_id, overflow="fold"),
            *(f"{count:,}" for count in counts),
            formats.money(one.pnl) or "",
            formats.money(one.fees) or "",
        )
    yield Text("")
    yield made


def _why_none(summary: RunSummary) -> str:
    if not summary.orders.total:
        return "the strategy made no order"
    # Also by an order that was filled in part, which does not count as filled.
    if summary.positions_open or summary.orders.filled:
        return "what was opened is open still"
    return "no order was filled"


def _left_open(summary: RunSummary) -> Iterator[RenderableType]:
    yield from _named(
        "open position", [_position(one) for one in summary.open_positions], summary.positions_open
    )
    yield from _named("open order", [_order(one) for one in summary.open_orders], summary.orders.open)


def _named(what: str, lines: list[str], count: int) -> Iterator[RenderableType]:
    if not count:
        return
    made = _facts()
    for index, line in enumerate(lines[:_NAMED]):
        made.add_row(what if index == 0 else "", line)
    if left := count - min(count, len(lines), _NAMED):
        made.add_row("", f"{left:,} more")
    yield made


def _position(one: OpenPosition) -> str:
    value = f"{formats.amount(one.unrealized_pnl)} {one.currency}" if one.unrealized_pnl else "not known"
    what = f"{one.side} {formats.amount(one.quantity)} {one.instrument_id}"
    return f"{what} at {one.entry_price:,.10g} since {formats.day(one.entry_time_ns)}\nunrealized {value}"


def _order(one: OpenOrder) -> str:
    price = f" at {formats.amount(one.price)}" if one.price else ""
    return (
        f"{one.side} {formats.amount(one.quantity)} {one.instrument_id} {one.order_type}{price}, {one.status}"
    )


def _facts() -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True, min_width=17)
    made.add_column(overflow="fold", max_width=58)
    return made
