"""The quick part of `make venues` and `make soak`: a few of each, by the same code and before the same judge."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from flotilla.schemas.states import StopPolicy
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.stacks import RunningStack
from tests.venues import faults, kills, soak, stops
from tests.venues.arena import Arena
from tests.venues.menus import MENUS
from tests.venues.places import BINANCE, OKX

SEED = 7


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with stack_with_own_code("process", tmp_path_factory.mktemp("own")) as made:
        yield made


@pytest.fixture
async def arena(stack: RunningStack) -> AsyncIterator[Arena]:
    made = Arena(stack)
    await made.connect()
    yield made
    await made.close()


async def test_a_kill_in_the_middle_of_fills_loses_none_and_doubles_no_order(arena: Arena) -> None:
    tally = await kills.count(arena, BINANCE, SEED, 1, ("sidecar",))
    assert not tally.wrong
    assert tally.done == {"sidecar, warm": 1, "sidecar, cold": 1}


async def test_no_stop_is_falsely_said_to_be_done_and_faults_lose_no_fill(arena: Arena) -> None:
    """Side by side: a stop that cannot be confirmed mostly waits."""
    cells = [(StopPolicy.FLATTEN, "acknowledges"), (StopPolicy.FLATTEN, "rejects")]
    chosen = tuple(
        each
        for each in MENUS["BINANCE"].faults
        if each.name in ("unknown POST /fapi/v1/order", "cut private")
    )
    tallies = await asyncio.gather(
        stops.count(arena, BINANCE, SEED, cells), faults.count(arena, BINANCE, SEED, 2.0, chosen)
    )
    assert [each.wrong for each in tallies] == [[], []]
    assert [sum(each.done.values()) for each in tallies] == [2, 2]


async def test_after_faults_and_kills_of_four_engines_their_ledgers_equal_their_events(arena: Arena) -> None:
    tally = await soak.run(arena, [BINANCE, OKX], SEED, 10.0, fault_every_s=2.0, kill_every_s=4.0)
    assert not tally.wrong
    assert sum(tally.done.values()) == 4
