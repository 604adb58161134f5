"""Quote ticks per second, request → completed, against NautilusTrader's BacktestEngine alone in the same container.

Alone it has everything in memory at once and imports not counted; through the platform the trial is queued, claimed, its data hashed for
the manifest, run with progress told twice a second, its result handed over and put on record.
"""

import asyncio
import statistics
import sys
from pathlib import Path

from benchmarks.market import INSTRUMENT, quotes, write
from benchmarks.rounds import report_at_least
from benchmarks.stack import running_stack
from benchmarks.study_throughput import BASE
from benchmarks.trials import (
    differences,
    finished,
    plan_of,
    raw_runs,
    say,
    seconds_of,
    worker_container,
)
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestConfig, ResultPart
from flotilla.state.settings import Connection

SIZES = ((1_000_000, 5), (5_000_000, 2))
"""Events, and rounds of them."""
LIMIT = 0.97


async def measure(connection: Connection) -> int:
    """Interleaved rounds at each size."""
    worst, events, written = 0, quotes(), 0
    async with Flotilla.connect(connection) as fleet:
        await finished(fleet, "warm", BASE)
        for size, rounds in SIZES:
            say(f"writing {size:,} quotes")
            write(Path(connection.catalog), events, size - written)
            written = size
            worst = max(worst, await measure_size(fleet, size, rounds))
    return worst


async def measure_size(fleet: Flotilla, size: int, rounds: int) -> int:
    """Medians over the rounds; the worker runs already."""
    config = await tick_config(fleet)
    ours: list[float] = []
    raw: list[float] = []
    for number in range(rounds):
        backtest_id = f"ticks-{size}-{number}"
        view = await finished(fleet, backtest_id, config)
        (alone,) = await raw_runs(await worker_container(fleet), [await plan_of(fleet, backtest_id)])
        found = await fleet.backtest_result(backtest_id, ResultPart.STATISTICS)
        if alone["events"] != size or differences(found, alone):
            raise RuntimeError(f"not the same: {alone['events']} events, {differences(found, alone)}")
        ours.append(size / seconds_of(view))
        raw.append(size / alone["seconds"])
        say(f"{size:,} quotes, round {number}: ours {ours[-1]:,.0f}/s, alone {raw[-1]:,.0f}/s")
    return report_at_least(
        f"{size:,} quote ticks", statistics.median(ours), statistics.median(raw), "events/s", LIMIT
    )


async def tick_config(fleet: Flotilla) -> BacktestConfig:
    """A crossing of averages of bars of a minute, which the engine makes of all the quotes there are."""
    (held,) = [entry for entry in (await fleet.catalog()).entries if entry.identifier == INSTRUMENT]
    return BacktestConfig(
        start_date=held.start.isoformat(),
        end_date=held.end.isoformat(),
        instruments=(INSTRUMENT,),
        strategy="ema_cross",
        strategy_config={"instrument_id": INSTRUMENT, "bar_type": f"{INSTRUMENT}-1-MINUTE-BID-INTERNAL"},
        tick_data=True,
    )


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when a ratio is under the limit."""
    with running_stack("docker") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
