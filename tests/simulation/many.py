"""Many seeds in several processes; what a seed comes to does not depend on which of them runs it."""

import gc
import logging
import multiprocessing
from collections.abc import Iterable, Iterator

from tests.simulation.planted import BUGS, planted
from tests.simulation.world import Report, run

CHUNK = 8
_COLLECT_EVERY = 40
_done = 0


def run_many(seeds: Iterable[int], jobs: int) -> Iterator[Report]:
    """A report of each, in order; the stories only of those in which something is wrong."""
    with _pool(jobs) as pool:
        yield from pool.imap(_run_one, seeds, CHUNK)


def found(bug: str, seeds: Iterable[int], jobs: int) -> Report | None:
    """The first seed in which something is wrong while this bug is planted; None when none is."""
    with _pool(jobs) as pool:
        reports = pool.imap(_run_with, ((seed, bug) for seed in seeds), 2)
        return next((report for report in reports if report.wrong), None)


def _pool(jobs: int) -> "multiprocessing.pool.Pool":  # type: ignore[name-defined]
    return multiprocessing.get_context("spawn").Pool(jobs, _begin)


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
