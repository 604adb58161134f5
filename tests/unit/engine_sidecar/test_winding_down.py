"""The way out of the market, where what was sent has not left yet. The cache and the orders are NautilusTrader's."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import TestClock
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.identifiers import PositionId, TraderId
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.exit import winding_down as module
from flotilla.engine_sidecar.engine.exit.winding_down import Aim, WindDown
from flotilla.engine_sidecar.engine.order_gate import OrderGate
from flotilla.schemas.states import StopPolicy

BTC = TestInstrumentProvider.btcusdt_binance()
LONG_ENOUGH_S = 0.2
"""For a closing order to be due again several times over."""


class Bus:
    """Takes what is sent, and hears what a test publishes."""

    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent
        self.listeners: dict[str, list[Any]] = {}

    def deregister(self, *_: Any) -> None:
        """Nothing answers here."""

    register = deregister

    def publish(self, **_: Any) -> None:
        """Nobody listens to what is published by the code under test."""

    def send(self, endpoint: str, msg: Any) -> None:
        self.sent.append(msg)

    def subscribe(self, topic: str, handler: Any) -> None:
        self.listeners.setdefault(topic, []).append(handler)

    def unsubscribe(self, topic: str, handler: Any) -> None:
        self.listeners[topic].remove(handler)

    def happened(self, topic: str) -> None:
        for handler in self.listeners.get(topic, []):
            handler(None)


class Kernel:
    """A kernel with a position, whose engines take orders and do nothing with them."""

    def __init__(self) -> None:
        self.clock, self.cache, self.trader_id = TestClock(), Cache(), TraderId("TRADER-000")
        self.queued: list[Any] = []
        self.trader = SimpleNamespace(strategies=list)
        self.risk_engine = SimpleNamespace(execute=self.queued.append)
        self.exec_engine = SimpleNamespace(execute=self.queued.append, _clients={})
        self.msgbus = Bus(self.queued)
        self.cache.add_instrument(BTC)
        bought = TestExecStubs.limit_order(instrument=BTC)
        fill = TestEventStubs.order_filled(bought, BTC, position_id=PositionId("P-1"))
        self.position = Position(BTC, fill)
        self.cache.add_position(self.position, OmsType.NETTING)

    def close(self) -> None:
        """The venue has filled the order that closes the position."""
        fill = TestEventStubs.order_filled(self.queued[-1].order, BTC, position_id=self.position.id)
        self.position.apply(fill)
        self.cache.update_position(self.position)


def leaving(kernel: Kernel) -> WindDown:
    presumed: Any = SimpleNamespace(orders=lambda _: [])
    return WindDown(kernel, OrderGate(kernel), presumed, asyncio.get_running_loop().time)


async def sent(kernel: Kernel) -> None:
    async with asyncio.timeout(5):
        while not kernel.queued:
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_RETRY_S", 0.01)


async def test_a_closing_order_that_waits_in_a_queue_is_not_sent_again_and_one_that_was_refused_is() -> None:
    kernel, now = Kernel(), asyncio.get_running_loop().time
    wind_down = leaving(kernel)
    await wind_down.run(Aim(StopPolicy.FLATTEN, now() + LONG_ENOUGH_S))
    assert len(kernel.queued) == 1
    order = kernel.queued[0].order
    assert (order.is_inflight, order.is_open, order.is_reduce_only) == (False, False, True)
    assert [each for each in wind_down.not_confirmed(StopPolicy.FLATTEN) if "still open" in each]
    for happened in (TestEventStubs.order_submitted, TestEventStubs.order_rejected):
        order.apply(happened(order))
    kernel.cache.update_order(order)
    await wind_down.run(Aim(StopPolicy.FLATTEN, now() + LONG_ENOUGH_S))
    assert len(kernel.queued) == 2


async def test_what_has_closed_is_seen_by_its_event_and_nobody_listens_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POLL_S", 60.0)
    kernel, now = Kernel(), asyncio.get_running_loop().time
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(leaving(kernel).run(Aim(StopPolicy.FLATTEN, now() + 60)))
        await sent(kernel)
        kernel.close()
        kernel.msgbus.happened("events.position.*")
        await running
    assert not any(kernel.msgbus.listeners.values())


async def test_a_goal_that_was_changed_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 60.0)
    kernel, now = Kernel(), asyncio.get_running_loop().time
    aim, wind_down = Aim(StopPolicy.FLATTEN, now() + 60), leaving(kernel)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(wind_down.run(aim))
        await sent(kernel)
        aim.until = now()
        wind_down.look_again()
        await running
    assert wind_down.open_positions()


async def test_what_has_no_event_is_seen_all_the_same() -> None:
    kernel, now = Kernel(), asyncio.get_running_loop().time
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(leaving(kernel).run(Aim(StopPolicy.FLATTEN, now() + 60)))
        await sent(kernel)
        kernel.close()
        await running


async def test_a_flood_of_events_is_no_flood_of_looks() -> None:
    kernel, now, looks = Kernel(), asyncio.get_running_loop().time, 0
    wind_down = leaving(kernel)
    look = wind_down._close_all

    def counted() -> None:
        nonlocal looks
        looks += 1
        look()

    wind_down._close_all = counted  # type: ignore[method-assign]
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(wind_down.run(Aim(StopPolicy.FLATTEN, now() + LONG_ENOUGH_S)))
        while not running.done():
            kernel.msgbus.happened("events.order.*")
            await asyncio.sleep(0)
    assert 2 <= looks <= LONG_ENOUGH_S / module.LEAST_S + 1
