"""Rows of an import beside those that a catalog has."""

from typing import Any, NamedTuple

import pytest

from flotilla.engine_sidecar.catalog.overlap import Overlap
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError


class Event(NamedTuple):
    ts_init: int
    price: int = 1


def events(*moments: int, price: int = 1) -> list[Event]:
    return [Event(at, price) for at in moments]


def put(
    spans: list[tuple[int, int]], there: list[Event], rows: list[Event]
) -> tuple[list[list[Any]], Overlap]:
    overlap = Overlap(spans, Event._asdict)
    return overlap.new(rows, there), overlap


def refusal(overlap: Overlap) -> str:
    with pytest.raises(ImportRefusedError) as refused:
        overlap.check("X")
    return str(refused.value)


def test_rows_around_and_between_files_make_a_file_for_each_gap() -> None:
    there = events(10, 12, 20, 22)
    found, overlap = put([(20, 22), (10, 12)], there, events(8, 9, 10, 12, 15, 16, 20, 22, 23))
    assert found == [events(8, 9), events(15, 16), events(23)]
    overlap.check("X")


def test_rows_of_one_moment_are_compared_together() -> None:
    there = [Event(10, 1), Event(10, 2)]
    assert put([(10, 10)], there, [Event(10, 1), Event(10, 2), Event(11, 1)])[0] == [events(11)]
    assert refusal(put([(10, 10)], there, [Event(10, 2), Event(10, 1)])[1]).endswith(
        "at 1970-01-01T00:00:00.000000010Z: it has price 1, the file 2"
    )
    assert refusal(put([(10, 10)], there, [Event(10, 1)])[1]).endswith("it has 2 rows, the file 1")


def test_a_row_that_only_one_of_both_has_is_named() -> None:
    assert "it has 1 rows, the file 0" in refusal(put([(10, 12)], events(10, 11, 12), events(10, 12))[1])
    assert "none can be put into the middle" in refusal(
        put([(10, 12)], events(10, 12), events(10, 11, 12))[1]
    )


def test_the_first_five_are_named_and_the_others_counted() -> None:
    said = refusal(put([(1, 9)], events(*range(1, 10)), events(*range(1, 10), price=2))[1])
    assert said.count("it has price 1, the file 2") == 5
    assert said.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("first", "last", "is_touched"),
    [
        (1, 9, False),
        (1, 10, True),
        (12, 14, True),
        (13, 19, False),
        (13, 20, True),
        (1, 30, True),
        (23, 30, False),
    ],
)
def test_only_time_that_a_file_has_is_compared(first: int, last: int, *, is_touched: bool) -> None:
    assert Overlap([(10, 12), (20, 22)], Event._asdict).touches(first, last) is is_touched
