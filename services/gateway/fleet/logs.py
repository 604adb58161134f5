"""Lines in the logs of all engines that a token may see."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.schemas import contract
from flotilla.schemas.ids import InstanceId, SessionId
from flotilla.schemas.labels import read_labels
from flotilla.schemas.ledger import Moment
from flotilla.schemas.logs import FoundLogs, LogLevel, LogLine, LogPlace, LogText, SearchLogs
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import both, scope_of
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import LabelFilter, Limit


class LogSearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines; a filter that is left out keeps everything. `cursor` is the `next` of the answer before, `after` the `end` of one."""

    text: LogText = ""
    level: Annotated[LogLevel, Meta(description="This level and above.")] | None = None
    since: Moment | None = None
    until: Moment | None = None
    instance_id: InstanceId | None = None
    session_id: SessionId | None = None
    label: LabelFilter = ()
    cursor: LogPlace | None = None
    after: LogPlace | None = None
    limit: Limit = 100


class LogSearchReply(msgspec.Struct, frozen=True, kw_only=True):
    """Lines, the newest first. An answer looks through so much and no more: `next` is the `cursor` to go on with, null when all was looked
    through.

    `looked_back_to` is when the oldest was stored that was looked at, null when there was nothing; `looked_bytes` how much it was. `end` is
    the `after` of what comes next, null for a token that no engine carries the labels of.
    """

    success: bool = True
    lines: tuple[LogLine, ...]
    count: int
    next: str | None
    end: str | None
    looked_back_to: datetime | None
    looked_bytes: int


async def search_logs(gateway: Gateway, ask: Ask[LogSearchQuery, None]) -> LogSearchReply:
    """A page of lines. Raises FaultError `not_found` for an engine that is not known, `invalid` for a place that is not there any more."""
    query = ask.query
    labels = both(scope_of(ask), read_labels(query.label, "label"))
    if labels is None:
        return LogSearchReply(lines=(), count=0, next=None, end=None, looked_back_to=None, looked_bytes=0)
    question = SearchLogs(
        text=query.text,
        level=query.level,
        since=query.since,
        until=query.until,
        instance_id=query.instance_id,
        session_id=query.session_id,
        labels=labels,
        cursor=query.cursor,
        after=query.after,
        limit=query.limit,
    )
    found: FoundLogs = await gateway.bus.call(contract.LOG_SEARCH, question)
    return LogSearchReply(
        lines=found.lines,
        count=len(found.lines),
        next=found.next,
        end=found.end,
        looked_back_to=found.looked_back_to,
        looked_bytes=found.looked_bytes,
    )
