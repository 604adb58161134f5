"""Backtests on PostgreSQL, on the connections of the record; see the port for what each method does."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from flotilla.schemas.backtest import BacktestConfig, BacktestStatus, StudyConfig
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord, add_command
from flotilla.services.orchestrator.adapters.rows import SQL, to_json
from flotilla.services.orchestrator.backtests.core.cursors import Place
from flotilla.services.orchestrator.backtests.core.model import Backtest, Facts, NewBacktest, Study, Window
from flotilla.services.orchestrator.backtests.core.study_ranking import Point, Points, point
from flotilla.services.orchestrator.backtests.ports import Backlog, TakenError, Work
from flotilla.services.orchestrator.engines.ports import Command, StaleChange


class PostgresBacktests:
    """The part of the record that is about backtests and studies."""

    def __init__(self, record: PostgresRecord) -> None:
        self._record = record

    async def add(self, new: Sequence[NewBacktest], command: Command | None = None) -> None:
        async with self._record.transaction() as connection:
            await _add_all(connection, new)
            await _add_command(connection, command)

    async def add_missing(self, new: Sequence[NewBacktest]) -> list[str]:
        async with self._record.transaction() as connection:
            added = [await connection.fetchval(SQL["backtest_add"], *_new_row(each)) for each in new]
        return [each for each in added if each is not None]

    async def change(
        self,
        backtest: Backtest,
        *,
        result: bytes | None = None,
        report: bytes | None = None,
        command: Command | None = None,
    ) -> None:
        async with self._record.transaction() as connection:
            if await connection.fetchval(SQL["backtest_change"], *_changed_row(backtest)) is None:
                raise StaleChange(backtest.backtest_id)
            if result is not None:
                await connection.execute(SQL["backtest_add_result"], backtest.backtest_id, result)
            if report is not None:
                await connection.execute(SQL["backtest_add_report"], backtest.backtest_id, report)
            if backtest.is_final:
                await connection.execute(SQL["backtest_drop_parts"], backtest.backtest_id)
            if backtest.is_result_gone:
                await connection.execute(SQL["backtest_remove_result"], backtest.backtest_id)
            await _add_command(connection, command)

    async def backtests(self, backtest_ids: Sequence[str]) -> dict[str, Backtest]:
        found = await self._record.fetch("backtest_get", list(backtest_ids))
        return {row["backtest_id"]: _backtest(row) for row in found}

    async def page(
        self,
        study_id: str | None,
        status: BacktestStatus | None,
        before: tuple[datetime, int, str] | None,
        limit: int,
    ) -> list[Backtest]:
        place = before or (None, None, None)
        found = await self._record.fetch("backtest_list", study_id, status, *place, limit)
        return [_backtest(row) for row in found]

    async def count(self, study_id: str | None, status: BacktestStatus | None) -> int:
        return int((await self._record.fetch("backtest_count", study_id, status))[0]["total"])

    async def changed_since(self, moment: datetime) -> list[Backtest]:
        return [_backtest(row) for row in await self._record.fetch("backtest_changed", moment)]

    async def verifying(self, backtest_id: str) -> list[tuple[str, BacktestStatus]]:
        found = await self._record.fetch("backtest_verifying", backtest_id)
        return [(row["backtest_id"], BacktestStatus(row["status"])) for row in found]

    async def result(self, backtest_id: str) -> bytes | None:
        found = await self._record.fetch("backtest_result", backtest_id)
        return bytes(found[0]["body"]) if found else None

    async def report(self, backtest_id: str) -> bytes | None:
        found = await self._record.fetch("backtest_report", backtest_id)
        return bytes(found[0]["report"]) if found else None

    async def add_part(self, backtest_id: str, sha256: str, index: int, data: bytes) -> int:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["backtest_add_part"], backtest_id, sha256, index, data)
            return int(await connection.fetchval(SQL["backtest_count_parts"], backtest_id, sha256))

    async def parts(self, backtest_id: str, sha256: str) -> Mapping[int, bytes]:
        found = await self._record.fetch("backtest_parts", backtest_id, sha256)
        return {row["index"]: bytes(row["data"]) for row in found}

    async def unqueued(self, *, of_studies: bool, limit: int) -> list[Work]:
        return [_work(row) for row in await self._record.fetch("backtest_unqueued", of_studies, limit)]

    async def lost(self, before: datetime, limit: int) -> list[Work]:
        return [_work(row) for row in await self._record.fetch("backtest_lost", before, limit)]

    async def running(self) -> list[Backtest]:
        return [_backtest(row) for row in await self._record.fetch("backtest_running")]

    async def works(self, backtest_ids: Sequence[str]) -> list[Work]:
        return [_work(row) for row in await self._record.fetch("backtest_works", list(backtest_ids))]

    async def queued(self, backtest_ids: Sequence[str], now: datetime) -> None:
        async with self._record.transaction() as connection:
            await connection.execute(SQL["backtest_queued"], list(backtest_ids), now)

    async def backlog(self) -> Backlog:
        return Backlog(**(await self._record.fetch("backtest_ahead"))[0])

    async def add_study(
        self, study: Study, new: Sequence[NewBacktest], command: Command | None = None
    ) -> None:
        row = (
            *(study.study_id, to_json(study.config), to_json(study.choices), to_json(study.windows)),
            *(str(study.status), study.version, study.created_at, study.ended_at, study.why_ended),
        )
        async with self._record.transaction() as connection:
            if await connection.fetchval(SQL["backtest_study_add"], *row) is None:
                raise TakenError(study.study_id)
            await _add_all(connection, new)
            await _add_command(connection, command)

    async def change_study(self, study: Study, now: datetime, *, command: Command | None = None) -> list[str]:
        row = (study.study_id, str(study.status), study.version, study.ended_at, study.why_ended)
        async with self._record.transaction() as connection:
            if await connection.fetchval(SQL["backtest_study_change"], *row) is None:
                raise StaleChange(study.study_id)
            found = await connection.fetch(
                SQL["backtest_cancel_pending"], study.study_id, now, study.ended_at
            )
            await _add_command(connection, command)
        return [row["backtest_id"] for row in found]

    async def studies(
        self,
        *,
        study_id: str | None = None,
        only_open: bool = False,
        before: Place | None = None,
        limit: int = 1000,
    ) -> list[Study]:
        at, name = (before[0], before[2]) if before else (None, None)
        found = await self._record.fetch("backtest_studies", study_id, only_open, at, name, limit)
        return [_study(row) for row in found]

    async def points(self, study: Study) -> Points:
        found = await self._record.fetch("backtest_of_study", study.study_id)
        return {row["number"]: _point(row, study.config.best_by) for row in found}

    async def strays(self, study_id: str | None = None) -> list[str]:
        found = await self._record.fetch("backtest_strays", study_id)
        return [row["backtest_id"] for row in found]


async def _add_all(connection: Any, new: Sequence[NewBacktest]) -> None:
    for each in new:
        if await connection.fetchval(SQL["backtest_add"], *_new_row(each)) is None:
            raise TakenError(each.backtest.backtest_id)


async def _add_command(connection: Any, command: Command | None) -> None:
    if command is not None:
        await add_command(connection, command)


def _new_row(new: NewBacktest) -> tuple[Any, ...]:
    one = new.backtest
    return (
        *(one.backtest_id, one.study_id, one.number, one.verifies, to_json(one.config), to_json(new.order)),
        *(str(one.status), one.version, one.created_at, one.updated_at, one.ended_at, to_json(one.facts)),
    )


def _changed_row(one: Backtest) -> tuple[Any, ...]:
    return (
        *(one.backtest_id, str(one.status), one.version),
        *(one.updated_at, one.ended_at, to_json(one.facts)),
    )


def _backtest(row: Mapping[str, Any]) -> Backtest:
    documents = {
        "config": msgspec.json.decode(row["config"], type=BacktestConfig),
        "facts": msgspec.json.decode(row["facts"], type=Facts),
    }
    return msgspec.convert({**row, **documents}, Backtest)


def _study(row: Mapping[str, Any]) -> Study:
    documents = {
        "config": msgspec.json.decode(row["config"], type=StudyConfig),
        "choices": msgspec.json.decode(row["choices"], type=tuple[dict[str, Any], ...]),
        "windows": msgspec.json.decode(row["windows"], type=tuple[Window, ...]),
    }
    return msgspec.convert({**row, **documents}, Study)


def _point(row: Mapping[str, Any], best_by: str) -> Point:
    facts = msgspec.json.decode(row["facts"], type=Facts)
    return point(row["number"], row["backtest_id"], BacktestStatus(row["status"]), facts, best_by)


def _work(row: Mapping[str, Any]) -> Work:
    return Work(backtest_id=row["backtest_id"], order=row["work"].encode(), queued=row["queued"])
