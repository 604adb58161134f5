"""Fewer points of a curve, for people: as it looks, not as it is."""

from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[int, float]
"""A moment (UNIX ns), and what was so then."""


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` (4 or more) of the points, which are in time order: the first, the last, and the lowest and highest of equal spans."""
    if len(points) <= most:
        return list(points)
    first, last = points[0][0], points[-1][0]
    columns = (most - 2) // 2
    lowest: dict[int, int] = {}
    highest: dict[int, int] = {}
    for index, (at_ns, value) in enumerate(points):
        column = (at_ns - first) * columns // (last - first + 1)
        if column not in lowest or value < points[lowest[column]][1]:
            lowest[column] = index
        if column not in highest or value > points[highest[column]][1]:
            highest[column] = index
    kept = {0, len(points) - 1, *lowest.values(), *highest.values()}
    return [points[index] for index in sorted(kept)]
