from datetime import datetime

import pytest

from flotilla.schemas.engine import ReadLogs
from flotilla.schemas.telemetry import LogLines
from flotilla.services.orchestrator.engines.core.logs import select
from tests.unit.orchestrator.makers import NOW, after

LINES = (
    "2026-01-31T14:25:01.000000000Z [INFO] E1-001.TradingNode: RUNNING",
    "2026-01-31T14:25:02.000000000Z [WARN] E1-001.DataClient: slow",
    "2026-01-31T14:25:03.000000000Z [ERROR] E1-001.EMACross: failed",
    "Traceback (most recent call last):",
    "ValueError: boom",
    "2026-01-31T14:25:04.000000000Z [DEBUG] E1-001.Cache: x",
)


def batch(seconds: float, *lines: str) -> LogLines:
    at_ns = int(after(seconds).timestamp()) * 1_000_000_000
    return LogLines(instance_id="e1", session_id="s1", first=1, at_ns=at_ns, lines=lines)


def lines_of(**request: object) -> tuple[str, ...]:
    return select([batch(0, *LINES[:3]), batch(60, *LINES[3:])], ReadLogs(**request), "e1").lines  # type: ignore[arg-type]


def test_the_last_lines_come_oldest_first_and_all_are_counted() -> None:
    found = select([batch(0, *LINES)], ReadLogs(lines=2), "e1")
    assert (found.lines, found.total_lines, found.instance_id) == (LINES[-2:], 6, "e1")


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", LINES), ("INFO", LINES[:5]), ("Warning", LINES[1:5]), ("error", LINES[2:5])],
)
def test_a_level_shows_what_is_as_grave_and_a_traceback_goes_with_its_error(
    level: str, shown: tuple[str, ...]
) -> None:
    assert lines_of(level=level) == shown


@pytest.mark.parametrize("since", [after(1), after(1).replace(tzinfo=None)])
def test_only_lines_since_a_time_are_shown_and_no_zone_means_utc(since: datetime) -> None:
    assert lines_of(since=since) == LINES[3:]
    assert lines_of(since=NOW) == LINES


def test_a_nonsensical_time_of_an_engine_does_no_harm() -> None:
    wild = LogLines(instance_id="e1", session_id="s1", first=1, at_ns=2**80, lines=("x",))
    assert select([wild], ReadLogs(since=NOW), "e1").lines == ("x",)
