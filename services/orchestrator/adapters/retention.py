"""What can be deleted of the record, on its connections; see the port for what each method does."""

from datetime import datetime
from typing import Any, Final

from flotilla.schemas.record import Deletion, KeptKind, RecordKind
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.rows import SQL
from flotilla.services.orchestrator.history.ports import Sizes

_VACUUM_S: Final = 600.0


class PostgresRetention:
    """The part of the record that is about what goes."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record

    async def prune_events(self, before: datetime, most: int, rule: str) -> tuple[int, int]:
        found = await self._record.fetch("prune_events", before, most, rule)
        return found[0]["looked_at"], found[0]["deleted"]

    async def prune(self, kind: RecordKind, before: datetime, most: int, rule: str) -> int:
        found = await self._record.fetch(f"prune_{kind}", before, most, rule)
        return int(found[0]["deleted"])

    async def sizes(self) -> Sizes:
        kinds = {row["kind"]: row for row in await self._record.fetch("record_sizes")}
        events = kinds["events"]
        return Sizes(
            bytes=await self._value("record_size"),
            events=events["rows"],
            events_bytes=events["bytes"],
            event_bytes=await self._value("record_event_size"),
        )

    async def make_room(self) -> None:
        await self._record.run_alone(SQL["record_vacuum"], timeout_s=_VACUUM_S)

    async def kinds(self) -> list[KeptKind]:
        oldest = (await self._record.fetch("record_oldest"))[0]
        return [
            KeptKind(
                kind=RecordKind(row["kind"]),
                bytes=row["bytes"],
                rows=row["rows"],
                oldest=oldest.get(row["kind"]),
                keep_days=None,
            )
            for row in await self._record.fetch("record_sizes")
        ]

    async def deletions(self, limit: int) -> list[Deletion]:
        return [_deletion(row) for row in await self._record.fetch("record_deletions", limit)]

    async def _value(self, query: str) -> Any:
        return (await self._record.fetch(query))[0]["bytes"]


def _deletion(row: dict[str, Any]) -> Deletion:
    return Deletion(**{**row, "kind": RecordKind(row["kind"])})
