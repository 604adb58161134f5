"""The last lines of an engine's log, by level and time."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from flotilla.schemas.engine import EngineLogs, ReadLogs
from flotilla.schemas.telemetry import LogLines

_LEVEL: Final = re.compile(r"\[(DEBUG|INFO|WARN|WARNING|ERROR)\]")
RANK: Final = {"DEBUG": 0, "INFO": 1, "WARN": 2, "WARNING": 2, "ERROR": 3}


def select(batches: Iterable[LogLines], request: ReadLogs, instance_id: str) -> EngineLogs:
    """The last lines that match, oldest first, and how many match in all. `level` is the lowest that is shown."""
    matching = list(_matching(batches, request))
    return EngineLogs(
        instance_id=instance_id, lines=tuple(matching[-request.lines :]), total_lines=len(matching)
    )


def _matching(batches: Iterable[LogLines], request: ReadLogs) -> Iterator[str]:
    lowest = RANK[request.level.upper()] if request.level else 0
    since_ns = _nanoseconds(request.since) if request.since else 0
    rank = RANK["INFO"]
    for batch in batches:
        for line in batch.lines:
            # A line without a level, such as one of a traceback, goes with the line before it.
            if (own := rank_of(line)) is not None:
                rank = own
            if rank >= lowest and batch.at_ns >= since_ns:
                yield line


def rank_of(line: str) -> int | None:
    """The rank of the level that a line carries; None for one that carries none."""
    found = _LEVEL.search(line[:200])
    return RANK[found[1]] if found else None


def _nanoseconds(at: datetime) -> int:
    """UNIX nanoseconds; a time without a zone is taken as UTC."""
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(zoned.timestamp() * 1_000_000) * 1000
