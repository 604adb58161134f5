"""Many seeds in several processes; what a seed comes to does not depend on which of them runs it."""

import gc
import logging
import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.pool import Pool

from tests.simulation.planted import BUGS, planted
from tests.simulation.world import Report, run

CHUNK = 8
_COLLECT_EVERY = 40
_AT_ONCE = 16
_done = 0


def workers(jobs: int) -> Pool:
    """Processes that run seeds; leave the pool when done with it."""
    return multiprocessing.get_context("spawn").Pool(jobs, _begin)


def run_many(pool: Pool, seeds: Iterable[int]) -> Iterator[Report]:
    """A report of each, in order; the stories only of those in which something is wrong."""
    return pool.imap(_run_one, seeds, CHUNK)


def found(pool: Pool, bug: str, seeds: range) -> Report | None:
    """The first seed in which something is wrong while this bug is planted; None when none is."""
    for first in range(seeds.start, seeds.stop, _AT_ONCE):
        some = [(seed, bug) for seed in range(first, min(first + _AT_ONCE, seeds.stop))]
        for report in pool.map(_run_with, some, 1):
            if report.wrong:
                return report
    return None


def _begin() -> None:
    logging.disable(logging.CRITICAL)
    # A seed makes and drops very much at once: it is swept up now and then, not all the time.
    gc.disable()


def _run_one(seed: int) -> Report:
    global _done  # noqa: PLW0603
    report = run(seed)
    _done += 1
    if _done % _COLLECT_EVERY == 0:
        gc.collect()
    return report if report.wrong else Report(seed, (), (), report.turns, report.virtual_s)


def _run_with(given: tuple[int, str]) -> Report:
    seed, bug = given
    with planted(BUGS[bug]):
        return _run_one(seed)
