"""Which lines of engines' logs somebody looks for, and from where an answer goes on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.logs import LogLevel, LogLine, SearchLogs
from flotilla.services.orchestrator.engines.core.logs import RANK, rank_of

_LEVELS: Final[tuple[LogLevel, ...]] = ("debug", "info", "warning", "error")


class Place(msgspec.Struct, frozen=True, order=True):
    """Between two lines: before line `line` (from 0) of the message `seq`."""

    seq: int
    line: int = 0


class Batch(msgspec.Struct, frozen=True):
    """A message of the stream of logs. `instance_id` is that of its subject, for what a payload says of it anybody could have written."""

    seq: int
    at: datetime
    instance_id: str
    session_id: str
    first: int
    lines: tuple[str, ...]


class Found(msgspec.Struct, frozen=True):
    """A line, and where it stands."""

    place: Place
    line: LogLine


def place_of(text: str, epoch: str, field: str) -> Place:
    """Where a text leads. Raises FaultError `invalid` for a place in a stream that is not there any more."""
    of, seq, line = text.split("-")
    if of != epoch:
        raise invalid(
            FieldError(field, "is a place in logs that are not there any more; search anew without it")
        )
    return Place(int(seq), int(line))


def text_of(place: Place, epoch: str) -> str:
    """As `place_of` reads it."""
    return f"{epoch}-{place.seq}-{place.line}"


def matching(
    batches: Sequence[Batch], question: SearchLogs, instance_ids: set[str] | None, begin: Place, end: Place
) -> Iterable[Found]:
    """The lines from `begin` on and before `end` that are looked for, the newest first, of batches that are oldest first.

    `instance_ids` are the engines meant, None for all. A line at the very beginning that has no level counts as `info`.
    """
    lowest = RANK[question.level.upper()] if question.level else 0
    text = question.text.casefold()
    ranks: dict[str, int] = {}
    found: list[Found] = []
    for batch in batches:
        if instance_ids is not None and batch.instance_id not in instance_ids:
            continue
        if question.session_id not in (None, batch.session_id):
            continue
        for index, line in enumerate(batch.lines):
            place = Place(batch.seq, index)
            rank = rank_of(line)
            if rank is None:
                rank = ranks.get(batch.session_id, RANK["INFO"])
            ranks[batch.session_id] = rank
            if rank >= lowest and begin <= place < end and text in line.casefold():
                found.append(Found(place, _line(batch, index, rank)))
    return reversed(found)


def _line(batch: Batch, index: int, rank: int) -> LogLine:
    return LogLine(
        instance_id=batch.instance_id,
        session_id=batch.session_id,
        number=batch.first + index,
        at=batch.at,
        level=_LEVELS[rank],
        text=batch.lines[index],
    )
