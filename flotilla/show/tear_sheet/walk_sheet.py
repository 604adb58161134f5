"""The part of a study's sheet that is of a walk forward: the stitched curve with its figures, and each window with its choice."""

from collections.abc import Iterator, Sequence
from datetime import UTC

from flotilla.schemas.backtest import StudyConfig
from flotilla.schemas.figures import FIGURES, OF_EQUITY, UNDEFINED, share, written
from flotilla.schemas.thinning import Point
from flotilla.schemas.walk_forward import StitchedFigures, StudyWindow, WalkForward
from flotilla.show import formats
from flotilla.show.study_tables import cold, label, metric_of, walk_forward_lines
from flotilla.show.tear_sheet.analysis import zone_of
from flotilla.show.tear_sheet.charts import Dots, Line, Time, time_chart
from flotilla.show.tear_sheet.equity import drawdown_chart
from flotilla.show.tear_sheet.html import Html, element, joined, note, section, table
from flotilla.show.tear_sheet.scales import short


def walked(walk: WalkForward, config: StudyConfig) -> Html:
    """The two sections."""
    return joined((_stitched(walk), _windows(walk, config)))


def _stitched(walk: WalkForward) -> Html:
    """What the choices earned one after the other."""
    title, points = "Out of sample, stitched", [(each.at_ns, each.equity) for each in walk.curve]
    if walk.figures is None or len(points) < 2 or points[0][0] == points[-1][0]:
        return section(
            title, note("There is no curve: no window has tried its choice yet, or its result was not saved.")
        )
    time = Time(points[0][0], points[-1][0], zone_of(walk.timezone) or UTC)
    line = Line("out of sample", "accent", points)
    money = f"Equity out of sample, {walk.currency}" if walk.currency else "Equity out of sample"
    used = sum(one.is_stitched for one in walk.windows)
    words = (
        f"{used:,} of {len(walk.windows):,} windows. Each piece begins with the equity that the one before ended with, and its returns apply to that; where "
        "there is none, equity stays as it is. Positions that a piece left open are valued at its end, and the next one begins with none."
    )
    return section(
        title,
        element("h3", money),
        time_chart(money, time, [line], written=short, dots=_marks(walk, points)),
        drawdown_chart(time, [(each.at_ns, -each.drawdown) for each in walk.curve]),
        table(("", ">stitched"), _figures(walk.figures, walk.currency or ""), class_="name"),
        note(words),
    )


def _figures(figures: StitchedFigures, currency: str) -> Iterator[tuple[str, str]]:
    for name in (*OF_EQUITY, "final_equity"):
        yield FIGURES[name].label, written(name, getattr(figures, name), currency)
    years = UNDEFINED if figures.years is None else f"{figures.years:,.2f}"
    yield "returns of a day, years", f"{figures.returns:,}, {years}"


def _marks(walk: WalkForward, points: Sequence[Point]) -> list[Dots]:
    """Where a window begins to try its choice: filled where that is another one than before."""
    kinds: dict[bool, list[Point]] = {False: [], True: []}
    for one in walk.windows[1:]:
        place = next((point for point in points if point[0] >= one.out_of_sample_start_ns), None)
        if one.is_stitched and place is not None:
            kinds[bool(one.changed)].append(place)
    words = ((False, "next window, same choice"), (True, "next window, another choice"))
    return [Dots(name, "loss", kinds[is_new], not is_new) for is_new, name in words if kinds[is_new]]


def _windows(walk: WalkForward, config: StudyConfig) -> Html:
    """What is looked for first stands first, so that a phone shows it; the other dates follow."""
    sought = label(config)
    head = (
        *("> ", "tried from", f">{sought} in sample", ">out of it"),
        *(() if _is_return(config) else (">return out of it",)),
        *(f">{name}" for name in config.axes),
        *("to", "in sample from"),
    )
    lines = list(walk_forward_lines(walk, config))
    words = "".join(f"{line[:1].upper()}{line[1:]}. " for line in lines).rstrip()
    return section(
        "Windows",
        table(head, [_row(one, config, walk.currency) for one in walk.windows]),
        note(words) if words else "",
        element("p", said, class_="warn") if (said := cold(walk, config)) else "",
    )


def _is_return(config: StudyConfig) -> bool:
    return config.best_by == "total_return"


def _row(one: StudyWindow, config: StudyConfig, currency: str | None) -> tuple[str, ...]:
    return (
        f"{one.number:,}",
        formats.day(one.out_of_sample_start_ns),
        metric_of(one.in_sample, config, currency),
        metric_of(one.out_of_sample, config, currency),
        *(() if _is_return(config) else (share(one.total_return),)),
        *(_value(one, name) for name in config.axes),
        formats.day(one.out_of_sample_end_ns),
        formats.day(one.in_sample_start_ns),
    )


def _value(one: StudyWindow, name: str) -> str:
    if one.chosen is None:
        return UNDEFINED
    text = formats.number(one.parameters.get(name))
    return element("b", f"{text}*", class_="changed") if name in one.changed else text
