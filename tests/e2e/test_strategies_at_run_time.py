"""Strategies are added, stopped, started and removed in an engine that trades on, by CLI and typed client."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.strategy import StrategyList
from tests.e2e.engines import eventually, paced, resting, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack

CHOICE = paced("x").strategies
GRID = resting("x").strategies


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One of local processes: what goes on inside an engine is the same in a container."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


def states(found: StrategyList) -> dict[str, str]:
    return {one.strategy_id: one.state for one in found.strategies}


async def fills(fleet: Flotilla, name: str) -> int:
    view = await fleet.engine(name)
    return view.metrics.fills_total if view.metrics else 0


async def test_a_strategy_comes_and_goes_while_the_others_trade_on(fleet: Flotilla) -> None:
    assert CHOICE
    assert GRID
    await trading(fleet, paced("host"))
    (first,) = states(await fleet.strategies("host"))
    added = await fleet.add_strategy(GRID[0], "host")
    second = added.strategy_id
    assert second is not None
    assert states(added) == {first: "RUNNING", second: "RUNNING"}

    async def has_orders() -> bool:
        listed = (await fleet.strategies("host")).strategies
        return any(one.strategy_id == second and one.orders_open for one in listed)

    await eventually(has_orders, 30, "orders of the strategy that was added")
    ended = await fleet.stop_strategy(second, "host", policy=StopPolicy.FLATTEN)
    assert states(ended) == {first: "RUNNING", second: "STOPPED"}
    assert ended.not_confirmed == ()
    (grid,) = (one for one in ended.strategies if one.strategy_id == second)
    assert (grid.orders_open, grid.positions_open) == (0, 0)
    await traded_more(fleet, "host", await fills(fleet, "host"))
    assert states(await fleet.start_strategy(second, "host"))[second] == "RUNNING"
    assert states(await fleet.remove_strategy(second, "host", policy=StopPolicy.FLATTEN)) == {
        first: "RUNNING"
    }
    await traded_more(fleet, "host", await fills(fleet, "host"))
    await stopped(fleet, "host")


async def test_the_command_line_says_what_runs_and_refuses_what_does_not(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, msgspec.structs.replace(paced("host"), signals=("mood",)))
    session = (await fleet.strategies("host")).session_id

    def drive() -> None:
        listed = stack.cli("strategy", "ls", "host")
        assert listed.stdout.splitlines()[0].split() == ["STRATEGY", "STATE", "ORDERS", "POSITIONS", "CLASS"]
        added = stack.json("strategy", "add", "host", "ema_cross", "--set", "trade_size=10", "--no-start")
        name = added["strategy_id"]
        assert {one["strategy_id"]: one["state"] for one in added["strategies"]}[name] == "READY"
        assert stack.cli("strategy", "start", "host", name).returncode == 0
        done = stack.cli("strategy", "rm", "host", name, "--policy", "flatten")
        assert done.returncode == 0, done.stdout
        assert name not in stack.cli("strategy", "ls", "host").stdout
        sent = stack.cli("strategy", "signal", "host", "mood", "0.3")
        assert (sent.returncode, "sent signal mood, to which nothing listens" in sent.stdout) == (0, True)
        for command, code in (
            (("strategy", "ls", "nobody"), 4),
            (("strategy", "stop", "host", "Nothing-999"), 4),
            (("strategy", "stop", "host", "no id"), 3),
            (("strategy", "add", "host", "nowhere"), 3),
            (("strategy", "signal", "host", "other", "1"), 3),
            (("strategy", "signal", "host", "no name", "1"), 3),
            (("strategy", "add", "host", "ema_cross", "--set", "trade_size=-5"), 3),
        ):
            refused = stack.cli(*command)
            assert refused.returncode == code, (command, refused.stderr)

    await asyncio.to_thread(drive)
    after = await fleet.strategies("host")
    assert after.session_id == session
    assert len(after.strategies) == 1
    await stopped(fleet, "host")


async def test_an_engine_that_does_not_run_has_no_strategies_to_change(fleet: Flotilla) -> None:
    await trading(fleet, paced("gone"))
    await stopped(fleet, "gone")
    with pytest.raises(FaultError) as caught:
        await fleet.add_strategy(StrategyChoice(template="ema_cross"), "gone")
    assert caught.value.fault.code == FaultCode.CONFLICT
