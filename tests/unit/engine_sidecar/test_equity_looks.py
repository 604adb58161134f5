"""When the equity of a run is looked at: at each day's end, and of a short run often enough to see within its days."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.backtest.equity import looks_of
from flotilla.engine_sidecar.replay.streams import Extent
from flotilla.schemas.backtest import MAX_CURVE_POINTS

DAY = 86_400 * 10**9
START = int(datetime(2020, 1, 1, 9, 30, tzinfo=UTC).timestamp()) * 10**9
MIDNIGHT = START // DAY * DAY


def moments(last: int, zone: str = "UTC", first: int = START) -> list[int]:
    """All moments at which a run from `first` to `last` is looked at, if it has events all the time."""
    looks = looks_of(Extent(10, first, last), ZoneInfo(zone), lambda: None)
    found = [looks.first - 1]
    while found[-1] <= last:
        found.append(looks.next_one(found[-1] + 1))
    return found[1:]


def test_a_long_run_is_looked_at_at_each_days_end_and_nowhere_else() -> None:
    assert moments(START + 2_000 * DAY) == [MIDNIGHT + DAY * n for n in range(1, 2_002)]


def test_a_days_end_is_that_of_the_zone_whose_days_may_have_23_hours() -> None:
    first = int(datetime(2024, 3, 8, 12, tzinfo=UTC).timestamp()) * 10**9
    found = moments(first + 2_000 * DAY, "America/New_York", first)
    hours = {(after - before) // (DAY // 24) for before, after in pairwise(found)}
    assert hours == {23, 24, 25}


def test_a_short_run_is_looked_at_within_its_days_too() -> None:
    found = moments(START + 10 * DAY)
    assert {MIDNIGHT + DAY * n for n in range(1, 11)} <= set(found)
    assert MAX_CURVE_POINTS - 10 < len(found) < MAX_CURVE_POINTS + 12
    assert max(after - before for before, after in pairwise(found)) <= DAY / 99


@given(at=st.integers(START, START + 400 * DAY), days=st.integers(1, 3_000))
def test_the_next_look_is_never_before_its_moment_and_at_most_a_day_after(at: int, days: int) -> None:
    looks = looks_of(Extent(10, START, START + days * DAY), UTC, lambda: None)
    assert at <= looks.next_one(at) <= at + DAY


@pytest.mark.parametrize("length", [0, 1, 10**9])
def test_the_shortest_runs_are_looked_at_once_a_second(length: int) -> None:
    looks = looks_of(Extent(1, START, START + length), UTC, lambda: None)
    assert looks.next_one(START) == START - 1 + 10**9
