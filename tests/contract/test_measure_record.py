"""What a record must keep of what engines measure, on a real PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from flotilla.services.orchestrator.adapters.measures import PostgresMeasures
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.history.core.buckets import STEP, Bucket
from flotilla.services.orchestrator.history.core.curves import Cut, Row, Step
from flotilla.services.orchestrator.history.ports import Lost
from tests.integration.conftest import admin_dsn, postgres, postgres_dsn  # noqa: F401 - fixtures

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def bucket(seconds: float, equity: str | None = None, instance_id: str = "e1", **facts: Any) -> Bucket:
    amount = None if equity is None else Decimal(equity)
    names = ("equity_first", "equity_min", "equity_max", "equity_last")
    known = dict.fromkeys(names, amount) | {"equity_currency": None if amount is None else "USDT"}
    return Bucket(
        instance_id=instance_id, at=at(seconds), session_id="s1", **{"samples": 5, **known, **facts}
    )


@pytest.fixture
async def record(postgres_dsn: str) -> AsyncIterator[PostgresMeasures]:  # noqa: F811
    """As the orchestrator of a stack has it, which owns no table."""
    opened = await PostgresRecord.open(postgres_dsn)
    made = PostgresMeasures(opened)
    for day in range(-3, 3):
        await made.prepare(NOON + day * DAY)
    yield made
    await opened.close()


async def read(
    record: PostgresMeasures, step: Step = Step.SECONDS, width: timedelta = STEP, instance_id: str = "e1"
) -> list[Row]:
    return await record.rows(instance_id, NOON - 3 * DAY, NOON + 2 * DAY, Cut(step, width))


async def roll(record: PostgresMeasures, before: datetime) -> None:
    while await record.roll(before):
        pass


def equities(rows: Sequence[Row]) -> list[tuple[Decimal | None, ...]]:
    return [(row.equity_first, row.equity_min, row.equity_max, row.equity_last) for row in rows]


async def test_a_step_comes_back_as_it_was_kept(record: PostgresMeasures) -> None:
    facts: dict[str, Any] = {
        "equity_unknown": ("no price of BTCUSDT.BINANCE",),
        "realized_pnl": {"USDT": "1.50"},
        "unrealized_pnl": {"USDT": "-0.10"},
        "net_positions": {"BTCUSDT.BINANCE": "0.010"},
        "orders_open": 2,
        "positions_open": 1,
        "fills_total": 9,
        "memory_bytes": 2**33,
        "cpu_fraction": 0.25,
    }
    await record.add([bucket(0, "100.10", **facts), bucket(0, instance_id="e2")])
    (row,) = await read(record)
    assert row == Row(
        at=at(0),
        samples=5,
        equity_currency="USDT",
        equity_first=Decimal("100.10"),
        **dict.fromkeys(("equity_min", "equity_max", "equity_last"), Decimal("100.10")),
        **facts,
    )
    (other,) = await read(record, instance_id="e2")
    assert (other.equity_last, other.memory_bytes, other.realized_pnl) == (None, None, {})


async def test_what_is_said_in_two_pieces_of_one_step_is_put_together(record: PostgresMeasures) -> None:
    await record.add([bucket(0, "100")])
    await record.add([bucket(0, "90", samples=2)])
    (row,) = await read(record)
    assert (row.samples, *equities([row])) == (7, (100, 90, 100, 90))


async def test_a_drawdown_outlives_the_steps_that_saw_it(record: PostgresMeasures) -> None:
    day = [bucket(seconds, str(1000 + seconds // 5)) for seconds in range(0, 7200, 5)]
    day[100] = bucket(500, "400")
    await record.add(day)
    before = await read(record, Step.HOURS, timedelta(hours=1))
    await roll(record, NOON + DAY)
    assert await read(record, Step.HOURS, timedelta(hours=1)) == before, "also while it was not made yet"
    assert equities(before) == [(1000, 400, 1719, 1719), (1720, 1720, 2439, 2439)]
    assert sum(row.samples for row in before) == 7200
    assert (await record.drop(NOON + 20 * DAY))[-1] == "history_seconds_20260131", "not the month of minutes"
    assert await read(record, Step.HOURS, timedelta(hours=1)) == before
    minutes = await read(record, Step.MINUTES, timedelta(minutes=1))
    assert len(minutes) == 120
    assert equities(minutes[8:9]) == [(1096, 400, 1107, 1107)]


async def test_coarser_steps_are_made_once_and_behind_them_is_what_is_finer(
    record: PostgresMeasures,
) -> None:
    await record.add([bucket(seconds, "1") for seconds in range(0, 600, 5)])
    await roll(record, at(300))
    await roll(record, at(300))
    await record.add([bucket(600, "2")])
    rows = await read(record, Step.MINUTES, timedelta(minutes=1))
    assert [row.samples for row in rows] == [60] * 10 + [5]


async def test_what_is_old_is_dropped_by_the_day_and_what_is_not_made_coarser_is_kept(
    record: PostgresMeasures,
) -> None:
    await record.add([bucket(-2 * 86_400, "1"), bucket(0, "2")])
    assert await record.drop(NOON + 60 * DAY) == []
    await roll(record, at(3600))
    dropped = await record.drop(NOON)
    assert dropped == ["history_seconds_20260128"], "two days before noon"
    await record.drop(NOON + DAY)
    assert [row.at for row in await read(record)] == [at(0)]
    assert len(await read(record, Step.HOURS, timedelta(hours=1))) == 2


async def test_where_the_currency_changes_the_equity_is_that_of_the_new_one(record: PostgresMeasures) -> None:
    await record.add([bucket(0, "5"), bucket(5, "700", equity_currency="USD"), bucket(10)])
    (row,) = await read(record, width=timedelta(minutes=1))
    assert (row.equity_currency, row.samples, *equities([row])) == ("USD", 15, (700, 700, 700, 700))


async def test_days_begin_with_the_first_equity_that_is_known(record: PostgresMeasures) -> None:
    await record.add(
        [bucket(-5, "1"), bucket(0), bucket(5, "2"), bucket(10, "3"), bucket(0, instance_id="e2")]
    )
    found = await record.day_starts(["e1", "e2", "e3"], NOON)
    assert {name: (start.amount, start.at) for name, start in found.items()} == {"e1": (Decimal(2), at(5))}


async def test_losses_are_noted(record: PostgresMeasures) -> None:
    await record.add_lost(Lost(at(0), at(60), 12))
    assert await record.lost(at(30), at(90)) == [(at(0), at(60))]
    assert await record.lost(at(61), at(90)) == []


async def test_a_day_of_an_engine_is_read_at_once(record: PostgresMeasures, admin_dsn: str) -> None:  # noqa: F811
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(
        """
        insert into history_seconds
        select 'e' || engine, $1::timestamptz + n * interval '5 seconds', 's1', 5, 'USDT', n, n, n, n, '[]', '{}', '{}', '{}', 0, 0, 0, 1, 0.1
        from generate_series(1, 5) as engine, generate_series(0, 17000) as n
        """,
        NOON - DAY,
    )
    started = datetime.now(UTC)
    rows = await record.rows("e3", NOON - DAY, NOON, Cut(Step.SECONDS, timedelta(minutes=5)))
    assert len(rows) == 284
    assert (datetime.now(UTC) - started).total_seconds() < 3.0
    await connection.close()
