"""Brakes on a whole stack, by command line, REST and typed client: nothing leaves a halted engine, also after a crash."""

import asyncio

import aiohttp
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.brakes import AfterFlatten
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import Brake, RunState
from tests.e2e.engines import engine_pids, eventually, paced, resting, stopped, traded_more, trading
from tests.e2e.rest import ENGINES, Rest
from tests.e2e.stacks import RunningStack
from tests.e2e.test_kill_each_service import kill_engine
from tests.unit.orchestrator.makers import replace

NAME = "braked"
POLICY = RestartPolicy(max_restarts=3, backoff_s=0.2, max_backoff_s=1)


@pytest.fixture(scope="module")
def runtime() -> str:
    """A brake is held by the record and obeyed by the sidecar, which is the same in both."""
    return "process"


async def fills(fleet: Flotilla) -> int:
    view = await fleet.engine(NAME)
    return view.metrics.fills_total if view.metrics else 0


async def orders_denied(fleet: Flotilla, session_id: str, more: int) -> None:
    """Waits until strategies wanted to trade so many times more, and were not let."""

    async def count() -> int:
        events = [each async for each in fleet.all_events(NAME, session_id=session_id, kind="order")]
        return sum(each.data["event"] == "OrderDenied" for each in events)

    before = await count()

    async def look() -> bool:
        return await count() >= before + more

    await eventually(look, 30, "orders that were denied")


async def obeyed(fleet: Flotilla, brake: Brake) -> EngineView:
    async def look() -> EngineView | None:
        view = await fleet.engine(NAME)
        is_so = view.brake.brake == brake and view.is_brake_taken is True
        return view if is_so and view.metrics is not None else None

    return await eventually(look, 60, f"an engine that is {brake}")


async def test_a_halted_engine_sends_nothing_until_it_is_resumed_not_even_after_a_crash(
    stack: RunningStack, fleet: Flotilla
) -> None:
    started = await trading(fleet, replace(paced(NAME), restart=POLICY))
    assert started.session is not None
    told = await asyncio.to_thread(stack.cli, "engine", "halt", NAME)
    assert (told.returncode, "is halted by" in told.stdout) == (0, True), told
    view = await obeyed(fleet, Brake.HALTED)
    await fleet.wait_for(NAME, (RunState.IMPAIRED,))
    listed = await asyncio.to_thread(stack.cli, "engine", "ls")
    assert "impaired (halted)" in listed.stdout
    assert f"{NAME}: halted by" in listed.stdout
    before = await fills(fleet)
    await orders_denied(fleet, started.session.session_id, 3)
    assert await fills(fleet) == before

    kill_engine(stack, started.session.container_name, (await engine_pids(fleet, {NAME}))[NAME])
    again = await eventually(lambda: _next_session(fleet, started), 60, "a session after the crash")
    assert again.session is not None
    braked = await obeyed(fleet, Brake.HALTED)
    assert (braked.brake, braked.restarts) == (view.brake, 1)
    await orders_denied(fleet, again.session.session_id, 3)
    assert await fills(fleet) == 0

    resumed = await fleet.resume_engine(NAME)
    assert resumed.is_taken is True
    await fleet.wait_for(NAME, (RunState.TRADING,))
    await traded_more(fleet, NAME, 0)
    await stopped(fleet, NAME)


async def _next_session(fleet: Flotilla, started: EngineView) -> EngineView | None:
    view = await fleet.engine(NAME)
    is_next = view.session is not None and started.session is not None
    return view if is_next and view.session.session_id > started.session.session_id else None  # type: ignore[union-attr]


async def test_a_flatten_over_rest_closes_counts_and_halts_and_a_start_says_so(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, resting(NAME))
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        done = await rest.done("POST", f"{ENGINES}/{NAME}/flatten")
        data = done["data"]
        assert (data["is_taken"], data["not_confirmed"]) == (True, [])
        assert data["orders_cancelled"] + data["positions_closed"] > 0
        assert data["brake"]["brake"] == "halted"
        view = (await rest.done("GET", f"{ENGINES}/{NAME}"))["engine"]
        assert (view["brake"]["brake"], view["state"]) == ("halted", "error")

        async def is_flat() -> bool:
            metrics = (await fleet.engine(NAME)).metrics
            return metrics is not None and metrics.orders_open == metrics.positions_open == 0

        await eventually(is_flat, 15, "a flat engine")
        await stopped(fleet, NAME)
        status, refused = await rest.call("POST", f"{ENGINES}/{NAME}/halt")
        assert (status, "is stopped" in refused["message"]) == (409, True)
    begun = await asyncio.to_thread(stack.cli, "engine", "start", NAME, "--stored")
    assert (begun.returncode, "until it is resumed" in begun.stdout) == (0, True), begun
    assert await fills(fleet) == 0
    freed = await asyncio.to_thread(stack.cli, "engine", "resume", NAME)
    assert freed.returncode == 0, freed
    await traded_more(fleet, NAME, 0, timeout_s=60)
    kept = await fleet.flatten_engine(NAME, then=AfterFlatten.CONTINUE)
    assert kept.is_taken is True
    assert not (await fleet.engine(NAME)).brake.is_on
    cancelled = await asyncio.to_thread(stack.json, "engine", "cancel-orders", NAME)
    assert cancelled["is_taken"] is True
    await stopped(fleet, NAME)


async def test_the_command_line_says_what_cannot_be_braked(stack: RunningStack, fleet: Flotilla) -> None:
    def drive() -> None:
        for command, code in (
            (("engine", "halt", "nobody"), 4),
            (("engine", "resume", "nobody"), 4),
            (("engine", "flatten", "nobody"), 4),
            (("engine", "halt", "no name"), 3),
            (("engine", "flatten", "nobody", "--then", "resume"), 2),
        ):
            refused = stack.cli(*command)
            assert refused.returncode == code, (command, refused.stderr)

    await asyncio.to_thread(drive)
