"""The control plane is away, bus and orchestrator both: what engines do by themselves, and what is said of it once it is back."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.dead_man import DeadManChoice
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import Brake, DeadManPolicy, RunState
from tests.e2e.engines import eventually, paced, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack

OUTAGE_S = 14.0
WAITS_S = 10.0


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


async def alerts(fleet: Flotilla, name: str, *codes: str) -> list[str]:
    """The codes of its alerts, once these are among them."""

    async def look() -> list[str] | None:
        events = [each async for each in fleet.all_events(name, kind="alert")]
        found = [each.data["code"] for each in events]
        return found if set(codes) <= set(found) else None

    return await eventually(look, 30, f"{' and '.join(codes)} of {name}")


async def test_one_engine_reduces_until_it_is_heard_and_one_flattens_itself_until_it_is_resumed(
    stack: RunningStack, fleet: Flotilla
) -> None:
    options = ("--template", "sandbox_engine", "--dead-man-after", str(WAITS_S))
    refused = await asyncio.to_thread(stack.cli, "engine", "start", "wrong", *options)
    assert (refused.returncode, "config.dead_man.after_s" in refused.stderr) == (3, True), refused
    for name, policy in (("reduces", DeadManPolicy.REDUCE), ("flattens", DeadManPolicy.FLATTEN)):
        chosen = DeadManChoice(policy=policy, after_s=WAITS_S)
        await trading(fleet, msgspec.structs.replace(paced(name), dead_man=chosen))
    told = await asyncio.to_thread(stack.cli, "engine", "inspect", "flattens")
    assert "flatten once no orchestrator is heard for 10" in told.stdout, told.stdout

    with stack.without("orchestrator", "nats-server"):
        await asyncio.sleep(OUTAGE_S)  # the outage itself is what is tested

    async def at(name: str, state: RunState) -> EngineView | None:
        try:
            view = await fleet.engine(name)
        except FaultError:
            return None
        is_so = view.session is not None and view.session.state == state and (view.heartbeat_age_s or 99) < 3
        return view if is_so and view.metrics is not None else None

    async def is_free() -> EngineView | None:
        view = await at("reduces", RunState.TRADING)
        return view if view and not view.problems else None

    free = await eventually(is_free, 60, "an engine that trades again")
    assert not free.brake.is_on
    assert free.metrics is not None
    await traded_more(fleet, "reduces", free.metrics.fills_total)

    async def is_out() -> EngineView | None:
        view = await at("flattens", RunState.IMPAIRED)
        return view if view and view.problems == ("halted by dead man",) else None

    halted = await eventually(is_out, 60, "an engine that is halted")
    assert (halted.brake.brake, halted.brake.by) == (Brake.HALTED, "dead man")
    assert halted.metrics is not None
    assert (halted.metrics.orders_open, halted.metrics.positions_open) == (0, 0)
    for name in ("reduces", "flattens"):
        codes = await alerts(fleet, name, "control_plane_lost", "control_plane_back")
        assert codes.index("control_plane_lost") < codes.index("control_plane_back")
    await alerts(fleet, "flattens", "flatten_confirmed")
    told = await asyncio.to_thread(stack.cli, "engine", "inspect", "flattens")
    assert "halted by dead man since" in told.stdout

    resumed = await asyncio.to_thread(stack.cli, "engine", "resume", "flattens")
    assert resumed.returncode == 0, resumed
    await traded_more(fleet, "flattens", halted.metrics.fills_total)
    for name in ("reduces", "flattens"):
        await stopped(fleet, name)
