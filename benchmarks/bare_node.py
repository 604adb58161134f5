"""A bare TradingNode with a Pinger on an exchange of ours, for figures: `python -m benchmarks.bare_node PORT ORDERS`.

Tells every fill, and that it is flat by the venue's own report, in a line of JSON with the time in ns; a line on stdin makes it flatten and,
once it is flat, end; the end of stdin ends it.
"""

import asyncio
import json
import sys
import threading
import time

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig, BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import (
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.common.config import InstrumentProviderConfig, LoggingConfig
from nautilus_trader.config import LiveExecEngineConfig, TradingNodeConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import GenerateOrderStatusReports, GeneratePositionStatusReports
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.events import OrderFilled, PositionClosed
from nautilus_trader.model.identifiers import InstrumentId

from benchmarks.pinger import Pinger, PingerConfig
from benchmarks.venues import INSTRUMENT, KEYS


class Telling(Pinger):
    """A Pinger that tells."""

    def __init__(self, config: PingerConfig) -> None:
        super().__init__(config)
        self.is_flattening = False
        self.is_closed = asyncio.Event()

    def on_order_filled(self, event: OrderFilled) -> None:
        say("fill", id=event.client_order_id.value)

    def on_position_closed(self, event: PositionClosed) -> None:
        if self.is_flattening:
            self.is_closed.set()

    def flatten(self) -> None:
        """Cancels and closes all."""
        self.is_flattening = True
        self.cancel_all_orders(self.config.instrument_id)
        self.close_all_positions(self.config.instrument_id)


def say(kind: str, **fields: str) -> None:
    """A line of JSON with the time."""
    sys.stdout.write(json.dumps({"kind": kind, "at_ns": time.time_ns(), **fields}) + "\n")
    sys.stdout.flush()


async def confirm(node: TradingNode, strategy: Telling) -> None:
    """Tells once the position is closed and the venue reports none, and no open order."""
    await strategy.is_closed.wait()
    (client,) = node.kernel.exec_engine._clients.values()
    about = {"instrument_id": None, "start": None, "end": None, "command_id": UUID4(), "ts_init": 0}
    orders, positions = await asyncio.gather(
        client.generate_order_status_reports(GenerateOrderStatusReports(**about, open_only=True)),
        client.generate_position_status_reports(GeneratePositionStatusReports(**about)),
    )
    if any(each.is_open for each in orders) or any(each.signed_decimal_qty for each in positions):
        raise RuntimeError(f"not flat: {orders} {positions}")
    say("flat")


def node_of(port: int, strategy: Pinger) -> TradingNode:
    """The node, as its users configure it."""
    http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    common = {
        **KEYS,
        "account_type": BinanceAccountType.USDT_FUTURES,
        "base_url_http": http,
        "base_url_ws": ws,
        "instrument_provider": InstrumentProviderConfig(
            load_ids=frozenset({InstrumentId.from_str(INSTRUMENT)})
        ),
    }
    config = TradingNodeConfig(
        trader_id="BARE-001",
        logging=LoggingConfig(log_level="ERROR", log_colors=False),
        data_clients={"BINANCE": BinanceDataClientConfig(**common)},
        exec_clients={"BINANCE": BinanceExecClientConfig(**common, base_url_ws_stream=ws)},
        exec_engine=LiveExecEngineConfig(reconciliation=True, reconciliation_startup_delay_secs=0.1),
        timeout_disconnection=2,
        timeout_post_stop=0.1,
    )
    node = TradingNode(config=config)
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.trader.add_strategy(strategy)
    node.build()
    return node


async def run(port: int, orders: int) -> None:
    """Runs until stdin ends."""
    strategy = Telling(PingerConfig(instrument_id=InstrumentId.from_str(INSTRUMENT), orders=orders))
    node = node_of(port, strategy)
    loop, ends = asyncio.get_running_loop(), asyncio.Event()

    def listen() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(strategy.flatten)
        loop.call_soon_threadsafe(ends.set)

    threading.Thread(target=listen, daemon=True).start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(node.run_async(), name="node")
        confirming = tasks.create_task(confirm(node, strategy), name="confirm")
        ended = tasks.create_task(ends.wait(), name="ends")
        await asyncio.wait((ended, confirming), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        confirming.cancel()
        await node.stop_async()
        running.cancel()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
