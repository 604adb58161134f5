"""Logs of engines, searched: over all that are kept of all engines, the newest line first."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import InstanceId, SessionId
from flotilla.schemas.labels import Labels
from flotilla.schemas.ledger import Moment

LogText = Annotated[str, Meta(max_length=200, description="A part of the line, in whatever case.")]
LogPlace = Annotated[
    str,
    Meta(
        pattern=r"\A\d{1,12}-\d{1,18}-\d{1,7}\Z",
        description="A place in the logs: the `next` or `end` of an answer.",
    ),
]
LogLevel = Literal["debug", "info", "warning", "error"]


class SearchLogs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for lines that were stored from `since` on and before `until`, the newest first; a filter that is left out keeps everything.

    `text` is a part of the line, in whatever case; `level` the lowest that is shown: a line without one, such as one of a traceback, has that
    of the line before it, or `info` where that was not read with it. `labels` keeps engines whose configuration, as it is shown, has all of them; one that was removed has none.
    `cursor` is the `next` of the answer before, `after` the `end` of one: what came since.
    """

    text: LogText = ""
    level: LogLevel | None = None
    since: Moment | None = None
    until: Moment | None = None
    instance_id: InstanceId | None = None
    session_id: SessionId | None = None
    labels: Labels = {}
    cursor: LogPlace | None = None
    after: LogPlace | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an engine's stdout or stderr. `number` counts the lines of its session from 1, `at` is when the bus stored it."""

    instance_id: InstanceId
    session_id: SessionId
    number: int
    at: datetime
    level: LogLevel
    text: str


class FoundLogs(msgspec.Struct, frozen=True, kw_only=True):
    """Lines, the newest first. An answer looks through so much and no more: `next` is where to go on, null when all was looked through.

    `looked_back_to` is when the oldest was stored that was looked at, null when there was nothing to look at; `looked_bytes` how much it was.
    `end` is where the logs ended, for `after`.
    """

    lines: tuple[LogLine, ...]
    next: LogPlace | None
    end: LogPlace
    looked_back_to: datetime | None
    looked_bytes: int
