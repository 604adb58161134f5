"""A run of more than 7,000 closed positions, request → completed, against NautilusTrader alone in the same container: how many times faster.

NautilusTrader's portfolio analyzer builds pandas series anew at every closed position (engine_sidecar/engine/quick_analyzer.py).
"""

import asyncio
import sys
from pathlib import Path

from benchmarks.market import BAR_TYPE, INSTRUMENT, bars, write
from benchmarks.rounds import report_at_least
from benchmarks.stack import running_stack
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

BARS = 36_000
POSITIONS = 7_000
LIMIT = 3.0


async def measure(connection: Connection) -> int:
    """One round, because NautilusTrader alone takes minutes; also compares every statistic of the two."""
    write(Path(connection.catalog), bars(), BARS)
    async with Flotilla.connect(connection) as fleet:
        (held,) = [entry for entry in (await fleet.catalog()).entries if entry.identifier == BAR_TYPE]
        config = BacktestConfig(
            start_date=held.start.isoformat(),
            end_date=held.end.isoformat(),
            instruments=(INSTRUMENT,),
            strategy="ema_cross",
            strategy_config={
                "instrument_id": INSTRUMENT,
                "bar_type": BAR_TYPE,
                "fast_ema_period": 2,
                "slow_ema_period": 4,
            },
        )
        for backtest_id in ("warm", "trades"):
            view = await finished(fleet, backtest_id, config)
        say(f"ours took {seconds_of(view):.1f} s; NautilusTrader alone takes minutes")
        (alone,) = await raw_runs(await worker_container(fleet), [await plan_of(fleet, "trades")])
        trades = await fleet.backtest_result("trades", ResultPart.TRADES)
        found = await fleet.backtest_result("trades", ResultPart.STATISTICS)
    if len(trades) < POSITIONS:
        raise RuntimeError(f"{len(trades)} closed positions are too few for this figure")
    differing = differences(found, alone)
    say(
        f"{len(trades):,} closed positions, {sum(map(len, found.values()))} statistics, differing: {differing or 'none'}"
    )
    ratio = report_at_least(
        "trade-heavy run", BARS / seconds_of(view), BARS / alone["seconds"], "bars/s", LIMIT
    )
    return int(ratio or bool(differing))


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when it is under the limit or a statistic differs."""
    with running_stack("docker") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
