"""Time texts of people's files."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import bound_ns, midnight_ns, parse_time

NEW_YORK = ZoneInfo("America/New_York")
NOON = int(datetime(2010, 1, 4, 12, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2010-01-04T12:00:00Z", NOON),
        ("2010-01-04 12:00:00+00:00", NOON),
        ("2010-01-04T14:00+02:00", NOON),
        ("2010-01-04T06:30:00-0530", NOON),
        ("2010-01-04 12:00:00.000000001 UTC", NOON + 1),
        ("2010-01-04T12:00:00.5Z", NOON + 500_000_000),
        ("1262606400", NOON),
        ("1262606400000", NOON),
        ("1262606400000000", NOON),
        ("1262606400000000000", NOON),
        ("915148800", 915148800 * 10**9),
        ("915148800123", 915148800123 * 10**6),
        ("915148800123456", 915148800123456 * 10**3),
        ("915148800123456789", 915148800123456789),
    ],
)
def test_moments_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert parse_time(text, None) == ns


@pytest.mark.parametrize("text", ["2010-01-04", "20100104"])
def test_a_date_stays_a_date(text: str) -> None:
    assert parse_time(text, None) == date(2010, 1, 4)


def test_a_time_without_a_zone_is_read_in_the_one_given() -> None:
    assert parse_time("2010-01-04 07:00:00", NEW_YORK) == NOON
    assert parse_time("2010-07-04 08:00:00", NEW_YORK) == NOON + 181 * 86_400 * 10**9


def test_a_time_without_any_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="--timezone"):
        parse_time("2010-01-04 12:00:00", None)


def test_a_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist in America/New_York"):
        parse_time("2010-03-14 02:30:00", NEW_YORK)


@pytest.mark.parametrize(
    "text", ["", "noon", "04/01/2010", "2010-13-01", "2010-01-04T25:00:00Z", "12345", "-1", "1e9"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text, None)


@pytest.mark.parametrize("text", ["2024-13-01", "20241301", "2024-02-30T10:00Z"])
def test_a_day_that_there_is_not_is_shown(text: str) -> None:
    with pytest.raises(ImportRefusedError, match=rf"\A--from: '{text}': .+"):
        bound_ns(text, "--from", is_end=False)


def test_a_day_begins_at_the_midnight_of_its_zone() -> None:
    assert midnight_ns(date(2010, 1, 4), None) == NOON - 12 * 3600 * 10**9
    assert midnight_ns(date(2010, 1, 4), NEW_YORK) == NOON - 7 * 3600 * 10**9


def test_of_a_time_that_comes_twice_the_second_is_taken_when_the_first_is_over() -> None:
    summer, winter = 1699160400 * 10**9, 1699164000 * 10**9  # 05:00 and 06:00 UTC
    assert parse_time("2023-11-05 01:00:00", NEW_YORK) == summer
    assert parse_time("2023-11-05 01:00:00", NEW_YORK, not_before=summer) == summer
    assert parse_time("2023-11-05 01:00:00", NEW_YORK, not_before=summer + 1) == winter
    assert parse_time("2023-11-05 01:00:00.5", NEW_YORK, not_before=summer + 1) == summer + 500_000_000


@pytest.mark.parametrize(
    ("text", "time_format", "result"),
    [
        ("4.1.2010 12:00", "%d.%m.%Y %H:%M", NOON),
        ("01/04/2010 12:00:00.25", "%m/%d/%Y %H:%M:%S.%f", NOON + 250_000_000),
        ("01/04/10 07:00 AM -0500", "%m/%d/%y %I:%M %p %z", NOON),
        ("1/4/2010", "%m/%d/%Y", date(2010, 1, 4)),
    ],
)
def test_a_format_reads_what_no_standard_does(text: str, time_format: str, result: int | date) -> None:
    assert parse_time(text, ZoneInfo("UTC"), time_format) == result


def test_a_time_in_another_form_than_the_format_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a time in the form"):
        parse_time("2010-01-04", None, "%d.%m.%Y")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1/2/2024", "give --time-format '%m/%d/%Y' or '%d/%m/%Y'"),
        ("01.02.2024 10:00:00", "give --time-format '%m.%d.%Y %H:%M:%S' or '%d.%m.%Y %H:%M:%S'"),
        ("yesterday", "give --time-format"),
    ],
)
def test_a_time_in_no_standard_form_asks_for_its_format(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_time(text, None)
