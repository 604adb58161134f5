"""Many seeds in several processes; what a seed comes to does not depend on which of them runs it."""

import gc
import logging
import multiprocessing
from asyncio.tasks import _scheduled_tasks  # type: ignore[attr-defined]
from collections.abc import Iterable, Iterator
from multiprocessing.pool import Pool

from tests.simulation.planted import BUGS, planted
from tests.simulation.world import Report, run

CHUNK = 8
_AT_ONCE = 16


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
    # Nobody asks asyncio here for all of its tasks, and to keep them costs two weak references each.
    _scheduled_tasks.add = lambda _: None  # type: ignore[method-assign]
    # A seed makes and drops very much at once, and nothing before that: it is swept up when it is over, so that the next one
    # gets its memory, which is in the caches still.
    gc.collect()
    gc.freeze()
    gc.disable()


def _run_one(seed: int) -> Report:
    report = run(seed)
    gc.collect()
    return report if report.wrong else Report(seed, (), (), report.turns, report.virtual_s)


def _run_with(given: tuple[int, str]) -> Report:
    seed, bug = given
    with planted(BUGS[bug]):
        return _run_one(seed)
