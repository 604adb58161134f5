"""Which lines of engines' logs are found, in which order, and where a page goes on."""

from typing import Any

import pytest

from flotilla.schemas.fault import FaultError
from flotilla.schemas.logs import SearchLogs
from flotilla.services.orchestrator.engines.core.log_search import (
    Batch,
    Place,
    matching,
    place_of,
    text_of,
)
from tests.unit.orchestrator.makers import after

FIRST = Batch(
    7,
    after(0),
    "e1",
    "s1",
    1,
    ("x [INFO] Node: RUNNING", "x [ERROR] Exec: Order rejected", "Traceback (most recent call last):"),
)
OTHER = Batch(8, after(1), "e2", "s2", 40, ("x [WARN] Data: slow", "a line of a library"))
SECOND = Batch(9, after(2), "e1", "s1", 4, ("ValueError: boom", "x [DEBUG] Cache: order 1"))
ALL = (FIRST, OTHER, SECOND)
START, END = Place(0), Place(99)


def found(ids: set[str] | None = None, span: tuple[Place, Place] = (START, END), **asked: Any) -> list[str]:
    lines = matching(ALL, SearchLogs(**asked), ids, *span)
    return [f"{one.line.instance_id}/{one.line.number}" for one in lines]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["e1/5", "e1/4", "e2/41", "e2/40", "e1/3", "e1/2", "e1/1"]),
        ({"text": "ORDER"}, ["e1/5", "e1/2"]),
        ({"text": "nowhere"}, []),
        # A traceback goes on in the next message of its session, whatever another engine said between.
        ({"level": "error"}, ["e1/4", "e1/3", "e1/2"]),
        ({"level": "warning"}, ["e1/4", "e2/41", "e2/40", "e1/3", "e1/2"]),
        ({"level": "info"}, ["e1/4", "e2/41", "e2/40", "e1/3", "e1/2", "e1/1"]),
        ({"session_id": "s2"}, ["e2/41", "e2/40"]),
        ({"ids": {"e2"}, "level": "warning"}, ["e2/41", "e2/40"]),
        ({"span": (Place(7, 2), Place(9, 1))}, ["e1/4", "e2/41", "e2/40", "e1/3"]),
    ],
)
def test_lines_are_found_newest_first(asked: dict[str, Any], expected: list[str]) -> None:
    assert found(**asked) == expected


def test_a_line_has_the_level_that_it_goes_by_and_the_engine_of_its_subject() -> None:
    newest = next(iter(matching(ALL, SearchLogs(text="boom"), None, START, END)))
    assert (newest.place, newest.line.level, newest.line.at) == (Place(9, 0), "error", after(2))


def test_a_place_is_read_back_and_refused_in_logs_that_were_made_anew() -> None:
    assert place_of(text_of(Place(9, 1), "1700"), "1700", "cursor") == Place(9, 1)
    with pytest.raises(FaultError, match="cursor"):
        place_of("1700-9-1", "1800", "cursor")
