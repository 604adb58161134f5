"""What engines measured over time, and with what they began the day."""

from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.schemas import contract
from flotilla.schemas.history import DayStarts, History, Measure, ReadDays, ReadHistory, Zone
from flotilla.schemas.labels import read_labels
from flotilla.schemas.ledger import Engines, Moment
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import both, scope_of
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import LabelFilter


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` (a day before `until`) to `until` (now), in at most `points` points; which measures, separated by commas."""

    since: Moment | None = None
    until: Moment | None = None
    points: Annotated[int, Meta(ge=1, le=2000)] = 300
    measures: tuple[Measure, ...] = tuple(Measure)


class DaysQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of which engines, and when a day begins: at midnight of `timezone`."""

    engine: Engines = ()
    label: LabelFilter = ()
    timezone: Zone = "UTC"


class HistoryReply(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine measured."""

    success: bool = True
    history: History


class DaysReply(msgspec.Struct, frozen=True, kw_only=True):
    """With what engines began the day; those are left out of which no equity is known today."""

    success: bool = True
    starts: DayStarts


async def read_history(gateway: Gateway, ask: Ask[HistoryQuery, None]) -> HistoryReply:
    """The history of one engine. Raises FaultError `not_found`."""
    query = ask.query
    question = ReadHistory(
        instance_id=ask.path["instance_id"],
        since=query.since,
        until=query.until,
        points=query.points,
        measures=query.measures,
    )
    return HistoryReply(history=await gateway.bus.call(contract.HISTORY_READ, question))


async def read_days(gateway: Gateway, ask: Ask[DaysQuery, None]) -> DaysReply:
    """The beginning of the day of all engines that the token may see."""
    query = ask.query
    labels = both(scope_of(ask), read_labels(query.label, "label"))
    # Where no engine can carry all of them, when the day began is told all the same.
    question = ReadDays(instance_ids=query.engine, labels=labels or {}, timezone=query.timezone)
    found = await gateway.bus.call(contract.HISTORY_DAYS, question)
    return DaysReply(starts=msgspec.structs.replace(found, days={}) if labels is None else found)
