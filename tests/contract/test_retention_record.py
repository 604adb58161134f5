"""What is deleted of the record, and what is not, on a real PostgreSQL as the login of the orchestrator."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.schemas.ledger import LedgerName, ReadFills
from flotilla.schemas.record import ReadRecord, RecordKind
from flotilla.services.orchestrator.adapters.ledgers import PostgresLedgers
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.adapters.retention import PostgresRetention
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.history import keeping
from flotilla.services.orchestrator.history.keeping import Keeping
from flotilla.services.orchestrator.history.ports import Sizes
from flotilla.services.orchestrator.settings import Retention
from tests.contract.test_ledger_record import (
    ACCOUNT,
    FILL,
    ORDER,
    POSITION,
    ledgers,  # noqa: F401 - a fixture
    next_session,
    record,  # noqa: F401 - a fixture
    said,
)
from tests.integration.conftest import admin_dsn, postgres, postgres_dsn  # noqa: F401 - fixtures
from tests.unit.orchestrator.makers import NOW, after

FOREVER = Retention(
    events_days=None, ledgers_days=None, sessions_days=None, results_days=None, budget_bytes=1 << 40
)
LATER = NOW + timedelta(days=100)


@pytest.fixture
def retention(record: PostgresRecord) -> PostgresRetention:  # noqa: F811
    return PostgresRetention(record)


@pytest.fixture
async def admin(admin_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    connection = await asyncpg.connect(admin_dsn)
    yield connection
    await connection.close()


def keeps(
    retention: PostgresRetention, now: datetime = LATER, told: list[str] | None = None, **chosen: Any
) -> Keeping:
    async def tell(effect: RaiseAlert) -> None:
        if told is not None:
            told.append(effect.alert.code)

    chosen_ages = msgspec.structs.replace(FOREVER, **chosen)
    return Keeping(retention, lambda: now, chosen_ages, audit_days=400, tell=tell)


async def numbers(record: PostgresRecord, session_id: str = "s1") -> list[int]:  # noqa: F811
    return [msgspec.json.decode(body)["seq"] for body in await record.events(session_id, 0, None, 1000)]


async def test_of_a_session_that_runs_what_is_needed_stays(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
) -> None:
    closed = POSITION | {"position_id": "P-2", "event": "PositionClosed", "side": "FLAT"}
    await record.add_events(
        [
            said("state", 1, {}),
            said("order", 2, ORDER),
            said("order", 3, ORDER | {"event": "OrderUpdated", "quantity": "2.00"}),
            said("order", 4, ORDER | {"client_order_id": "O-2"}),
            said("order", 5, ORDER | {"client_order_id": "O-2", "event": "OrderFilled", "status": "FILLED"}),
            said("fill", 6, FILL),
            said("position", 7, POSITION),
            said("position", 8, POSITION | {"event": "PositionChanged", "quantity": "3.00"}),
            said("position", 9, closed),
            said("account", 10, ACCOUNT),
            said("account", 11, ACCOUNT),
            said("alert", 12, {"severity": "warning", "code": "x", "message": "m"}),
            said("fill", 13, FILL | {"trade_id": "T-2"}, at=LATER),
        ]
    )
    before = await record.exposure("s1")
    await keeps(retention, events_days=90.0).round()
    assert await numbers(record) == [1, 3, 8, 11, 12, 13]
    assert await record.exposure("s1") == before
    assert (before.orders[0].quantity, before.positions[0].quantity) == ("2.00", "3.00")
    assert await record.gaps("s1") == [], "what was deleted is no gap"
    assert await record.pruned_to("s1") == 12
    await record.add_events([said("fill", 16, FILL | {"trade_id": "T-3"}, at=LATER)])
    assert await record.gaps("s1") == [(14, 15)], "what never came is one"


async def test_of_a_session_that_is_over_nothing_stays_but_its_last_number(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
    ledgers: PostgresLedgers,  # noqa: F811
) -> None:
    await record.add_events([said("order", 1, ORDER), said("fill", 2, FILL), said("state", 3, {})])
    await next_session(record)
    await record.add_events([said("fill", 1, FILL | {"trade_id": "T-2"}, session_id="s2", at=after(5))])
    await keeps(retention, events_days=90.0).round()
    assert await numbers(record) == []
    assert await numbers(record, "s2") == []
    old = (await record.sessions_named(["s1"]))["s1"]
    assert (old.last_seq, await record.gaps("s1")) == (3, [])
    found = await ledgers.page(LedgerName.FILLS, ReadFills(), None, None)
    assert [row.trade_id for row in found] == ["T-2", "T-1"], "ledgers are kept for longer"


async def test_what_is_young_stays_and_what_was_deleted_is_noted(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "AT_ONCE", 3)
    await record.add_events([said("fill", seq, FILL | {"trade_id": f"T-{seq}"}) for seq in range(1, 21)])
    made = keeps(retention, now=after(10) + timedelta(days=90), events_days=90.0)
    await made.round()
    assert await numbers(record) == list(range(10, 21))
    assert made.deleted == 9
    told = await made.kept(ReadRecord())
    (deletion,) = told.deletions
    assert (deletion.kind, deletion.rule, deletion.rows) == (RecordKind.EVENTS, "older than 90 days", 9)
    events = next(one for one in told.kinds if one.kind is RecordKind.EVENTS)
    assert (events.oldest, events.keep_days) == (after(10), 90.0)
    assert told.bytes > 1 << 20
    assert {one.kind for one in told.kinds} == set(RecordKind)


async def test_ledgers_and_sessions_go_when_they_are_old_and_not_needed(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
    ledgers: PostgresLedgers,  # noqa: F811
    admin: Any,
) -> None:
    await record.add_events([said("order", 1, ORDER), said("fill", 2, FILL), said("account", 3, ACCOUNT)])
    await next_session(record)
    await admin.execute("update sessions set ended_at = $1 where session_id = 's1'", after(9))
    await record.add_events(
        [
            said("order", 1, ORDER | {"client_order_id": "O-5"}, session_id="s2"),
            said("fill", 2, FILL, session_id="s2"),
        ]
    )
    await keeps(retention, sessions_days=90.0).round()
    assert len(await record.sessions_named(["s1", "s2"])) == 2, "there is more of it on record"
    await keeps(retention, events_days=90.0, ledgers_days=90.0, sessions_days=90.0).round()
    assert set(await record.sessions_named(["s1", "s2"])) == {"s2"}
    rows = [await admin.fetchval(f"select count(*) from ledger_{name}") for name in LedgerName]
    assert rows == [1, 0, 0, 0], "an order that is open stays"
    kinds = {one.kind for one in (await keeps(retention).kept(ReadRecord())).deletions}
    assert kinds == {RecordKind.EVENTS, RecordKind.LEDGERS, RecordKind.SESSIONS}


async def test_the_login_deletes_nothing_but_by_its_rules(record: PostgresRecord) -> None:  # noqa: F811
    for table in ("events", "sessions", "results", "ledger_fills", "history_hours"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await record.run_alone(f"delete from {table}", timeout_s=5.0)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await record.run_alone("insert into events_pruned values ('s1', 9)", timeout_s=5.0)


WEEK = """
insert into events
select 's1', $1::bigint + n, 'e1', (array['order', 'fill'])[1 + n % 2], $2::timestamptz + n * interval '14 seconds',
    json_build_object('seq', $1::bigint + n, 'data', json_build_object(
        'event', 'OrderFilled', 'client_order_id', 'O-' || ($1::bigint + n) / 2, 'trade_id', 'T-' || $1::bigint + n,
        'instrument_id', 'BTCUSDT.BINANCE', 'strategy_id', 'S-1', 'status', 'FILLED', 'side', 'BUY', 'order_type', 'LIMIT',
        'quantity', '1', 'filled_qty', '1', 'time_in_force', 'GTC', 'ts_event', n, 'last_qty', '1', 'last_px', '2',
        'currency', 'USDT', 'commission', '0', 'liquidity_side', 'TAKER', 'padding', repeat(md5(n::text), 30)
    ))
from generate_series(1, 1500) as n
"""
BUDGET = 40 << 20


async def test_a_week_of_trading_stays_within_the_budget_and_is_read_at_once(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
    ledgers: PostgresLedgers,  # noqa: F811
    admin: Any,
) -> None:
    sizes = []
    for quarter in range(28):
        began = NOW + timedelta(hours=6 * quarter)
        await admin.execute(WEEK, quarter * 1500, began)
        await admin.execute("analyze events")
        await keeps(retention, now=began + timedelta(hours=6), budget_bytes=BUDGET).round()
        await admin.execute("vacuum events")  # as autovacuum does within minutes
        sizes.append(await admin.fetchval("select pg_database_size(current_database())"))
    assert max(sizes) <= BUDGET, [size >> 20 for size in sizes]
    kept = await admin.fetchrow("select count(*) as rows, min(at) as first from events")
    assert 6000 <= kept["rows"] < 6000 * 7
    assert kept["first"] <= NOW + timedelta(days=6, seconds=14), "nothing of the last day is deleted"
    found = await retention.sizes()
    assert 0.5 < found.event_bytes * found.events / found.events_bytes < 1.5
    started = time.perf_counter()
    assert len(await ledgers.page(LedgerName.FILLS, ReadFills(instance_ids=("e1",)), ["e1"], None)) == 100
    assert time.perf_counter() - started < 2.0


async def test_a_record_that_is_too_large_with_what_is_needed_says_so_and_people_are_told_once(
    retention: PostgresRetention, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def small() -> Sizes:
        return Sizes(bytes=1, events_bytes=0, events=0, event_bytes=1.0)

    told: list[str] = []
    made = keeps(retention, told=told, budget_bytes=1 << 20)
    await made.round()
    assert "what is left of it is needed or younger than a day" in (await made.kept(ReadRecord())).problem
    await made.round()
    assert told == ["record_over_budget"]
    monkeypatch.setattr(retention, "sizes", small)
    await made.round()
    assert told == ["record_over_budget", "record_within_budget"]


async def test_results_of_backtests_go_and_what_they_were_stays(
    retention: PostgresRetention, admin: Any
) -> None:
    for name, ended_at in (("old", NOW), ("new", LATER)):
        await admin.execute(
            "insert into backtests values ($1, null, 0, null, '{}', '{}', 'completed', 1, $2, $2, $2, '{}')",
            name,
            ended_at,
        )
        await admin.execute("insert into results values ($1, 'x')", name)
    await keeps(retention).round()
    assert await admin.fetchval("select count(*) from results") == 2
    await keeps(retention, results_days=30.0).round()
    assert [row["backtest_id"] for row in await admin.fetch("select backtest_id from results")] == ["new"]
    assert await admin.fetchval("select count(*) from backtests") == 2


async def test_a_session_that_traded_live_stays(
    record: PostgresRecord,  # noqa: F811
    retention: PostgresRetention,
    admin: Any,
) -> None:
    await next_session(record)
    for name, text in (("x1", '"trading_mode":"live"'), ("x2", '"trading_mode":"paper"')):
        await admin.execute(
            """
            insert into sessions (session_id, instance_id, generation, state, spec, stop_policy, stop_timeout_s, log_tail, state_seq,
                is_provisional, created_at, changed_at, trading_at, ended_at)
            select $1, 'e1', 90 + right($1, 1)::int, 'stopped', $2::json, 'leave', 1, '{}', 0, false, $3, $3, $3, $3
            """,
            *(
                name,
                f'{{"instance_id":"e1","session_id":"{name}","generation":1,"engine_type":"live",{text}}}',
                NOW,
            ),
        )
    await keeps(retention, sessions_days=30.0).round()
    assert set(await record.sessions_named(["x1", "x2"])) == {"x1"}
