"""What backtests and their results look like to people; all of it fits into 80 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestView,
    ClosedTrade,
)
from flotilla.schemas.figures import ratio, share
from flotilla.schemas.package import is_draft, split_name
from flotilla.schemas.simulation import VenueSettings
from flotilla.show import formats
from flotilla.show.figure_tables import Told, figures_report, has_old_figures, trades_text
from flotilla.show.output import table
from flotilla.show.plots import WIDTH, equity_plot

_STYLES: Final = {
    BacktestStatus.PENDING: "dim",
    BacktestStatus.RUNNING: "yellow",
    BacktestStatus.COMPLETED: "green",
    BacktestStatus.FAILED: "bold red",
    BacktestStatus.CANCELLED: "magenta",
}
_SHOWN: Final = 3


def status_text(backtest: BacktestView) -> Text:
    """`completed`, `running 42%`, `failed (strategy)`."""
    text = str(backtest.status)
    if backtest.status is BacktestStatus.RUNNING:
        text += f" {backtest.progress:.0f}%"
    if backtest.reason:
        text += f" ({backtest.reason})"
    return Text(text, style=_STYLES[backtest.status])


def strategy_name(config: BacktestConfig) -> str:
    """The template, of unpushed code with the beginning of its digest; or the class without its module; of several the names, each once."""
    if config.strategies:
        return ", ".join(dict.fromkeys(one.name for one in config.strategies))
    if config.strategy and is_draft(config.strategy):
        return f"{split_name(config.strategy)[0]} (unpushed, {config.strategy.rpartition('-')[2][:12]})"
    return config.strategy or (config.strategy_class or "").replace(":", ".").rpartition(".")[2]


def backtests_table(found: BacktestList, now: datetime) -> RenderableType:
    """One row per backtest, as they come."""
    if not found.backtests:
        return Text("no backtests; run one: flotilla backtest run --strategy ema_cross")
    made = table("BACKTEST", "STATUS", "STRATEGY", ">AGE", ">RETURN", ">SHARPE", ">TRADES")
    for backtest in found.backtests:
        metrics, mark = backtest.metrics, "*" if has_old_figures(backtest) else ""
        made.add_row(
            Text(backtest.backtest_id, overflow="fold"),
            status_text(backtest),
            strategy_name(backtest.config),
            formats.duration(max(0.0, (now - backtest.created_at).total_seconds())),
            share(metrics.total_return) + mark if metrics else "",
            ratio(metrics.sharpe_ratio) + mark if metrics else "",
            trades_text(backtest),
        )
    parts: list[RenderableType] = [made]
    if any(map(has_old_figures, found.backtests)):
        parts.append(Text("* of realized returns, as figures were defined before", style="dim"))
    if (left := found.total_count - len(found.backtests)) > 0:
        parts.append(Text(f"{left:,} more", style="dim"))
    return Group(*parts)


def result_report(backtest: BacktestView, told: Told, *, width: int = WIDTH) -> RenderableType:
    """What came of a completed backtest: its figures, and its equity drawn `width` columns wide."""
    parts: list[RenderableType] = [headline(backtest)]
    if backtest.metrics is not None:
        parts += [Text(""), *figures_report(backtest, backtest.metrics, told)]
    if told.curve:
        parts += [Text(""), equity_plot(told.curve, backtest.currency or "", width=width)]
    return Group(*parts)


def headline(backtest: BacktestView) -> Text:
    """`● backtest a completed: ema_cross on SPX.SIM, 1999-01-01 to 2018-12-31, 5,030 events in 2.5s`."""
    config = backtest.config
    instruments = ", ".join(config.instruments[:3]) + (", …" if len(config.instruments) > 3 else "")
    text = Text.assemble(
        ("● ", _STYLES[backtest.status]), (f"backtest {backtest.backtest_id} ", "bold"), status_text(backtest)
    )
    text.append(
        f"\n  {strategy_name(config)} on {instruments}, {config.start_date[:10]} to {config.end_date[:10]}"
    )
    if backtest.events is not None and backtest.elapsed_s:
        text.append(
            f"\n  {backtest.events:,} events in {formats.duration(backtest.elapsed_s)}"
            f", {backtest.events / backtest.elapsed_s:,.0f} a second"
        )
    return text


def details(backtest: BacktestView, told: Told) -> RenderableType:
    """All that is known of a backtest."""
    parts: list[RenderableType] = [result_report(backtest, told)]
    if told.trades:
        parts += [Text("\ntrades", style="bold"), trades_table(told.trades)]
    parts += [Text("\nconfiguration", style="bold"), _configuration(backtest)]
    if backtest.error:
        parts += [Text(f"\n{backtest.error}", style="red")]
    if backtest.log_tail:
        parts += [Text("\nlast log lines", style="bold"), *(Text(line) for line in backtest.log_tail)]
    return Group(*parts)


def trades_table(trades: Sequence[ClosedTrade]) -> Table:
    """The first and last trades."""
    made = table("ENTRY", "EXIT", "POSITION", "INSTRUMENT", ">FROM", ">TO", ">PNL")
    first, last = trades[:_SHOWN], trades[_SHOWN:][-_SHOWN:]
    for trade in first:
        made.add_row(*_trade(trade))
    if left_out := len(trades) - len(first) - len(last):
        made.add_row("…", f"{left_out:,} more", style="dim")
    for trade in last:
        made.add_row(*_trade(trade))
    return made


def venue_choices(config: BacktestConfig) -> dict[str, dict[str, Any]]:
    """By venue, the settings that are not the default: there are thirty of them."""
    default = msgspec.to_builtins(VenueSettings())
    return {
        venue: {name: value for name, value in msgspec.to_builtins(each).items() if value != default[name]}
        for venue, each in config.venue_settings.items()
    }


def _configuration(backtest: BacktestView) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    plain = msgspec.to_builtins(backtest.config) | {"venue_settings": venue_choices(backtest.config)}
    for name, value in plain.items():
        if value is not None and value not in ((), {}):
            made.add_row(name, _value(value))
    made.add_row("created", formats.moment(backtest.created_at))
    for name in ("started_at", "completed_at", "cancelled_at"):
        if at := getattr(backtest, name):
            made.add_row(name.removesuffix("_at"), formats.moment(at))
    if backtest.worker:
        tries = f", try {backtest.attempts}" if backtest.attempts > 1 else ""
        host = f" on {backtest.host}" if backtest.host else ""
        made.add_row("ran by", f"{backtest.worker}{host}{tries}")
    return made


def _value(value: Any) -> Text:
    if isinstance(value, tuple):
        return Text(", ".join(map(str, value)))
    if isinstance(value, dict):
        return Text(", ".join(f"{key}={item}" for key, item in value.items()))
    return Text(f"{value:,.10g}" if isinstance(value, float) else str(value))


def _trade(trade: ClosedTrade) -> tuple[str, ...]:
    return (
        formats.day(trade.entry_time_ns),
        formats.day(trade.exit_time_ns),
        f"{trade.side} {formats.amount(trade.quantity)}",
        trade.instrument_id,
        f"{trade.entry_price:,.10g}",
        f"{trade.exit_price:,.10g}",
        formats.amount(trade.pnl),
    )
