"""The tear sheet of a run: its figures of marked equity first, then NautilusTrader's own, as one HTML document that needs nothing else."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from nautilus_trader.backtest.engine import BacktestEngine

from flotilla.schemas.backtest import (
    EquityPoint,
    OpenOrder,
    OpenPosition,
    OrderCounts,
    RunSummary,
    TrialResult,
)
from flotilla.schemas.figures import (
    FIGURES,
    OF_EQUITY,
    OF_TRADES,
    UNDEFINED,
    amount,
    amounts,
    fates,
    money,
    share,
    written,
)

_WIDTH, _LEFT, _RIGHT = 1000, 130, 10
_EQUITY: Final = (20, 280)
_DRAWDOWN: Final = (310, 410)
_HEIGHT: Final = 440


def curve_chart(curve: Sequence[EquityPoint], currency: str) -> str:
    """The equity over time, and below it the share lost since the highest. Empty without two points."""
    if len(curve) < 2 or curve[0].at_ns == curve[-1].at_ns:
        return ""
    first, last = curve[0].at_ns, curve[-1].at_ns
    x = [_LEFT + (one.at_ns - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT) for one in curve]
    equities = [one.equity for one in curve]
    low, high = min(equities), max(equities)
    deepest = max(one.drawdown for one in curve)
    lost = _heights((one.drawdown for one in curve), (deepest or 1.0, 0.0), _DRAWDOWN)
    parts = [
        _label(_EQUITY[0], money(high, currency)),
        _label(_EQUITY[1], money(low, currency)) if high > low else "",
        _label(_DRAWDOWN[0], share(0.0)),
        _label(_DRAWDOWN[1], share(-deepest)) if deepest > 0 else "",
        _line(x, _heights(equities, (low, high if high > low else low + 1.0), _EQUITY), "#1f6fb4"),
        _line(x, lost, "#b43a2f"),
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{_day(first)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{_day(last)}</text>',
    ]
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#444"'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {style} role="img">{"".join(parts)}</svg>'


def _heights(values: Iterable[float], scale: tuple[float, float], box: tuple[int, int]) -> list[float]:
    """From values to pixels: the first of `scale` is at the bottom of `box`, the second at its top."""
    bottom, top = scale
    return [box[1] - (value - bottom) / (top - bottom) * (box[1] - box[0]) for value in values]


def _line(x: Sequence[float], y: Sequence[float], colour: str) -> str:
    points = " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x, y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _label(y: int, text: str) -> str:
    return f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>'


def _day(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d}"


HEIGHT: Final = 2_300
"""Pixels: in NautilusTrader's own 1,500 the table of statistics is cut off, and twenty years of months lie on each other."""
_STYLE: Final = """
.run { font: 14px system-ui, sans-serif; color: #1a1a1a; max-width: 1000px; margin: 24px auto; padding: 0 16px; }
.run h1 { font-size: 22px; } .run h2 { font-size: 16px; margin: 24px 0 8px; }
.run .beside { display: flex; flex-wrap: wrap; gap: 48px; align-items: flex-start; }
.run table { border-collapse: collapse; } .run td, .run th { padding: 3px 16px 3px 0; text-align: left; font-weight: normal; }
.run th { color: #666; } .run td.n, .run th.n { text-align: right; font-variant-numeric: tabular-nums; }
.run .theirs { color: #777; } .run .warn { color: #9a5b00; font-weight: 600; } .run svg { width: 100%; height: auto; }
"""


def tear_sheet(engine: BacktestEngine, title: str, result: TrialResult) -> str:
    """The document of a run that has ended. NautilusTrader's plots are drawn by the script that it carries."""
    # Takes a second to import, and a study wants none.
    from nautilus_trader.analysis.config import TearsheetConfig  # noqa: PLC0415
    from nautilus_trader.analysis.tearsheet import create_tearsheet  # noqa: PLC0415

    config = TearsheetConfig(title=f"{title}: NautilusTrader's figures, of realized returns", height=HEIGHT)
    html: str = create_tearsheet(engine, output_path=None, config=config)
    head, body, rest = html.partition("<body>")
    return f"{head}<style>{_STYLE}</style>{body}{own_figures(title, result)}{rest}"


def own_figures(title: str, result: TrialResult) -> str:
    """What stands above NautilusTrader's plots, as HTML."""
    summary = result.summary
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<div class="beside">{_of_equity(result)}{_of_trades(result)}</div>',
        "<h2>Marked equity</h2>",
        curve_chart(result.equity_curve, result.currency),
    ]
    if summary is not None:
        parts += [_orders(summary.orders), *_left_open(summary), _how(summary)]
    return f'<section class="run">{"".join(parts)}</section>'


def _of_equity(result: TrialResult) -> str:
    theirs = result.summary.nautilus_statistics if result.summary else None
    rows = [("", "marked equity", "NautilusTrader")]
    for name in OF_EQUITY:
        other = written(name, getattr(theirs, name)) if hasattr(theirs, name) else ""
        rows.append((FIGURES[name].label, written(name, getattr(result.metrics, name)), other))
    rows.append(("final equity", money(result.metrics.final_equity, result.currency), ""))
    return _table(rows)


def _of_trades(result: TrialResult) -> str:
    rows = [("", "closed trades")]
    rows += [
        (FIGURES[name].label, written(name, getattr(result.metrics, name), result.currency))
        for name in OF_TRADES
    ]
    rows += [
        ("final balance", amounts(result.balances) or UNDEFINED),
        ("fees", amounts(result.fees) or UNDEFINED),
    ]
    return _table(rows)


def _orders(orders: OrderCounts) -> str:
    ends = fates(orders)
    lines = [f"<p>{orders.total:,} made, {orders.submitted:,} sent{f': {ends}' if ends else ''}</p>"]
    lines += [
        f'<p class="warn">{one.count:,} {one.status}: {escape(one.reason)}</p>' for one in orders.reasons
    ]
    return f"<h2>Orders</h2>{''.join(lines)}"


def _left_open(summary: RunSummary) -> list[str]:
    parts = []
    if summary.positions_open:
        rows = [("position", "quantity", "at", "unrealized"), *map(_position, summary.open_positions)]
        parts.append(f"<h2>Positions open at the end: {summary.positions_open:,}</h2>{_table(rows)}")
    if summary.orders.open:
        rows = [("order", "quantity", "at", "status"), *map(_order, summary.open_orders)]
        parts.append(f"<h2>Orders open at the end: {summary.orders.open:,}</h2>{_table(rows)}")
    return parts


def _position(one: OpenPosition) -> tuple[str, str, str, str]:
    value = f"{amount(one.unrealized_pnl)} {one.currency}" if one.unrealized_pnl else "not known"
    return f"{one.side} {one.instrument_id}", amount(one.quantity), f"{one.entry_price:,.10g}", value


def _order(one: OpenOrder) -> tuple[str, str, str, str]:
    return (
        f"{one.side} {one.order_type} {one.instrument_id}",
        amount(one.quantity),
        amount(one.price or ""),
        one.status,
    )


def _how(summary: RunSummary) -> str:
    years = "an unknown time" if summary.years is None else f"{summary.years:,.2f} years"
    return (
        f"<p class=theirs>Figures of marked equity are of {summary.returns:,} returns from one day's end ({escape(summary.timezone)}) to the "
        f"next over {years}; the drawdown is of every point drawn. NautilusTrader's are of realized returns: what is open does not count.</p>"
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [_row("th", head), *(_row("td", row) for row in body)]
    return f"<table>{''.join(lines)}</table>"


def _row(cell: str, texts: tuple[str, ...]) -> str:
    first, *rest = texts
    numbers = "".join(f'<{cell} class="n">{escape(text)}</{cell}>' for text in rest)
    return f"<tr><{cell}>{escape(first)}</{cell}>{numbers}</tr>"
