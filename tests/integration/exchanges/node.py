"""A bare TradingNode with NautilusTrader's stock Binance adapters, told what to do by lines of JSON and telling what happens by lines of JSON.

`python -m tests.integration.exchanges.node PORT`, with Redis or anything else of ours nowhere near.
"""

import asyncio
import json
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig, BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.common.config import InstrumentProviderConfig, LoggingConfig
from nautilus_trader.config import LiveExecEngineConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce, TrailingOffsetType
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


def say(kind: str, **fields: object) -> None:
    """One line of JSON to whoever started this."""
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


class Told(Strategy):
    """Does what it is told, and tells every event."""

    def __init__(self, config: StrategyConfig, instrument: InstrumentId) -> None:
        super().__init__(config)
        self.instrument = instrument
        self.bars = BarType.from_str(f"{instrument}-1-MINUTE-LAST-EXTERNAL")
        self.heard: set[str] = set()

    def on_start(self) -> None:
        instrument = self.cache.instrument(self.instrument)
        self.subscribe_quote_ticks(self.instrument)
        self.subscribe_trade_ticks(self.instrument)
        self.subscribe_bars(self.bars)
        self.subscribe_order_book_deltas(self.instrument)
        self.subscribe_mark_prices(self.instrument)
        self.request_bars(self.bars, start=self.clock.utc_now() - timedelta(minutes=10))
        say("started", tick=str(instrument.price_increment), orders=self._orders(), net=self._net())

    def _orders(self) -> list[list[str]]:
        return [
            [o.client_order_id.value, o.status_string(), str(o.filled_qty)]
            for o in self.cache.orders(instrument_id=self.instrument)
        ]

    def _net(self) -> str:
        return str(self.portfolio.net_position(self.instrument).normalize())

    def once(self, kind: str, **fields: object) -> None:
        if kind not in self.heard:
            self.heard.add(kind)
            say(kind, **fields)

    def on_quote_tick(self, tick: Any) -> None:
        self.once("quote", bid=str(tick.bid_price), ask=str(tick.ask_price))

    def on_trade_tick(self, tick: Any) -> None:
        self.once("trade", price=str(tick.price))

    def on_bar(self, bar: Any) -> None:
        say("bar", close=str(bar.close))

    def on_historical_data(self, data: Any) -> None:
        self.once("history", type=type(data).__name__)

    def on_mark_price(self, mark: Any) -> None:
        self.once("mark", price=str(mark.value))

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.once("book", count=len(deltas.deltas))

    def on_event(self, event: Any) -> None:
        name, id_ = type(event).__name__, getattr(event, "client_order_id", None)
        fields = {"id": id_.value} if id_ is not None else {}
        for field in (
            "reason",
            "last_qty",
            "last_px",
            "trade_id",
            "commission",
            "trigger_price",
            "quantity",
            "price",
            "due_post_only",
        ):
            if (value := getattr(event, field, None)) is not None and not callable(value):
                fields[field] = str(value)
        say(name, net=self._net(), **fields)

    # --- what it is told

    def do(self, told: dict[str, Any]) -> None:
        getattr(self, f"do_{told.pop('do')}")(**told)

    def _common(self, side: str, qty: str, id: str) -> dict[str, Any]:
        return {
            "instrument_id": self.instrument,
            "order_side": OrderSide[side],
            "quantity": self.cache.instrument(self.instrument).make_qty(Decimal(qty)),
            "client_order_id": ClientOrderId(id),
        }

    def _price(self, price: str) -> Any:
        return self.cache.instrument(self.instrument).make_price(Decimal(price))

    def do_market(self, side: str, qty: str, id: str, reduce_only: bool = False) -> None:
        self.submit_order(self.order_factory.market(**self._common(side, qty, id), reduce_only=reduce_only))

    def do_limit(
        self,
        side: str,
        qty: str,
        id: str,
        price: str,
        tif: str = "GTC",
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> None:
        common, flags = self._common(side, qty, id), {"post_only": post_only, "reduce_only": reduce_only}
        order = self.order_factory.limit(
            **common, price=self._price(price), time_in_force=TimeInForce[tif], **flags
        )
        self.submit_order(order)

    def do_stop(self, side: str, qty: str, id: str, trigger: str, reduce_only: bool = False) -> None:
        common = self._common(side, qty, id)
        self.submit_order(
            self.order_factory.stop_market(
                **common, trigger_price=self._price(trigger), reduce_only=reduce_only
            )
        )

    def do_touched(self, side: str, qty: str, id: str, trigger: str) -> None:
        self.submit_order(
            self.order_factory.market_if_touched(
                **self._common(side, qty, id), trigger_price=self._price(trigger)
            )
        )

    def do_stop_limit(self, side: str, qty: str, id: str, trigger: str, price: str) -> None:
        common = self._common(side, qty, id)
        self.submit_order(
            self.order_factory.stop_limit(
                **common, trigger_price=self._price(trigger), price=self._price(price)
            )
        )

    def do_trail(self, side: str, qty: str, id: str, points: int) -> None:
        order = self.order_factory.trailing_stop_market(
            **self._common(side, qty, id),
            trailing_offset=Decimal(points),
            trailing_offset_type=TrailingOffsetType.BASIS_POINTS,
        )
        self.submit_order(order)

    def do_modify(self, id: str, qty: str, price: str) -> None:
        qty_ = self.cache.instrument(self.instrument).make_qty(Decimal(qty))
        self.modify_order(self.cache.order(ClientOrderId(id)), quantity=qty_, price=self._price(price))

    def do_cancel(self, id: str) -> None:
        self.cancel_order(self.cache.order(ClientOrderId(id)))

    def do_cancel_several(self, ids: list[str]) -> None:
        self.cancel_orders([self.cache.order(ClientOrderId(id_)) for id_ in ids])

    def do_cancel_all(self) -> None:
        self.cancel_all_orders(self.instrument)

    def do_state(self) -> None:
        say("state", orders=self._orders(), net=self._net())


def node_of(port: int, strategy: Strategy) -> TradingNode:
    """The node, as its users configure it."""
    common = {
        "account_type": BinanceAccountType.USDT_FUTURES,
        "base_url_http": f"http://127.0.0.1:{port}",
        "base_url_ws": f"ws://127.0.0.1:{port}",
        "api_key": "test-key",
        "api_secret": "test-secret",
    }
    provider = InstrumentProviderConfig(load_ids=frozenset([INSTRUMENT]))
    data = BinanceDataClientConfig(**common, instrument_provider=provider)
    execution = BinanceExecClientConfig(
        **common, base_url_ws_stream=f"ws://127.0.0.1:{port}", instrument_provider=provider
    )
    config = TradingNodeConfig(
        trader_id="BARE-001",
        logging=LoggingConfig(log_level="WARNING", log_colors=False),
        data_clients={"BINANCE": data},
        exec_clients={"BINANCE": execution},
        exec_engine=LiveExecEngineConfig(reconciliation=True, reconciliation_startup_delay_secs=0.1),
        timeout_connection=20,
        timeout_disconnection=2,
        timeout_post_stop=0.1,
    )
    node = TradingNode(config=config)
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.trader.add_strategy(strategy)
    node.build()
    return node


async def run(node: TradingNode, strategy: Told) -> None:
    """Runs until `{"do": "end"}`, or the end of what it is told."""
    loop = asyncio.get_running_loop()
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


async def main(port: int) -> None:
    """Runs the node on the exchange of that port."""
    config = StrategyConfig(strategy_id="TOLD-1", external_order_claims=[INSTRUMENT])
    strategy = Told(config, INSTRUMENT)
    await run(node_of(port, strategy), strategy)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
