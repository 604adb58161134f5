"""What ledgers must show of the events on record, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.schemas.ledger import (
    LedgerName,
    LedgerOrder,
    OrderRow,
    ReadAccounts,
    ReadFills,
    ReadLedger,
    ReadOrders,
    ReadPositions,
)
from flotilla.schemas.states import RunState
from flotilla.services.orchestrator.adapters.ledgers import PostgresLedgers
from flotilla.services.orchestrator.adapters.migrating import steps
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.ports import Change
from flotilla.services.orchestrator.history.core.cursors import cursor_after, place_of
from tests.integration.conftest import admin_dsn, postgres, postgres_dsn  # noqa: F401 - fixtures
from tests.unit.orchestrator.makers import NOW, after, engine, session, spec

ORDER: dict[str, Any] = {
    "event": "OrderAccepted",
    "client_order_id": "O-1",
    "instrument_id": "BTCUSDT.BINANCE",
    "strategy_id": "S-1",
    "status": "ACCEPTED",
    "side": "BUY",
    "order_type": "LIMIT",
    "quantity": "1.50",
    "filled_qty": "0.00",
    "time_in_force": "GTC",
    "ts_event": 7,
}
FILL: dict[str, Any] = {
    "trade_id": "T-1",
    "client_order_id": "O-1",
    "instrument_id": "BTCUSDT.BINANCE",
    "strategy_id": "S-1",
    "side": "BUY",
    "last_qty": "0.10",
    "last_px": "60000.10",
    "currency": "USDT",
    "commission": "0.00010000",
    "liquidity_side": "TAKER",
    "ts_event": 7,
}
POSITION: dict[str, Any] = {
    "event": "PositionOpened",
    "position_id": "P-1",
    "instrument_id": "BTCUSDT.BINANCE",
    "strategy_id": "S-1",
    "side": "LONG",
    "quantity": "1.50",
    "signed_qty": "1.5",
    "avg_px_open": "60000.1",
    "currency": "USDT",
    "realized_pnl": "0.00 USDT",
    "ts_event": 7,
    "ts_opened": 7,
}
ACCOUNT: dict[str, Any] = {
    "account_id": "BINANCE-1",
    "account_type": "CASH",
    "balances": [{"currency": "USDT", "total": "10.00", "free": "10.00", "locked": "0.00"}],
    "ts_event": 7,
}


def said(
    kind: str,
    seq: int,
    data: Any,
    *,
    session_id: str = "s1",
    instance_id: str = "e1",
    at: datetime | None = None,
) -> StoredEvent:
    head = {"instance_id": instance_id, "session_id": session_id, "generation": 1, "seq": seq, "at_ns": 1}
    body = msgspec.json.encode({**head, "kind": kind, "data": data})
    return StoredEvent(
        session_id=session_id,
        seq=seq,
        instance_id=instance_id,
        kind=kind,
        at=at or after(seq),
        body=body.decode(),
    )


@pytest.fixture
async def record(postgres_dsn: str) -> AsyncIterator[PostgresRecord]:  # noqa: F811
    opened = await PostgresRecord.open(postgres_dsn)
    await opened.migrate()
    await opened.save(Change(engine=engine(session(), version=1), spec=spec()))
    yield opened
    await opened.close()


@pytest.fixture
def ledgers(record: PostgresRecord) -> PostgresLedgers:
    return PostgresLedgers(record)


async def next_session(record: PostgresRecord, session_id: str = "s2", version: int = 2) -> None:
    """The engine's session has ended, and another began."""
    ended = session(RunState.STOPPED, session_id=f"s{version - 1}", generation=version - 1)
    present = session(session_id=session_id, generation=version)
    begun = Change(engine=engine(present, version=version), ended=ended, spec=spec(session_id, version))
    await record.save(begun)


async def read(ledgers: PostgresLedgers, name: LedgerName, question: ReadLedger) -> list[Any]:
    return await ledgers.page(name, question, list(question.instance_ids) or None, None)


async def orders(ledgers: PostgresLedgers, **chosen: Any) -> list[OrderRow]:
    return await read(ledgers, LedgerName.ORDERS, ReadOrders(**chosen))


async def fills(ledgers: PostgresLedgers, **chosen: Any) -> list[Any]:
    return await read(ledgers, LedgerName.FILLS, ReadFills(**chosen))


async def test_an_order_is_one_row_that_has_the_last_word_about_it(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await record.add_events(
        [
            said("order", 1, {**ORDER, "event": "OrderSubmitted", "status": "SUBMITTED"}),
            said("order", 2, ORDER | {"venue_order_id": "V-1"}),
        ]
    )
    (row,) = await orders(ledgers)
    assert (row.status, row.at, row.seq, row.last_seq, row.is_open) == ("ACCEPTED", after(1), 1, 2, True)
    await record.add_events([said("order", 3, {**ORDER, "event": "OrderFilled", "status": "FILLED"})])
    (row,) = await orders(ledgers)
    assert (row.status, row.last_at, row.is_open, row.venue_order_id) == ("FILLED", after(3), False, "V-1")
    assert row.quantity == "1.50", "as it was said"


async def test_what_is_recorded_again_changes_nothing(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    events = [said("order", 1, ORDER), said("fill", 2, FILL), said("account", 3, ACCOUNT)]
    await record.add_events(events)
    await record.add_events([*events, said("fill", 4, FILL | {"trade_id": "T-2"})])
    assert [row.trade_id for row in await fills(ledgers)] == ["T-2", "T-1"]
    assert len(await read(ledgers, LedgerName.ACCOUNTS, ReadAccounts())) == 1


async def test_an_order_that_comes_back_open_goes_on_in_the_new_session(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await record.add_events([said("order", 1, ORDER)])
    await next_session(record)
    assert await orders(ledgers, is_open=True) == [], "the session that runs knows of none"
    restored = said("order", 1, {**ORDER, "event": "OrderRestored"}, session_id="s2", at=after(50))
    await record.add_events([restored])
    (now,) = await orders(ledgers, is_open=True)
    assert (now.session_id, now.at, now.last_at) == ("s2", after(1), after(50))
    before = next(row for row in await orders(ledgers) if row.session_id == "s1")
    assert (before.is_continued, before.is_open) == (True, False)


async def test_both_sessions_in_one_batch_are_taken_one_after_the_other(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await next_session(record)
    restored = said("order", 1, {**ORDER, "event": "OrderRestored"}, session_id="s2", at=after(50))
    await record.add_events([restored, said("order", 9, ORDER)])
    assert {row.session_id: row.is_continued for row in await orders(ledgers)} == {"s1": True, "s2": False}


async def test_an_id_that_a_replay_gives_again_is_another_order(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await record.add_events([said("order", 1, ORDER), said("fill", 2, FILL)])
    await next_session(record)
    begun = {**ORDER, "event": "OrderInitialized", "status": "INITIALIZED"}
    await record.add_events(
        [said("order", 1, begun, session_id="s2"), said("fill", 2, FILL, session_id="s2")]
    )
    assert {row.session_id: row.is_continued for row in await orders(ledgers)} == {"s1": False, "s2": False}
    assert len(await fills(ledgers)) == 2, "it happened twice, in two simulations"


async def test_a_restored_fill_is_counted_once(record: PostgresRecord, ledgers: PostgresLedgers) -> None:
    await record.add_events([said("fill", 1, FILL)])
    await next_session(record)
    again = FILL | {"is_restored": True}
    await record.add_events(
        [
            said("fill", 1, again, session_id="s2"),
            said("fill", 2, again | {"trade_id": "T-2"}, session_id="s2"),
            said("fill", 3, again | {"instrument_id": "ETHUSDT.BINANCE"}, session_id="s2"),
        ]
    )
    found = [
        (row.session_id, row.trade_id, row.instrument_id, row.is_restored) for row in await fills(ledgers)
    ]
    assert sorted(found) == [
        ("s1", "T-1", "BTCUSDT.BINANCE", False),
        ("s2", "T-1", "ETHUSDT.BINANCE", True),
        ("s2", "T-2", "BTCUSDT.BINANCE", True),
    ]
    late = said("fill", 2, FILL | {"trade_id": "T-2"}, session_id="s1")
    await record.add_events([late])
    assert len(await fills(ledgers)) == 3, "the session before told of it only now"


async def test_a_fill_is_counted_once_in_whatever_order_one_batch_has_it(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await next_session(record)
    restored = said("fill", 1, FILL | {"is_restored": True}, session_id="s2")
    await record.add_events([restored, said("fill", 1, FILL)])
    assert [row.session_id for row in await fills(ledgers)] == ["s1"]


async def test_positions_are_a_row_from_open_to_close(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    closed = {"event": "PositionClosed", "side": "FLAT", "signed_qty": "0", "realized_pnl": "1.25 USDT"}
    again = POSITION | {"ts_opened": 99}
    await record.add_events(
        [said("position", 1, POSITION), said("position", 2, POSITION | closed), said("position", 3, again)]
    )
    newest, oldest = await read(ledgers, LedgerName.POSITIONS, ReadPositions())
    assert (newest.ts_opened, newest.is_open, oldest.is_open, oldest.realized_pnl) == (
        *(99, True, False),
        "1.25 USDT",
    )
    await next_session(record)
    assert await read(ledgers, LedgerName.POSITIONS, ReadPositions(is_open=True)) == []
    restored = again | {"event": "PositionRestored"}
    await record.add_events([said("position", 1, restored, session_id="s2", at=after(60))])
    (now,) = await read(ledgers, LedgerName.POSITIONS, ReadPositions(is_open=True))
    assert (now.session_id, now.at) == ("s2", after(3))


async def test_the_latest_balances_are_marked(record: PostgresRecord, ledgers: PostgresLedgers) -> None:
    await record.add_events([said("account", 1, ACCOUNT), said("account", 2, ACCOUNT)])
    await record.add_events(
        [said("account", 3, ACCOUNT), said("account", 4, ACCOUNT | {"account_id": "OKX-1"})]
    )
    found = await read(ledgers, LedgerName.ACCOUNTS, ReadAccounts(is_latest=True))
    assert [(row.account_id, row.seq) for row in found] == [("OKX-1", 4), ("BINANCE-1", 3)]
    assert found[0].balances[0].total == "10.00"
    assert [row.seq for row in await read(ledgers, LedgerName.ACCOUNTS, ReadAccounts(venues=("OKX",)))] == [4]


async def test_pages_follow_each_other_without_a_row_twice(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    await record.add_events(
        [said("fill", seq, FILL | {"trade_id": f"T-{seq}"}, at=after(seq // 3)) for seq in range(1, 12)]
    )
    for order, expected in ((LedgerOrder.OLDEST, range(1, 12)), (LedgerOrder.NEWEST, range(11, 0, -1))):
        question, found = ReadFills(order=order, limit=4), []
        while page := await ledgers.page(
            LedgerName.FILLS, question, None, place_of(question.cursor) if question.cursor else None
        ):
            found += [row.seq for row in page]
            question = msgspec.structs.replace(question, cursor=cursor_after(page[-1]))
        assert found == list(expected)


KEPT: list[tuple[dict[str, Any], set[int]]] = [
    ({"instance_ids": ("e1",)}, {1, 2, 3}),
    ({"instance_ids": ("e2",)}, set()),
    ({"session_id": "s1"}, {1, 2, 3}),
    ({"session_id": "other"}, set()),
    ({"venues": ("OKX",)}, {2}),
    ({"instrument_ids": ("BTCUSDT.BINANCE",)}, {1, 3}),
    ({"strategy_ids": ("S-2",)}, {3}),
    ({"sides": ("SELL",)}, {2}),
    ({"statuses": ("CANCELED", "FILLED")}, {3}),
    ({"is_open": True}, {1, 2}),
    ({"since": after(2)}, {2, 3}),
    ({"until": after(2)}, {1}),
    ({"since": after(1), "until": after(3), "sides": ("BUY",)}, {1}),
]


async def test_a_filter_keeps_what_it_names(record: PostgresRecord, ledgers: PostgresLedgers) -> None:
    other = {"client_order_id": "O-2", "instrument_id": "BTC-USDT.OKX", "side": "SELL"}
    third = {"client_order_id": "O-3", "strategy_id": "S-2", "status": "CANCELED"}
    await record.add_events(
        [said("order", 1, ORDER), said("order", 2, ORDER | other), said("order", 3, ORDER | third)]
    )
    for chosen, kept in KEPT:
        assert {row.seq for row in await orders(ledgers, **chosen)} == kept, chosen


ODD: list[Any] = [
    *(None, [], "x", {}, {"client_order_id": "O"}, {"ts_event": "x"}),
    ORDER | {"client_order_id": "O-8", "ts_event": 2**70},
]


async def test_what_no_ledger_can_hold_is_on_record_all_the_same(
    record: PostgresRecord, ledgers: PostgresLedgers
) -> None:
    sound = said("order", 99, ORDER | {"client_order_id": "O-9", "reason": "a\x00b"})
    await record.add_events([*(said("order", 1 + n, data) for n, data in enumerate(ODD)), sound])
    assert len(await record.events("s1", 0, None, 99)) == len(ODD) + 1
    assert [(row.client_order_id, row.reason) for row in await orders(ledgers)] == [("O-9", "a\ufffdb")]


async def test_what_was_on_record_before_is_in_the_ledgers_too(
    admin_dsn: str,  # noqa: F811
) -> None:
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(
        "create table migrations (name text primary key, applied_at timestamptz default now())"
    )
    for name, sql in steps():
        if name < "0020":
            await connection.execute(sql)
            await connection.execute("insert into migrations (name) values ($1)", name)
    record = await PostgresRecord.open(admin_dsn)
    await record.save(Change(engine=engine(session(), version=1), spec=spec()))
    await next_session(record)
    again = {**ORDER, "event": "OrderRestored"}
    await record.add_events(
        [said("order", 1, again, session_id="s2"), said("order", 1, ORDER), said("fill", 2, FILL)]
    )
    await record.migrate()
    ledgers = PostgresLedgers(record)
    assert {row.session_id: row.is_continued for row in await orders(ledgers)} == {"s1": True, "s2": False}
    assert len(await fills(ledgers)) == 1
    await record.close()
    await connection.close()


async def test_a_week_of_several_engines_is_read_at_once(
    record: PostgresRecord,
    ledgers: PostgresLedgers,
    admin_dsn: str,  # noqa: F811
) -> None:
    connection = await asyncpg.connect(admin_dsn)
    await connection.execute(
        """
        insert into ledger_fills
        select 's' || n % 5, n, 'e' || n % 5, $1::timestamptz + n * interval '3 seconds', 'BINANCE', null, 'T-' || n, 'O', 'BTCUSDT.BINANCE',
            'S-1', case n % 2 when 0 then 'BUY' else 'SELL' end, '1', '1', 'USDT', '0', 'TAKER', 0, null, null, false
        from generate_series(1, 200000) as n
        """,
        NOW,
    )
    await connection.execute("analyze ledger_fills")
    await connection.close()
    started = asyncio.get_running_loop().time()
    for chosen in (
        {},
        {"instance_ids": ("e3",)},
        {"venues": ("BINANCE",), "sides": ("BUY",)},
        {"since": NOW + timedelta(days=3), "until": NOW + timedelta(days=4), "order": LedgerOrder.OLDEST},
    ):
        assert len(await fills(ledgers, **chosen)) == 100
    assert asyncio.get_running_loop().time() - started < 4.0
