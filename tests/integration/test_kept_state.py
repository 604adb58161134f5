"""How the kept state of an engine is read: what comes of it, and that what an engine traded before does not keep it from starting.

The stock package fails `test_a_position_is_read_in_the_time_of_its_fills`: where it does not any more, repairs/kept_positions.py goes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
import redis
from nautilus_trader.cache.config import CacheConfig
from nautilus_trader.cache.database import CacheDatabaseAdapter
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import LiquiditySide, OrderSide, OrderType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Money
from nautilus_trader.model.position import Position
from nautilus_trader.serialization.serializer import MsgSpecSerializer
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine import cache_database
from flotilla.engine_sidecar.engine.cache_database import CacheDatabase
from flotilla.stack.servers.redis import RedisServer

PERP = TestInstrumentProvider.btcusdt_perp_binance()
HELD = PositionId("BTCUSDT-PERP.BINANCE-Trader-001")
TRADER = TraderId("TESTER-001")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("kept") / "redis")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    password = server.password_file.read_text()
    with redis.Redis(host=server.host, port=server.port, password=password) as client:
        client.flushdb()
        yield client


@pytest.fixture
def parts(server: RedisServer, admin: redis.Redis) -> dict[str, Any]:
    """What a kernel makes its database of."""
    password = server.password_file.read_text()
    database = DatabaseConfig(host=server.host, port=server.port, password=password)
    return {
        "trader_id": TRADER,
        "instance_id": UUID4(),
        "serializer": MsgSpecSerializer(encoding=msgspec.msgpack, timestamps_as_str=True),
        "config": CacheConfig(database=database, encoding="msgpack", timestamps_as_iso8601=True),
    }


def fills_of(quantities: Sequence[int]) -> list[OrderFilled]:
    """One for each, signed, in thousandths of a coin."""
    return [
        OrderFilled(
            trader_id=TRADER,
            strategy_id=StrategyId("Trader-001"),
            instrument_id=PERP.id,
            client_order_id=ClientOrderId(f"O-{number}"),
            venue_order_id=VenueOrderId(str(number)),
            account_id=AccountId("BINANCE-001"),
            trade_id=TradeId(str(number)),
            position_id=HELD,
            order_side=OrderSide.BUY if quantity > 0 else OrderSide.SELL,
            order_type=OrderType.MARKET,
            last_qty=PERP.make_qty(abs(quantity) / 1_000),
            last_px=PERP.make_price(100 + number % 7),
            currency=PERP.quote_currency,
            commission=Money(abs(quantity) / 1_000, PERP.quote_currency),
            liquidity_side=LiquiditySide.TAKER,
            event_id=UUID4(),
            ts_event=number,
            ts_init=number,
        )
        for number, quantity in enumerate(quantities, 1)
    ]


def keep(database: Any, fills: Sequence[OrderFilled]) -> Position:
    """Writes a position as an engine does, fill by fill."""
    database.add_instrument(PERP)
    position = Position(PERP, fills[0])
    database.add_position(position)
    for fill in fills[1:]:
        position.apply(fill)
        database.update_position(position)
    return position


def until_kept(admin: redis.Redis, fills: int) -> None:
    """It is written from another thread."""
    ends = time.monotonic() + 30
    while admin.llen(f"trader-{TRADER}:positions:{HELD}") < fills:
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.fixture
def written(admin: redis.Redis, parts: dict[str, Any]) -> Callable[[Sequence[int]], list[OrderFilled]]:
    def write(quantities: Sequence[int]) -> list[OrderFilled]:
        database, fills = CacheDatabaseAdapter(**parts), fills_of(quantities)
        keep(database, fills)
        until_kept(admin, len(fills))
        database.close()
        return fills

    return write


def ours(parts: dict[str, Any], told: list[str] | None = None) -> CacheDatabase:
    return CacheDatabase(**parts, on_reading=(told if told is not None else []).append)


@pytest.mark.parametrize("seed", range(3))
def test_a_position_is_read_as_nautilus_trader_reads_it(
    written: Callable[[Sequence[int]], list[OrderFilled]], parts: dict[str, Any], seed: int
) -> None:
    random, net, quantities = Random(seed), 0, list[int]()
    for _ in range(120):  # it goes flat, and turns, now and then
        quantity = -net if net and random.random() < 0.2 else random.choice((-3, -2, -1, 1, 2, 3))
        net += quantity
        quantities.append(quantity)
    written(quantities)
    (theirs,), (mine,) = (
        each.load_positions().values() for each in (CacheDatabaseAdapter(**parts), ours(parts))
    )
    assert mine.to_dict() == theirs.to_dict()
    assert mine.events == theirs.events
    assert mine.trade_ids == theirs.trade_ids


def test_a_fill_that_was_kept_twice_is_refused(
    written: Callable[[Sequence[int]], list[OrderFilled]], admin: redis.Redis, parts: dict[str, Any]
) -> None:
    written([2, 1])
    key = f"trader-{TRADER}:positions:{HELD}"
    admin.rpush(key, admin.lindex(key, 0) or b"")
    for database in (CacheDatabaseAdapter(**parts), ours(parts)):
        with pytest.raises(RuntimeError, match="duplicate event for position"):
            database.load_positions()


def test_a_position_of_an_instrument_that_is_not_kept_is_none(
    written: Callable[[Sequence[int]], list[OrderFilled]], admin: redis.Redis, parts: dict[str, Any]
) -> None:
    written([1])
    assert ours(parts).load_position(PositionId("P-0")) is None
    admin.delete(f"trader-{TRADER}:instruments:{PERP.id}")
    assert ours(parts).load_positions() == {}


def test_a_position_is_read_in_the_time_of_its_fills(
    written: Callable[[Sequence[int]], list[OrderFilled]], parts: dict[str, Any]
) -> None:
    written([2] + [1, -1] * 2_000)

    def cpu_s(database: Any) -> float:
        began = time.process_time()
        assert len(database.load_positions()) == 1
        return time.process_time() - began

    assert cpu_s(ours(parts)) < cpu_s(CacheDatabaseAdapter(**parts)) / 2


def test_how_many_of_its_orders_it_has_read_is_told_while_it_lasts(
    admin: redis.Redis, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = CacheDatabaseAdapter(**parts)
    orders = [
        TestExecStubs.limit_order(instrument=PERP, client_order_id=ClientOrderId(f"O-{number}"))
        for number in range(5)
    ]
    for order in orders:
        database.add_order(order)
    database.close()
    while len(admin.keys(f"trader-{TRADER}:orders:*")) < len(orders):
        time.sleep(0.05)
    monkeypatch.setattr(cache_database, "TELLS_S", 0.0)
    told: list[str] = []
    assert set(ours(parts, told).load_orders()) == {order.client_order_id for order in orders}
    assert told == [f"has read {number} of 5 orders of its kept state" for number in range(5)]
