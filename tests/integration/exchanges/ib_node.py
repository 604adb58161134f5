"""A bare TradingNode with NautilusTrader's stock Interactive Brokers adapters, told what to do by lines of JSON and telling what happens by lines of JSON.

`python -m tests.integration.exchanges.ib_node PORT`, with Redis or anything else of ours nowhere near.
"""

import asyncio
import json
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.interactive_brokers.config import (
    InteractiveBrokersDataClientConfig,
    InteractiveBrokersExecClientConfig,
    InteractiveBrokersInstrumentProviderConfig,
)
from nautilus_trader.adapters.interactive_brokers.factories import (
    InteractiveBrokersLiveDataClientFactory,
    InteractiveBrokersLiveExecClientFactory,
)
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, RoutingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TrailingOffsetType
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.trading.strategy import Strategy, StrategyConfig

STOCK = InstrumentId.from_str("AAPL.NASDAQ")
PAIR = InstrumentId.from_str("EUR/USD.IDEALPRO")
FIVE_SECONDS = BarType.from_str(f"{STOCK}-5-SECOND-LAST-EXTERNAL")
MINUTES = BarType.from_str(f"{STOCK}-1-MINUTE-LAST-EXTERNAL")
CLIENTS = (11, 12)  # of data, of execution


def say(kind: str, **fields: object) -> None:
    """One line of JSON to whoever started this."""
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


class Told(Strategy):
    """Does what it is told, and tells every event."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.heard: set[str] = set()

    def on_start(self) -> None:
        self.subscribe_quote_ticks(STOCK)
        self.subscribe_quote_ticks(PAIR)
        self.subscribe_trade_ticks(STOCK)
        self.subscribe_bars(FIVE_SECONDS)
        self.request_bars(MINUTES, start=self.clock.utc_now() - timedelta(minutes=10))
        found = sorted(str(instrument.id) for instrument in self.cache.instruments())
        say("started", instruments=found, orders=self._orders(), net=self._net())

    def _orders(self) -> list[list[str]]:
        return [
            [o.client_order_id.value, o.status_string(), str(o.filled_qty)]
            for o in self.cache.orders(instrument_id=STOCK)
        ]

    def _net(self) -> str:
        return f"{self.portfolio.net_position(STOCK):f}"

    def once(self, kind: str, **fields: object) -> None:
        if kind not in self.heard:
            self.heard.add(kind)
            say(kind, **fields)

    def on_quote_tick(self, tick: Any) -> None:
        self.once(f"quote {tick.instrument_id.symbol}", bid=str(tick.bid_price), ask=str(tick.ask_price))

    def on_trade_tick(self, tick: Any) -> None:
        self.once("trade", price=str(tick.price))

    def on_bar(self, bar: Any) -> None:
        self.once("bar", close=str(bar.close))

    def on_historical_data(self, data: Any) -> None:
        self.once("history", type=type(data).__name__)

    def on_event(self, event: Any) -> None:
        name, id_ = type(event).__name__, getattr(event, "client_order_id", None)
        fields = {"id": id_.value} if id_ is not None else {}
        for field in ("reason", "last_qty", "last_px", "trade_id", "commission", "quantity", "price"):
            if (value := getattr(event, field, None)) is not None and not callable(value):
                fields[field] = str(value)
        say(name, net=self._net(), **fields)

    # --- what it is told

    def do(self, told: dict[str, Any]) -> None:
        getattr(self, f"do_{told.pop('do')}")(**told)

    def _common(self, side: str, qty: str, id: str, instrument: InstrumentId = STOCK) -> dict[str, Any]:
        return {
            "instrument_id": instrument,
            "order_side": OrderSide[side],
            "quantity": self.cache.instrument(instrument).make_qty(Decimal(qty)),
            "client_order_id": ClientOrderId(id),
        }

    def _price(self, price: str) -> Any:
        return self.cache.instrument(STOCK).make_price(Decimal(price))

    def do_market(self, side: str, qty: str, id: str, instrument: str = str(STOCK)) -> None:
        asked = InstrumentId.from_str(instrument)
        self.submit_order(self.order_factory.market(**self._common(side, qty, id, asked)))

    def do_limit(self, side: str, qty: str, id: str, price: str) -> None:
        self.submit_order(self.order_factory.limit(**self._common(side, qty, id), price=self._price(price)))

    def do_stop(self, side: str, qty: str, id: str, trigger: str) -> None:
        self.submit_order(
            self.order_factory.stop_market(**self._common(side, qty, id), trigger_price=self._price(trigger))
        )

    def do_trail(self, side: str, qty: str, id: str, offset: str) -> None:
        self.submit_order(
            self.order_factory.trailing_stop_market(
                **self._common(side, qty, id),
                trailing_offset=Decimal(offset),
                trailing_offset_type=TrailingOffsetType.PRICE,
            )
        )

    def do_bracket(self, side: str, qty: str, price: str, stop: str, target: str) -> None:
        common = self._common(side, qty, "unused")
        del common["client_order_id"]
        orders = self.order_factory.bracket(
            **common,
            entry_order_type=2,  # a limit order
            entry_price=self._price(price),
            sl_trigger_price=self._price(stop),
            tp_price=self._price(target),
            tp_post_only=False,
        )
        self.submit_order_list(orders)
        say("bracket", ids=[order.client_order_id.value for order in orders.orders])

    def do_modify(self, id: str, qty: str, price: str) -> None:
        qty_ = self.cache.instrument(STOCK).make_qty(Decimal(qty))
        self.modify_order(self.cache.order(ClientOrderId(id)), quantity=qty_, price=self._price(price))

    def do_cancel(self, id: str) -> None:
        self.cancel_order(self.cache.order(ClientOrderId(id)))

    def do_tell(self) -> None:
        account = next(iter(self.cache.accounts()))
        totals = {
            str(currency): str(money.as_decimal()) for currency, money in account.balances_total().items()
        }
        say("told", net=self._net(), orders=self._orders(), account=str(account.id), totals=totals)


def configured(port: int) -> TradingNodeConfig:
    """The node: both adapters, one stock and one pair."""
    common: dict[str, Any] = {
        "ibg_host": "127.0.0.1",
        "ibg_port": port,
        "instrument_provider": InteractiveBrokersInstrumentProviderConfig(
            load_ids=frozenset({str(STOCK), str(PAIR)})
        ),
        "routing": RoutingConfig(default=True),
    }
    data, execution = CLIENTS
    return TradingNodeConfig(
        trader_id="NODE-001",
        logging=LoggingConfig(log_level="WARNING", log_colors=False),
        data_clients={
            "IB": InteractiveBrokersDataClientConfig(
                **common, ibg_client_id=data, use_regular_trading_hours=False
            )
        },
        exec_clients={
            "IB": InteractiveBrokersExecClientConfig(
                **common, ibg_client_id=execution, account_id="DU1234567"
            )
        },
        exec_engine=LiveExecEngineConfig(reconciliation_startup_delay_secs=0.1),
        timeout_connection=20.0,
        timeout_post_stop=0.1,
        timeout_disconnection=3.0,
    )


def node_of(port: int, strategy: Strategy) -> TradingNode:
    """The node with its strategy, built."""
    node = TradingNode(config=configured(port))
    node.add_data_client_factory("IB", InteractiveBrokersLiveDataClientFactory)
    node.add_exec_client_factory("IB", InteractiveBrokersLiveExecClientFactory)
    node.trader.add_strategy(strategy)
    node.build()
    return node


async def main(port: int) -> None:
    """Runs until `{"do": "end"}`, or the end of what it is told."""
    strategy = Told(StrategyConfig(strategy_id="TOLD-1", external_order_claims=[STOCK]))
    node, loop = node_of(port, strategy), asyncio.get_running_loop()
    ends = asyncio.Event()

    def listen() -> None:
        for line in sys.stdin:
            told = json.loads(line)
            if told["do"] == "end":
                break
            loop.call_soon_threadsafe(strategy.do, told)
        loop.call_soon_threadsafe(ends.set)

    threading.Thread(target=listen, daemon=True).start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(node.run_async())
        await ends.wait()
        await node.stop_async()
        await asyncio.wait([running], timeout=5)
        running.cancel()
    say("ended")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
