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


class Kernel:
    """A kernel with a position, whose engines take orders and do nothing with them."""

    def __init__(self) -> None:
        self.clock, self.cache, self.trader_id = TestClock(), Cache(), TraderId("TRADER-000")
        self.queued: list[Any] = []
        self.trader = SimpleNamespace(strategies=list)
        self.risk_engine = SimpleNamespace(execute=self.queued.append)
        self.exec_engine = SimpleNamespace(execute=self.queued.append, _clients={})
        self.msgbus = SimpleNamespace(
            deregister=lambda *_: None,
            register=lambda *_: None,
            publish=lambda **_: None,
            send=lambda endpoint, msg: self.queued.append(msg),
        )
        self.cache.add_instrument(BTC)
        bought = TestExecStubs.limit_order(instrument=BTC)
        fill = TestEventStubs.order_filled(bought, BTC, position_id=PositionId("P-1"))
        self.cache.add_position(Position(BTC, fill), OmsType.NETTING)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_RETRY_S", 0.01)


async def test_a_closing_order_that_waits_in_a_queue_is_not_sent_again_and_one_that_was_refused_is() -> None:
    kernel, now = Kernel(), asyncio.get_running_loop().time
    presumed: Any = SimpleNamespace(orders=lambda _: [])
    wind_down = WindDown(kernel, OrderGate(kernel), presumed, now)
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
