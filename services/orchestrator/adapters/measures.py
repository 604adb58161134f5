"""What engines measured, on PostgreSQL, on the connections of the record; see the port for what each method does."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from flotilla.schemas.history import DayStart
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.rows import SQL, to_json
from flotilla.services.orchestrator.history.core.buckets import Bucket, by_name
from flotilla.services.orchestrator.history.core.curves import KEPT, WIDTH, Cut, Row, Step
from flotilla.services.orchestrator.history.ports import Lost

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOURCE: Final = {
    Step.SECONDS: "history_seconds",
    Step.MINUTES: "history_by_minutes",
    Step.HOURS: "history_by_hours",
}
_FINER: Final = {Step.MINUTES: Step.SECONDS, Step.HOURS: Step.MINUTES}
_PIECE: Final = {Step.MINUTES: timedelta(minutes=10), Step.HOURS: timedelta(hours=1)}
"""How much is made coarser in one transaction."""
_FIGURES: Final = ("realized_pnl", "unrealized_pnl", "net_positions")


class PostgresMeasures:
    """The part of the record that is about measures."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record

    async def prepare(self, moment: datetime) -> None:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["history_prepare"], moment)

    async def add(self, buckets: Sequence[Bucket]) -> None:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["history_add"], *_columns(buckets))

    async def add_lost(self, lost: Lost) -> None:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["history_lose"], lost.since, lost.until, lost.rows)

    async def roll(self, before: datetime) -> bool:
        return any([await self._roll(step, before) for step in (Step.MINUTES, Step.HOURS)])

    async def drop(self, now: datetime) -> Sequence[str]:
        found = await self._record.fetch("history_drop", now - KEPT[Step.SECONDS], now - KEPT[Step.MINUTES])
        return list(found[0]["dropped"])

    async def rows(self, instance_id: str, since: datetime, until: datetime, cut: Cut) -> list[Row]:
        query = SQL["history_bins"].format(source=_SOURCE[cut.step])
        async with self._record.transaction() as connection:
            await connection.execute(SQL["plan_anew"])
            found = await connection.fetch(query, since, until, cut.width, since, instance_id)
        return [_row(row) for row in sorted(found, key=lambda row: row["at"])]

    async def lost(self, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        return [
            (row["since"], row["until"]) for row in await self._record.fetch("history_losses", since, until)
        ]

    async def day_starts(self, instance_ids: Sequence[str], since: datetime) -> Mapping[str, DayStart]:
        found = await self._record.fetch("history_days", list(instance_ids), since)
        return {row.pop("instance_id"): DayStart(**row) for row in found}

    async def _roll(self, step: Step, before: datetime) -> bool:
        """A piece of one coarser step: what the finer one has of it is all there. True when there is more."""
        finer = _FINER[step]
        end = before if finer is Step.SECONDS else min(before, await self._until(finer) or _EPOCH)
        end = _floor(end, WIDTH[step])
        async with self._record.transaction() as connection:
            await connection.execute(SQL["plan_anew"])
            query = SQL["history_until"].format(source=f"history_{finer}")
            state = await connection.fetchrow(query, str(step))
            # Where nothing is, there is nothing to be made of it.
            first = _floor(state["first"] or end, WIDTH[step])
            since = max(state["until"] or first, first)
            until = min(since + _PIECE[step], end)
            if until <= since:
                return False
            bins = SQL["history_bins"].format(source=f"history_{finer}")
            roll = SQL["history_roll"].format(target=f"history_{step}", bins=bins)
            await connection.execute(roll, since, until, WIDTH[step], _EPOCH, None)
            await connection.execute(SQL["history_set_until"], str(step), until)
        return until < end

    async def _until(self, step: Step) -> datetime | None:
        query = SQL["history_until"].format(source=f"history_{_FINER[step]}")
        async with self._record.transaction() as connection:
            until: datetime | None = (await connection.fetchrow(query, str(step)))["until"]
        return until


def _floor(moment: datetime, width: timedelta) -> datetime:
    return _EPOCH + (moment - _EPOCH) // width * width


def _columns(buckets: Sequence[Bucket]) -> tuple[list[Any], ...]:
    """The columns of history_add.sql, in the order of the table's."""
    return tuple(map(list, zip(*map(_values, buckets), strict=True)))


def _values(one: Bucket) -> tuple[Any, ...]:
    return (
        *(one.instance_id, one.at, one.session_id, one.samples, one.equity_currency),
        *(one.equity_first, one.equity_min, one.equity_max, one.equity_last, to_json(one.equity_unknown)),
        *(to_json(by_name(getattr(one, name))) for name in _FIGURES),
        *(one.orders_open, one.positions_open, one.fills_total, one.memory_bytes, one.cpu_fraction),
    )


def _row(found: Mapping[str, Any]) -> Row:
    facts = {name: found[name] for name in Row.__struct_fields__}
    documents = {name: msgspec.json.decode(facts[name]) for name in _FIGURES}
    unknown = tuple(msgspec.json.decode(facts["equity_unknown"] or "[]"))
    return Row(**{**facts, **documents, "equity_unknown": unknown})
