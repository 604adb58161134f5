"""`make simulate ARGS="--seeds 100000"`: many seeds on all cores, then bugs on purpose, each of which must be found.

`--seed 17` tells the whole story of one. Exits with 1 when something is wrong with the product, or a bug is not found.
"""

import argparse
import logging
import os
import sys
import time
from multiprocessing.pool import Pool

from tests.simulation.many import found, run_many, workers
from tests.simulation.planted import BUGS
from tests.simulation.world import run

EVERY_S = 30.0


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--bug-seeds", type=int, default=300, help="within how many a bug must be found")
    parser.add_argument("--seed", type=int, help="tell what happens in this one, and no more")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _tell(chosen.seed)
    bugs = range(chosen.first, chosen.first + chosen.bug_seeds)
    with workers(chosen.jobs) as pool:
        is_sound = _simulate(pool, range(chosen.first, chosen.first + chosen.seeds))
        are_found = [_find(pool, bug, bugs) for bug in BUGS]
    return 0 if is_sound and all(are_found) else 1


def _tell(seed: int) -> int:
    logging.disable(logging.CRITICAL)
    report = run(seed)
    _say("\n".join((*report.story, *(f"WRONG: {each}" for each in report.wrong))))
    _say(
        f"seed {seed}: {report.turns} steps in {report.virtual_s:.1f} virtual seconds, {len(report.wrong)} wrong"
    )
    return 1 if report.wrong else 0


def _simulate(pool: Pool, seeds: range) -> bool:
    began = told = time.monotonic()
    wrong = done = turns = 0
    virtual_s = 0.0
    for report in run_many(pool, seeds):
        done, turns, virtual_s = done + 1, turns + report.turns, virtual_s + report.virtual_s
        if report.wrong:
            wrong += 1
            _say(
                f'seed {report.seed}: {report.wrong[0]}\n  its story: make simulate ARGS="--seed {report.seed}"'
            )
        if time.monotonic() - told > EVERY_S:
            told = time.monotonic()
            _say(f"{done} of {len(seeds)} seeds in {told - began:.0f} s, {wrong} wrong")
    took_s = time.monotonic() - began
    _say(
        f"{done} seeds, {seeds.start} to {seeds.stop - 1}, in {took_s:.0f} s: {wrong} wrong"
        f" ({turns / 1e6:.1f} million steps, {virtual_s / 3600:.1f} virtual hours, {done / took_s:.0f} seeds/s)"
    )
    return wrong == 0


def _find(pool: Pool, bug: str, seeds: range) -> bool:
    report = found(pool, bug, seeds)
    if report is None:
        _say(f"{bug}, planted on purpose, is NOT FOUND")
        return False
    _say(f"{bug}, planted on purpose, is found by seed {report.seed}: {report.wrong[0]}")
    return True


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
