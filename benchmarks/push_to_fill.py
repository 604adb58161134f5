"""A file of one's own, pushed to a fleet that is warm → the first fill of an engine that trades it. An absolute figure, in seconds.

Each round's file is new: what was pushed before is known, and would not be checked again. Between rounds is as much time as it takes to
edit a file: meanwhile the host gets the next check ready, which the first round, that is not counted, does not find.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stack import running_stack
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.states import RunState
from flotilla.state.settings import Connection

ROUNDS = 5
LIMIT_S = 3.0
EDIT_S = 10.0
BAR_TYPE = "SPX.SIM-1-DAY-LAST-EXTERNAL"
SPEED = 8_640_000
"""A hundred bars of a day in a second."""
RUNTIMES = ("process", "docker")
STRATEGY = '''
"""Buys at its first bar. Round {number}."""
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy


class MineConfig(StrategyConfig, frozen=True):
    bar_type: BarType


class Mine(Strategy):
    def on_start(self) -> None:
        self.is_done = False
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        if not self.is_done:
            self.is_done = True
            order = self.order_factory.market(self.config.bar_type.instrument_id, OrderSide.BUY, Quantity.from_int(1))
            self.submit_order(order)
'''


async def push_to_fill_s(fleet: Flotilla, file: Path, number: int) -> float:
    """From the request to push until the client hears of the fill."""
    await asyncio.to_thread(file.write_text, STRATEGY.format(number=number))
    instance_id = f"fill-{number}"
    async with fleet.watch(instance_id, kinds=["fill"]) as fills:
        began = time.perf_counter()
        pushed = await fleet.push_package(file)
        await fleet.start_engine(
            EngineConfig(
                engine_type="sandbox",
                instance_id=instance_id,
                strategies=(
                    StrategyChoice(
                        template=f"{pushed.name}@{pushed.version}", parameters={"bar_type": BAR_TYPE}
                    ),
                ),
                parameters={"speed": SPEED},
            )
        )
        await anext(aiter(fills))
        took = time.perf_counter() - began
    await fleet.stop_engine(instance_id, force=True)
    await fleet.wait_for(instance_id, {RunState.STOPPED, RunState.FAILED}, timeout_s=30)
    await asyncio.sleep(EDIT_S)
    return took


async def measure(connection: Connection, runtime: str) -> int:
    """The median of some rounds; the first one, before which nobody pushed, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        async with Flotilla.connect(connection) as fleet:
            took = [
                await push_to_fill_s(fleet, Path(folder) / "mine.py", number) for number in range(ROUNDS + 1)
            ]
    median = statistics.median(took[1:])
    verdict = "ok" if median <= LIMIT_S else "over the limit"
    sys.stderr.write(f"{runtime}: {[round(each, 2) for each in took]}\n")
    sys.stdout.write(
        f"push to first fill ({runtime}): {median:.2f} s, slowest {max(took[1:]):.2f} s (limit {LIMIT_S:g}): {verdict}\n"
    )
    return int(median > LIMIT_S)


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when it is over the limit in either runtime."""
    codes = []
    for runtime in RUNTIMES:
        with running_stack(runtime) as connection:
            codes.append(asyncio.run(measure(connection, runtime)))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
