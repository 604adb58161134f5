"""Backtests side by side, for people: figures with the best one marked, what their configurations differ in, their equity."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.backtest import BacktestView, Comparison, EquityPoint
from flotilla.schemas.figures import FIGURES, UNDEFINED, written
from flotilla.show.backtest_tables import strategy_name
from flotilla.show.figure_tables import has_old_figures
from flotilla.show.output import table
from flotilla.show.plots import COLOURS, Points, overlay

_ABREAST: Final = 5
"""Columns of figures that fit beside each other."""
_COMPARED: Final = tuple(name for name in FIGURES if name not in ("winning_trades", "losing_trades"))


def comparison_report(
    found: Comparison, curves: Mapping[str, Sequence[EquityPoint]], *, width: int
) -> RenderableType:
    """All of a comparison; `curves` are the equity curves by backtest id."""
    letters = dict(zip((one.backtest_id for one in found.backtests), ascii_uppercase, strict=False))
    parts: list[RenderableType] = []
    for number, one in enumerate(found.backtests):
        colour = COLOURS[number % len(COLOURS)]
        config = one.config
        about = f"  {strategy_name(config)}, {config.start_date[:10]} to {config.end_date[:10]}"
        parts.append(
            Text.assemble((letters[one.backtest_id], colour), f"  {one.backtest_id}", (about, "dim"))
        )
    for at in range(0, len(found.backtests), _ABREAST):
        parts += [Text(""), _figures(found.backtests, found.backtests[at : at + _ABREAST], letters)]
    parts += [Text("\nthe best of each row is marked with *", style="dim")]
    if old := [letters[one.backtest_id] for one in found.backtests if has_old_figures(one)]:
        why = "are of realized returns, as they were defined before: run it again to compare"
        parts.append(Text(f"the figures of {', '.join(old)} {why}", style="yellow"))
    parts += _parameters(found, letters)
    drawn = {letters[name]: _returns(curve) for name, curve in curves.items() if curve}
    if drawn:
        parts += [Text("\nreturn since the start", style="bold"), overlay(drawn, width=width)]
    return Group(*parts)


def best_of(name: str, backtests: Sequence[BacktestView]) -> set[str]:
    """The ids of those with the best value of a metric; none where all are the same, or there is no best.

    Figures of an older definition are not compared with those of the present one, nor money of one currency with that of another.
    """
    sign = FIGURES[name].best
    some = [one for one in backtests if one.metrics and not has_old_figures(one)] or backtests
    if FIGURES[name].kind == "money" and _has_currencies(some):
        return set()
    values = {one.backtest_id: getattr(one.metrics, name) for one in some if one.metrics}
    known = [sign * value for value in values.values() if value is not None]
    if not sign or not known or len(set(known)) == 1:
        return set()
    return {key for key, value in values.items() if value is not None and sign * value == max(known)}


def _has_currencies(backtests: Sequence[BacktestView]) -> bool:
    """True when they count in more than one."""
    return len({one.currency for one in backtests if one.metrics}) > 1


def _figures(
    everyone: Sequence[BacktestView], shown: Sequence[BacktestView], letters: Mapping[str, str]
) -> Table:
    made = table("", *(f">{letters[one.backtest_id]} " for one in shown))
    if _has_currencies(everyone):
        made.add_row("currency", *(f"{one.currency or UNDEFINED} " for one in shown))
    for name in _COMPARED:
        best = best_of(name, everyone)
        cells = []
        for one in shown:
            is_best = one.backtest_id in best
            found = getattr(one.metrics, name) if one.metrics else None
            text = written(name, found, one.currency or "", is_bare=True)
            cells.append(Text(f"{text}{'*' if is_best else ' '}", style="bold green" if is_best else ""))
        made.add_row(FIGURES[name].label, *cells)
    return made


def _parameters(found: Comparison, letters: Mapping[str, str]) -> list[RenderableType]:
    if not found.parameters:
        return [Text("\nthe configurations are the same", style="dim")]
    parts: list[RenderableType] = [Text("\nwhat differs", style="bold")]
    for at in range(0, len(found.backtests), _ABREAST):
        some = range(len(found.backtests))[at : at + _ABREAST]
        made = table("", *(f">{letters[found.backtests[index].backtest_id]} " for index in some))
        for path, values in found.parameters.items():
            name = path.removeprefix("strategy_config.")
            made.add_row(name, *(_plain(path, values[index]) for index in some))
        parts.append(made)
    return parts


def _returns(curve: Sequence[EquityPoint]) -> Points:
    start = curve[0].equity or 1.0
    return [(point.at_ns, point.equity / start - 1.0) for point in curve]


def _plain(path: str, value: Any) -> str:
    """A parameter that is not given has its default; of a date of a walk forward's window the day is enough."""
    if value is None:
        return "default" if path.startswith("strategy_config.") else "-"
    if path in ("start_date", "end_date"):
        return str(value)[:10]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
