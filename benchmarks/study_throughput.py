"""A study of 40 trials on two cores, request → completed, against a loop that somebody would write by hand: one after the other in one process.

The loop runs in the worker's container, its imports not counted.
"""

import asyncio
import sys
import time

from benchmarks.rounds import report_at_least
from benchmarks.stack import running_stack
from benchmarks.trials import LIMIT_S, finished, plan_of, raw_runs, say, worker_container
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import Axis, BacktestConfig, BacktestStatus, StudyConfig
from flotilla.state.settings import Connection

BASE = BacktestConfig(
    start_date="1999-01-04",
    end_date="2018-12-31",
    instruments=("SPX.SIM",),
    strategy="ema_cross",
)
AXES = {"fast_ema_period": (2, 3, 4, 5, 6), "slow_ema_period": (10, 12, 14, 16, 18, 20, 25, 30)}
ROUNDS = 3
LIMIT = 1.6


async def measure(connection: Connection) -> int:
    """The best of some rounds of each, interleaved: what disturbs a round only makes it slower."""
    ours: list[float] = []
    raw: list[float] = []
    async with Flotilla.connect(connection) as fleet:
        await finished(fleet, "warm", BASE)
        for number in range(ROUNDS):
            study_id = f"study-{number}"
            ours.append(await study_s(fleet, study_id))
            plans = [
                await plan_of(fleet, view.backtest_id)
                for view in await fleet.all_backtests(study_id=study_id)
            ]
            raw.append(sum(run["seconds"] for run in await raw_runs(await worker_container(fleet), plans)))
            say(f"round {number}: ours {ours[-1]:.1f} s, alone {raw[-1]:.1f} s for {len(plans)} runs")
    size = len(plans)
    return report_at_least("study of 40", size / min(ours), size / min(raw), "trials/s", LIMIT)


async def study_s(fleet: Flotilla, study_id: str) -> float:
    """Seconds from the request until the record says that the study has completed."""
    began = time.time()
    await fleet.run_study(
        study_id, StudyConfig(base=BASE, axes={name: Axis(values=values) for name, values in AXES.items()})
    )
    async with asyncio.timeout(LIMIT_S):
        while (view := await fleet.study(study_id)).completed_at is None:  # noqa: ASYNC110  the record is what counts
            await asyncio.sleep(0.5)
    if view.status is not BacktestStatus.COMPLETED or view.counts.get("completed") != view.total:
        raise RuntimeError(f"{study_id} {view.status}: {view.counts}")
    return view.completed_at.timestamp() - began


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when the ratio is under the limit."""
    with running_stack("docker") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
