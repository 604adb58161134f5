"""The control plane in virtual time, with faults from seeds: what must hold does, in each of them, and bugs on purpose are found.

FLOTILLA_SIMULATION_SEEDS says how many seeds, FLOTILLA_SIMULATION_FIRST which is the first; `make simulate` runs far more.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest

from tests.simulation.many import found, run_many, workers
from tests.simulation.planted import BUGS
from tests.simulation.world import run

SEEDS = int(os.environ.get("FLOTILLA_SIMULATION_SEEDS", "250"))
FIRST = int(os.environ.get("FLOTILLA_SIMULATION_FIRST", "0"))
JOBS = 2
BUG_SEEDS = 300


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with workers(JOBS) as made:
        yield made


def test_whatever_goes_wrong_all_that_must_hold_does_and_in_the_end_what_is_asked_for_is(pool: Pool) -> None:
    reports = run_many(pool, range(FIRST, FIRST + SEEDS))
    wrong = {report.seed: report.wrong for report in reports if report.wrong}
    assert not wrong, "a seed tells its story by: make simulate ARGS='--seed N'"


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_is_planted_is_found(pool: Pool, bug: str) -> None:
    assert found(pool, bug, range(BUG_SEEDS)) is not None


TELL = "import sys; from tests.simulation.test_simulation import digest; print(digest(range(20)))"


def digest(seeds: range) -> str:
    """What happened in these seeds, in short."""
    stories = "\n".join(line for seed in seeds for line in run(seed).story)
    return hashlib.sha256(stories.encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_each_time_and_in_every_process(hash_seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", TELL],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert told.stdout.strip() == digest(range(20))
