"""A study's results over two of its axes: which values lie beside each other, and how each cell came out."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from flotilla.schemas.backtest import BacktestView, StudyConfig
from flotilla.show import formats
from flotilla.show.study_tables import label, metric, metric_of, value
from flotilla.show.tear_sheet.html import Html, element, joined
from flotilla.show.tear_sheet.scales import scale, short

_MOST: Final = 20
"""Values of an axis that stand by themselves; more numbers than that are put into bins."""
_MOST_NAMES: Final = 60
"""More values than that, which are no numbers, make no axis of a map."""
_BINS: Final = 8
_SHADES: Final = ("", "g1", "g2", "g3", "g4")


class Axis(NamedTuple):
    """The headings of an axis in their order, and under which of them each value falls."""

    name: str
    headings: tuple[str, ...]
    places: Mapping[str, int]


class Map(NamedTuple):
    """`cells` by row and column: the best result there, None where there is none; `tried` counts results in the fullest cell."""

    across: Axis
    down: Axis | None
    cells: tuple[tuple[float | None, ...], ...]
    tried: int


def heat_map(members: Iterable[BacktestView], config: StudyConfig) -> Map | None:
    """Over the first two axes along which results differ; one alone makes one row. None without a result or an axis.

    Where there are more axes, or more folds, a cell has the best of what was tried there.
    """
    valued = [(one, found) for one in members if (found := value(one, config)) is not None]
    axes = [
        axis for name in config.axes if len((axis := _axis(name, [one for one, _ in valued])).headings) > 1
    ]
    if not valued or not axes:
        return None
    across, down = axes[0], axes[1] if len(axes) > 1 else None
    there: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one, found in valued:
        there[_place(down, one), _place(across, one)].append(found)
    best = min if config.lowest else max
    rows = range(len(down.headings) if down else 1)
    cells = tuple(
        tuple(
            best(there[row, column]) if (row, column) in there else None
            for column in range(len(across.headings))
        )
        for row in rows
    )
    return Map(across, down, cells, max(map(len, there.values())))


def _place(axis: Axis | None, one: BacktestView) -> int:
    return axis.places[_key(one, axis.name)] if axis else 0


def _key(one: BacktestView, name: str) -> str:
    return formats.number(one.config.parameter(name))


def _axis(name: str, members: Sequence[BacktestView]) -> Axis:
    values: dict[str, Any] = {_key(one, name): one.config.parameter(name) for one in members}
    if all(_is_number(each) for each in values.values()):
        if len(values) > _MOST:
            return _binned(name, {key: float(each) for key, each in values.items()})
        keys = sorted(values, key=lambda key: float(values[key]))
    else:
        keys = list(values) if len(values) <= _MOST_NAMES else []
    return Axis(name, tuple(keys), {key: number for number, key in enumerate(keys)})


def _binned(name: str, values: Mapping[str, float]) -> Axis:
    axis = scale(min(values.values()), max(values.values()), count=_BINS)
    last = len(axis.ticks) - 2
    places = {
        key: min(last, max(0, math.floor((each - axis.low) / axis.step))) for key, each in values.items()
    }
    headings = tuple(f"from {short(tick, axis.step)}" for tick in axis.ticks[:-1])
    return Axis(name, headings, places)


def _is_number(found: Any) -> bool:
    if isinstance(found, bool):
        return False
    try:
        return math.isfinite(float(found))
    except (TypeError, ValueError):
        return False


def drawn(found: Map, config: StudyConfig, best: BacktestView | None) -> Html:
    """The map as a table: the better, the darker; the best one has a border."""
    known = [each for row in found.cells for each in row if each is not None]
    low, high = min(known), max(known)
    first = (best and _place(found.down, best), best and _place(found.across, best))
    head = element("tr", element("th", ""), *(element("th", each) for each in found.across.headings))
    rows = []
    for row, cells in enumerate(found.cells):
        name = found.down.headings[row] if found.down else label(config)
        made = (
            _cell(each, config, (low, high), best.currency if best else None, is_best=(row, column) == first)
            for column, each in enumerate(cells)
        )
        rows.append(element("tr", element("td", name), *made))
    made_table = element("table", element("thead", head), element("tbody", *rows), class_="heat")
    names = f"{found.across.name} across, {found.down.name} down" if found.down else found.across.name
    return joined((element("h3", names), element("div", made_table, class_="wide")))


def _cell(
    found: float | None,
    config: StudyConfig,
    ends: tuple[float, float],
    currency: str | None,
    *,
    is_best: bool,
) -> Html:
    if found is None:
        return element("td", metric(None, config))
    low, high = ends
    part = (found - low) / (high - low) if high > low else 0.5
    shade = _SHADES[round((1 - part if config.lowest else part) * (len(_SHADES) - 1))]
    return element(
        "td", metric_of(found, config, currency), class_=f"{shade} top".strip() if is_best else shade or None
    )
