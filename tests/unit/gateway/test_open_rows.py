"""What is open of an engine: from its events, and from ledgers that may be a moment behind them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.ledger import OrderRow
from flotilla.schemas.telemetry import (
    AccountUpdate,
    Balance,
    EngineEvent,
    EventKind,
    OrderUpdate,
    PositionUpdate,
)
from flotilla.services.gateway.live.numbered import NumberedRows
from flotilla.services.gateway.live.open_rows import CLOSED, OpenRows
from flotilla.services.gateway.live.rows import OrderLine, Topic

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)


class Held:
    def __init__(self) -> None:
        self.rows = NumberedRows()
        self.open = OpenRows(self.rows)
        self.open.began("e1", "s1", 1)

    def now(self, topic: Topic) -> dict[str, Any]:
        self.rows.close_batch()
        return {row_id: row for _, row_id, row in self.rows.rows(lambda of, _: of is topic)}


def order(seq: int, status: str = "ACCEPTED", *, name: str = "O-1", **of: Any) -> EngineEvent[OrderUpdate]:
    said = OrderUpdate(
        event="OrderAccepted",
        client_order_id=name,
        instrument_id="BTCUSDT-PERP.BINANCE",
        strategy_id="A-1",
        status=status,
        side="BUY",
        order_type="LIMIT",
        quantity="2",
        filled_qty="0",
        time_in_force="GTC",
        ts_event=1,
    )
    return event(seq, EventKind.ORDER, said, **of)


def event(
    seq: int, kind: EventKind, data: Any, session_id: str = "s1", generation: int = 1
) -> EngineEvent[Any]:
    return EngineEvent(
        instance_id="e1",
        session_id=session_id,
        generation=generation,
        seq=seq,
        at_ns=int(NOW.timestamp() * 1e9),
        kind=kind,
        data=data,
    )


def on_record(last_seq: int, session_id: str = "s1") -> OrderRow:
    return OrderRow(
        instance_id="e1",
        session_id=session_id,
        at=NOW,
        seq=1,
        venue="BINANCE",
        last_at=NOW,
        last_seq=last_seq,
        is_open=True,
        is_continued=False,
        instrument_id="BTCUSDT-PERP.BINANCE",
        strategy_id="A-1",
        client_order_id="O-1",
        event="OrderAccepted",
        status="ACCEPTED",
        side="BUY",
        order_type="LIMIT",
        quantity="2",
        filled_qty="1",
        time_in_force="GTC",
        ts_event=1,
    )


@pytest.mark.parametrize("status", sorted(CLOSED))
def test_an_order_is_there_while_it_is_open(status: str) -> None:
    held = Held()
    held.open.heard(order(1))
    (row,) = held.now(Topic.ORDERS).values()
    assert isinstance(row, OrderLine)
    assert (row.instance_id, row.venue, row.at) == ("e1", "BINANCE", NOW)
    held.open.heard(order(2, status))
    assert held.now(Topic.ORDERS) == {}


def test_positions_go_when_they_are_flat_and_accounts_have_their_last_balances() -> None:
    held = Held()
    position = PositionUpdate(
        event="PositionOpened",
        position_id="P-1",
        instrument_id="BTCUSDT-PERP.BINANCE",
        strategy_id="A-1",
        side="LONG",
        quantity="2",
        signed_qty="2",
        avg_px_open="100",
        currency="USDT",
        realized_pnl="0",
        ts_event=1,
    )
    held.open.heard(event(1, EventKind.POSITION, position))
    for seq, total in ((2, "10"), (3, "11")):
        balances = (Balance(currency="USDT", total=total, free=total, locked="0"),)
        account = AccountUpdate(account_id="B-1", account_type="MARGIN", balances=balances, ts_event=1)
        held.open.heard(event(seq, EventKind.ACCOUNT, account))
    assert [row.signed_qty for row in held.now(Topic.POSITIONS).values()] == ["2"]
    assert [row.balances[0].total for row in held.now(Topic.ACCOUNTS).values()] == ["11"]
    flat = PositionUpdate(
        **{**{name: getattr(position, name) for name in position.__struct_fields__}, "side": "FLAT"}
    )
    held.open.heard(event(4, EventKind.POSITION, flat))
    assert held.now(Topic.POSITIONS) == {}


def test_a_ledger_that_is_behind_opens_nothing_that_was_closed_and_overwrites_nothing_newer() -> None:
    held = Held()
    held.open.heard(order(5, "CANCELED"))
    held.open.on_record(on_record(4))
    assert held.now(Topic.ORDERS) == {}
    held.open.heard(order(6))
    held.open.on_record(on_record(4))
    assert [row.filled_qty for row in held.now(Topic.ORDERS).values()] == ["0"]
    held.open.on_record(on_record(7))
    assert [row.filled_qty for row in held.now(Topic.ORDERS).values()] == ["1"]


def test_what_a_session_left_is_there_until_the_next_begins_and_that_of_an_older_one_is_not_heard() -> None:
    held = Held()
    held.open.heard(order(1))
    held.open.began("e1", "s1", 1)
    held.open.heard(order(2, "FILLED", session_id="s9", generation=9))
    assert len(held.now(Topic.ORDERS)) == 1
    held.open.began("e1", "s2", 2)
    assert held.now(Topic.ORDERS) == {}
    held.open.heard(order(9))
    held.open.on_record(on_record(9))
    assert held.now(Topic.ORDERS) == {}
    held.open.heard(order(1, session_id="s2", generation=2))
    assert [row.session_id for row in held.now(Topic.ORDERS).values()] == ["s2"]
    held.open.forget("e1")
    assert held.now(Topic.ORDERS) == {}
