"""A bare node whose reconnects are counted as engines of ours do: `python -m tests.integration.exchanges.watched okx|ib PORT`.

Prints `0` once it trades, then each count.
"""

import asyncio
import sys

from nautilus_trader.config import StrategyConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.engine.venues.reconnects import Reconnects
from tests.integration.exchanges import ib_node, okx_node


def node_of(venue: str, port: int) -> TradingNode:
    """A node without a strategy that does anything."""
    idle = Strategy(StrategyConfig(strategy_id="IDLE-1"))
    return okx_node.node_of(port, idle) if venue == "okx" else ib_node.node_of(port, idle)


async def main(venue: str, port: int) -> None:
    """Until it is killed."""
    node = node_of(venue, port)
    reconnects = Reconnects(node.kernel.exec_engine._clients.values())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.run_async())
        while not node.kernel.trader.is_running:
            await reconnects.within(0.05)
        while True:
            sys.stdout.write(f"{sum(reconnects.counts.values())}\n")
            sys.stdout.flush()
            while not await reconnects.within(1.0):
                pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
