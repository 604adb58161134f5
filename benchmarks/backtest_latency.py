"""A warm backtest of 5,000 bars, request → result in the client's hands, beyond NautilusTrader alone in the same container. In seconds.

Alone, too, it is warm: the second run of one process counts.
"""

import asyncio
import statistics
import sys
import time

from benchmarks.stack import running_stack
from benchmarks.study_throughput import BASE
from benchmarks.trials import finished, plan_of, raw_runs, say, worker_container
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import ResultPart
from flotilla.state.settings import Connection

ROUNDS = 9
LIMIT_S = 0.5


async def measure(connection: Connection) -> int:
    """Medians over interleaved rounds; the first, which starts the worker, is not counted."""
    ours: list[float] = []
    raw: list[float] = []
    async with Flotilla.connect(connection) as fleet:
        for number in range(ROUNDS + 1):
            backtest_id = f"latency-{number}"
            began = time.perf_counter()
            await finished(fleet, backtest_id, BASE)
            await fleet.backtest_result(backtest_id, ResultPart.FILLS)
            took = time.perf_counter() - began
            plan = await plan_of(fleet, backtest_id)
            _, alone = await raw_runs(await worker_container(fleet), [plan, plan])
            if number:
                ours.append(took)
                raw.append(alone["seconds"])
                say(
                    f"round {number}: ours {took:.2f} s, alone {alone['seconds']:.2f} s, {alone['events']} bars"
                )
    beyond = statistics.median(ours) - statistics.median(raw)
    verdict = "ok" if beyond <= LIMIT_S else "over the limit"
    sys.stdout.write(
        f"backtest of 5,000 bars: ours {statistics.median(ours):.2f} s, raw {statistics.median(raw):.2f} s, "
        f"beyond it {beyond:.2f} s (limit {LIMIT_S:g}): {verdict}\n"
    )
    return int(beyond > LIMIT_S)


def main() -> int:
    """Needs a Docker engine and the engine image; 1 when it is over the limit."""
    with running_stack("docker") as connection:
        return asyncio.run(measure(connection))


if __name__ == "__main__":
    sys.exit(main())
