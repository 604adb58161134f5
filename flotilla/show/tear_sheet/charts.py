"""Charts as inline SVG without any script.

The picture is stretched to the width of the page while lines and dots keep their size; what is to be read stands beside it as HTML, so
that it keeps its size on a phone too.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple, TypeAlias

from flotilla.schemas.thinning import Point, thinned
from flotilla.show.tear_sheet.html import Html, element, joined
from flotilla.show.tear_sheet.scales import Scale, scale, times

MOST_POINTS: Final = 1_000
"""Of one line: about one for each dot of a page's width."""
MANY_DOTS: Final = 120
"""From so many on they are drawn smaller."""
SIDE: Final = 1_000
"""A chart's width and height in its own units."""
Points: TypeAlias = Sequence[Point]
Written: TypeAlias = Callable[[float, float], str]
"""A value of an axis as people read it, and the step of that axis."""


class Line(NamedTuple):
    """A curve: what it is called, how it looks, and whether a value stays until the next one."""

    name: str
    style: str
    points: Points
    is_steps: bool = False


class Dots(NamedTuple):
    """Moments on a chart; hollow ones are rings."""

    name: str
    style: str
    points: Points
    is_hollow: bool = False


class Time(NamedTuple):
    """The time that a chart shows (UNIX ns, the first before the last), with the zone of its calendar."""

    first: int
    last: int
    zone: tzinfo

    def x(self, at_ns: int) -> int:
        """Where a moment is, in units of the chart."""
        return round((at_ns - self.first) / (self.last - self.first) * SIDE)


def time_chart(
    label: str,
    time: Time,
    lines: Sequence[Line],
    *,
    written: Written,
    dots: Sequence[Dots] = (),
    is_area: bool = False,
    is_small: bool = False,
    zero: bool = False,
) -> Html:
    """Curves over time. `is_area` fills the space to zero; `zero` has zero on the axis. Empty where no line has two points."""
    drawn = [
        each._replace(points=thinned(each.points, MOST_POINTS)) for each in lines if len(each.points) > 1
    ]
    if not drawn:
        return Html("")
    seen = [each.points for each in drawn] + [each.points for each in dots]
    values = [value for points in seen for _, value in points] + ([0.0] if zero else [])
    axis = scale(min(values), max(values), count=2 if is_small else 5)
    shapes = [_grid(axis)]
    # The first one is to lie on top of the others.
    for line in reversed(drawn):
        shapes += [_area(line, time, axis)] if is_area else []
        shapes.append(_path(line, time, axis))
    shapes += [_dotted(each, time, axis) for each in dots]
    legend = _legend([*drawn, *dots]) if len(drawn) + len(dots) > 1 else Html("")
    below = [(time.x(at_ns) / SIDE, name) for at_ns, name in times(time.first, time.last, time.zone)]
    return frame(label, joined(shapes), axis, written, below, legend=legend, is_small=is_small)


def bars(
    label: str, heights: Sequence[int], styles: Sequence[str], below: Sequence[tuple[float, str]]
) -> Html:
    """Counts side by side; `below` has what is written under them, by its place from 0 to 1."""
    axis = scale(0.0, float(max(heights)), count=min(3, max(heights)))
    width = SIDE / len(heights)
    shapes = [_grid(axis)]
    for number, (height, style) in enumerate(zip(heights, styles, strict=True)):
        if height:
            top = _y(axis, height)
            shapes.append(
                element(
                    *("rect",),
                    x=f"{number * width + width * 0.08:.1f}",
                    y=top,
                    width=f"{width * 0.84:.1f}",
                    height=SIDE - top,
                    class_=f"bar {style}",
                )
            )
    return frame(label, joined(shapes), axis, lambda value, _: f"{value:,.0f}", below)


def frame(
    label: str,
    shapes: Html,
    axis: Scale,
    written: Written,
    below: Iterable[tuple[float, str]],
    *,
    legend: str = "",
    is_small: bool = False,
) -> Html:
    """A picture with its axes: numbers to the left of it, `below` under it."""
    picture = element(
        "svg",
        shapes,
        viewBox=f"0 0 {SIDE} {SIDE}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    left = (
        element("span", written(tick, axis.step), style=f"top:{(1 - axis.part(tick)) * 100:.2f}%")
        for tick in axis.ticks
    )
    under = (_under(part, name) for part, name in below)
    return element(
        "figure",
        legend,
        element(
            "div", element("div", *left, class_="y"), picture, class_="plot small" if is_small else "plot"
        ),
        element("div", *under, class_="x"),
    )


def _under(part: float, name: str) -> Html:
    side = "at-start" if part < 0.03 else "at-end" if part > 0.97 else None
    return element("span", name, style=f"left:{part * 100:.2f}%", class_=side)


def _legend(drawn: Sequence[Line | Dots]) -> Html:
    marks = (
        element(
            "span",
            element("i", class_=f"{_mark(each)} {each.style}"),
            each.name,
        )
        for each in drawn
    )
    return element("figcaption", *marks)


def _mark(each: Line | Dots) -> str:
    if isinstance(each, Line):
        return "stroke"
    return "dot hollow" if each.is_hollow else "dot"


def _grid(axis: Scale) -> Html:
    lines = "".join(f"M0 {_y(axis, tick)}H{SIDE}" for tick in axis.ticks)
    zero = f"M0 {_y(axis, 0.0)}H{SIDE}" if axis.low < 0 < axis.high else ""
    return joined(
        (element("path", d=lines, class_="grid"), element("path", d=zero, class_="zero") if zero else "")
    )


def _path(line: Line, time: Time, axis: Scale) -> Html:
    return element("path", d=_drawn(line, time, axis), class_=f"line {line.style}")


def _area(line: Line, time: Time, axis: Scale) -> Html:
    zero = _y(axis, min(max(0.0, axis.low), axis.high))
    first, last = (time.x(line.points[end][0]) for end in (0, -1))
    return element(
        "path",
        d=f"M{first} {zero}L{_drawn(line, time, axis)[1:]}L{last} {zero}Z",
        class_=f"area {line.style}",
    )


def _drawn(line: Line, time: Time, axis: Scale) -> str:
    places = [(time.x(at_ns), _y(axis, value)) for at_ns, value in line.points]
    if line.is_steps:
        return f"M{places[0][0]} {places[0][1]}" + "".join(f"H{x}V{y}" for x, y in places[1:])
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _dotted(dots: Dots, time: Time, axis: Scale) -> Html:
    """Strokes without a length: round, and of one size however the picture is stretched."""
    places = dict.fromkeys((time.x(at_ns), _y(axis, value)) for at_ns, value in dots.points)
    d = "".join(f"M{x} {y}h0" for x, y in places)
    size = "dots" if len(places) <= MANY_DOTS else "dots fine"
    outer = element("path", d=d, class_=f"{size} {dots.style}")
    return joined((outer, element("path", d=d, class_=f"{size} hole"))) if dots.is_hollow else outer


def _y(axis: Scale, value: float) -> int:
    return round((1 - axis.part(value)) * SIDE)
