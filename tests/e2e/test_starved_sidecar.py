"""A strategy takes all that it shares with its sidecar in a container: the sidecar is heard, and ends it when it is told to."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.client.watch import Watch
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import Heartbeat
from tests.e2e.engines import PACED
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.stacks import RunningStack

SILENT_S = 5.0
"""Longer, and the fleet calls an engine silent."""


# Local processes share the whole machine with everybody: nothing limits what one takes.
pytestmark = pytest.mark.parametrize("runtime", ["docker"], indirect=True)


@pytest.fixture(scope="module")
def stack(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the strategies of this folder."""
    with stack_with_own_code(runtime, tmp_path_factory.mktemp("image")) as made:
        yield made


def starving(what: str) -> EngineConfig:
    strategy = StrategyChoice(
        strategy_path="tests.e2e.hostile_strategies:Starves",
        config_path="tests.strategies_for_tests:BarsConfig",
        config={"bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL", "how": what},
    )
    return EngineConfig(
        instance_id=f"takes-{what}",
        engine_type="sandbox",
        max_memory="768m",
        parameters={"speed": PACED},
        strategies=(strategy,),
    )


@pytest.mark.parametrize("what", ["memory", "files"])
async def test_the_sidecar_is_heard_all_the_while_and_ends_the_engine(
    stack: RunningStack, fleet: Flotilla, what: str
) -> None:
    config = starving(what)
    name = config.instance_id
    async with fleet.watch(kinds=("heartbeat",)) as updates:
        accepted = await fleet.start_engine(config)
        await fleet.wait_for(name, (RunState.TRADING, *ENDED), session_id=accepted.session_id, timeout_s=60)
        beats = await heard_for(updates, name, 15.0)
    gaps = [after - before for before, after in pairwise(beats)]
    assert max(gaps) < SILENT_S, gaps
    await fleet.stop_engine(name)
    view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    assert (view.session.state, view.session.not_confirmed) == (RunState.STOPPED, ()), view.session
    assert f"took {what}" in stack.cli("engine", "logs", name, "--lines", "1000").stdout


async def heard_for(updates: Watch, name: str, for_s: float) -> list[float]:
    """When its heartbeats came (monotonic s): for so long, or until it has ended."""
    came: list[float] = []
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        update = await updates.next(SILENT_S)
        if update is None:
            break
        beat = update.payload
        if isinstance(beat, Heartbeat) and beat.instance_id == name:
            came.append(time.monotonic())
            if beat.state.is_terminal:
                break
    return came
