"""Resident memory of a worker between trials, over 200 of them: that of its two lasting processes, sidecar and zygote. In MB."""

import asyncio
import statistics
import sys

from benchmarks.stack import children_of, only, rss_bytes, running_stack, sidecar_pid
from benchmarks.trials import LIMIT_S, finished, say
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import Axis, BacktestConfig, StudyConfig
from flotilla.state.settings import Connection

TRIALS = 200
LIMIT = 1.05
BASE = BacktestConfig(
    start_date="2015-01-02",
    end_date="2018-12-31",
    instruments=("SPX.SIM",),
    strategy="ema_cross",
)
AXES = {
    "fast_ema_period": Axis(values=tuple(range(2, 12))),
    "slow_ema_period": Axis(values=tuple(range(20, 40))),
}


async def measure(connection: Connection) -> int:
    """The median of the last quarter of the samples over that of the second: the first quarter is for warming up."""
    sizes: list[float] = []
    async with Flotilla.connect(connection) as fleet:
        await finished(fleet, "warm", BASE)
        await fleet.run_study("memory", StudyConfig(base=BASE, axes=AXES))
        async with asyncio.timeout(LIMIT_S):
            while (view := await fleet.study("memory")).completed_at is None:
                sizes.append(worker_mb())
                say(f"{view.counts.get('completed', 0)} trials: {sizes[-1]:.1f} MB")
                await asyncio.sleep(1)
    if view.counts.get("completed") != TRIALS:
        raise RuntimeError(f"{view.status}: {view.counts}")
    quarter = len(sizes) // 4
    early, late = statistics.median(sizes[quarter : 2 * quarter]), statistics.median(sizes[-quarter:])
    verdict = "ok" if late <= LIMIT * early else "over the limit"
    sys.stdout.write(
        f"worker over {TRIALS} trials: {early:.1f} MB, then {late:.1f} MB, ratio {late / early:.3f} "
        f"(limit {LIMIT:g}): {verdict}\n"
    )
    return int(late > LIMIT * early)


def worker_mb() -> float:
    """Of the sidecar and its zygote; trials are forks of the zygote, and come and go."""
    sidecar = sidecar_pid()
    return sum(rss_bytes(pid) for pid in (sidecar, only(children_of(sidecar)))) / 1e6


def main() -> int:
    """With local processes; needs a machine where no other stack runs, because processes are found by their command lines."""
    with running_stack("process") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
