"""Curves drawn with characters, for terminals: one in braille dots with its drawdown, or several over each other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from rich.text import Text

from flotilla.schemas.backtest import EquityPoint
from flotilla.schemas.figures import money, share
from flotilla.show import formats

WIDTH: Final = 78
ROWS: Final = 10
DRAWDOWN_ROWS: Final = 3
COLOURS: Final = ("cyan", "yellow", "magenta", "green", "red", "blue")
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK: Final = 0x2800

Points: TypeAlias = Sequence[tuple[int, float]]
"""Times (UNIX ns), ascending, and what was so from each on."""
Spans: TypeAlias = list[tuple[float, float] | None]
"""Per column from left to right, the lowest and highest value in it; None where the curve is not."""


def equity_plot(curve: Sequence[EquityPoint], currency: str, *, width: int = WIDTH, rows: int = ROWS) -> Text:
    """The equity over time, and hanging below it the share lost since the highest; empty without two points."""
    if len(curve) < 2:
        return Text("")
    equity = [(point.at_ns, point.equity) for point in curve]
    lost = [(point.at_ns, abs(point.drawdown)) for point in curve]
    low, high = _range(value for _, value in equity)
    deepest = max((value for _, value in lost), default=0.0)
    labels = [*(money(each, currency, is_bare=True) for each in (high, low)), share(0.0), share(-deepest)]
    margin = max(map(len, labels))
    columns = max(2, width - margin - 2)
    text = Text(f"equity, {currency}\n", style="bold")
    above = braille(spans(equity, columns * 2), low, high, rows)
    _put(text, above, labels[:2], margin, "cyan")
    if deepest > 0:
        hung: Spans = [span and (-span[1], 0.0) for span in spans(lost, columns * 2)]
        text.append("drawdown\n", style="bold")
        _put(text, braille(hung, -deepest, 0.0, DRAWDOWN_ROWS), labels[2:], margin, "red")
    text.append(_dates(equity[0][0], equity[-1][0], margin + 2, columns), style="dim")
    return text


def overlay(curves: Mapping[str, Points], *, width: int = WIDTH, rows: int = ROWS) -> Text:
    """Curves over each other in one scale, each drawn with the first letter of its name; values are shares, shown in percent."""
    drawn = {name: points for name, points in curves.items() if len(points) > 1}
    if not drawn:
        return Text("")
    low, high = _range(value for points in drawn.values() for _, value in points)
    first = min(points[0][0] for points in drawn.values())
    last = max(points[-1][0] for points in drawn.values())
    labels = [share(high), share(low)]
    margin = max(map(len, labels))
    columns = max(2, width - margin - 2)
    grid: list[list[tuple[str, str]]] = [[(" ", "")] * columns for _ in range(rows)]
    for number, (name, points) in enumerate(drawn.items()):
        cell = (name[0], COLOURS[number % len(COLOURS)])
        _stroke(grid, spans(points, columns, first, last), _scale(low, high, rows), cell)
    text = Text()
    for row, cells in enumerate(grid):
        text.append(_edge(row, rows, labels, margin), style="dim")
        text.append_text(Text.assemble(*cells))
        text.append("\n")
    text.append(_dates(first, last, margin + 2, columns), style="dim")
    return text


def spans(points: Points, columns: int, first: int | None = None, last: int | None = None) -> Spans:
    """What a curve does in each of `columns` equal parts of the time from `first` to `last`, else of its own."""
    start = points[0][0] if first is None else first
    end = points[-1][0] if last is None else last
    found: Spans = []
    index, value = 0, points[0][1]
    for column in range(columns):
        until = start + (end - start) * (column + 1) // columns
        seen = [value] if index else []
        while index < len(points) and points[index][0] <= until:
            value = points[index][1]
            seen.append(value)
            index += 1
        is_over = index == len(points) and not seen[1:] and points[-1][0] < end
        found.append((min(seen), max(seen)) if seen and not is_over else None)
    return found


def braille(curve: Spans, low: float, high: float, rows: int) -> list[str]:
    """`rows` lines with half as many characters as there are spans; each dot row stands for an equal part of the range."""
    scale = _scale(low, high, rows * 4)
    cells = [[_BLANK] * ((len(curve) + 1) // 2) for _ in range(rows)]
    for column, span in enumerate(curve):
        if span is None:
            continue
        for dot in range(scale(span[1]), scale(span[0]) + 1):
            cells[dot // 4][column // 2] |= _DOTS[column % 2][dot % 4]
    return ["".join(map(chr, line)) for line in cells]


def _stroke(
    grid: list[list[tuple[str, str]]], curve: Spans, scale: Callable[[float], int], cell: tuple[str, str]
) -> None:
    for column, span in enumerate(curve):
        if span is not None:
            for row in range(scale(span[1]), scale(span[0]) + 1):
                grid[row][column] = cell


def _scale(low: float, high: float, steps: int) -> Callable[[float], int]:
    """From a value to its step, 0 at the top."""

    def step(value: float) -> int:
        return min(steps - 1, max(0, round((high - value) / (high - low) * (steps - 1))))

    return step


def _range(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest, which are never the same."""
    known = list(values)
    low, high = min(known), max(known)
    room = 0.0 if high > low else abs(high) * 0.01 or 1.0
    return low - room, high + room


def _put(text: Text, lines: Sequence[str], labels: Sequence[str], margin: int, style: str) -> None:
    for row, line in enumerate(lines):
        text.append(_edge(row, len(lines), labels, margin), style="dim")
        text.append(line + "\n", style=style)


def _edge(row: int, rows: int, labels: Sequence[str], margin: int) -> str:
    label = labels[0] if row == 0 else labels[1] if row == rows - 1 else ""
    return f"{label:>{margin}} {'┤' if label else '│'}"


def _dates(first: int, last: int, margin: int, columns: int) -> str:
    left, right = formats.day(first), formats.day(last)
    if left == right:
        left, right = (f"{formats.day(at)} {_time(at)}" for at in (first, last))
    return " " * margin + left + right.rjust(max(1, columns - len(left)))


def _time(ns: int) -> str:
    seconds = ns // 1_000_000_000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
