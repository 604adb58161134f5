"""What the tests ask of engines through the typed client."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

from flotilla.client.client import ENDED, Flotilla
from flotilla.client.watch import Watch
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import FleetAlert, Heartbeat

NAMED_S = 15.0
"""Within so long whoever speaks in an engine's name is named."""
PACED = 86_400 * 20
"""Twenty days a second: the sample data lasts four minutes."""


def paced(instance_id: str, instrument: str = "SPX.SIM", speed: float = PACED) -> EngineConfig:
    """An engine that trades often: two short averages on daily bars."""
    parameters = {
        "instrument_id": instrument,
        "bar_type": f"{instrument}-1-DAY-LAST-EXTERNAL",
        "fast_ema_period": 1,
        "slow_ema_period": 3,
    }
    return EngineConfig(
        instance_id=instance_id,
        engine_type="sandbox",
        template="sandbox_engine",
        parameters={"speed": speed},
        strategies=(StrategyChoice(template="ema_cross", parameters=parameters),),
    )


def resting(instance_id: str) -> EngineConfig:
    """An engine whose orders rest at the venue, buying below the market and selling above it."""
    return EngineConfig(
        instance_id=instance_id,
        engine_type="sandbox",
        parameters={"speed": PACED},
        strategies=(StrategyChoice(template="grid"),),
    )


async def eventually[T](
    look: Callable[[], Awaitable[T | None]], timeout_s: float = 15.0, what: str = "it"
) -> T:
    """The first answer of `look` that is something; fails when none came in time."""
    deadline = time.monotonic() + timeout_s
    while not (found := await look()):
        assert time.monotonic() < deadline, f"{what} did not come to be within {timeout_s:g} s"
        await asyncio.sleep(0.05)
    return found


async def trading(fleet: Flotilla, config: EngineConfig) -> EngineView:
    """Starts an engine and returns it once it has traded."""
    accepted = await fleet.start_engine(config)
    name = config.instance_id
    await fleet.wait_for(name, (RunState.TRADING,), session_id=accepted.session_id, timeout_s=60)
    return await traded_more(fleet, name, 0)


async def traded_more(fleet: Flotilla, name: str, fills: int, timeout_s: float = 15.0) -> EngineView:
    """The engine once it has more than `fills` fills."""

    async def look() -> EngineView | None:
        view = await fleet.engine(name)
        return view if view.metrics and view.metrics.fills_total > fills else None

    return await eventually(look, timeout_s, f"a fill of {name} after the first {fills}")


async def stopped(fleet: Flotilla, name: str) -> EngineView:
    """Stops an engine and returns it once it has stopped."""
    accepted = await fleet.stop_engine(name)
    view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    assert view.session.state == RunState.STOPPED
    return view


async def engine_pids(fleet: Flotilla, names: Collection[str]) -> dict[str, int]:
    """The processes of engines, as their sidecars see them."""
    found: dict[str, int] = {}
    async with fleet.watch(kinds=("heartbeat",)) as updates:
        while found.keys() < set(names):
            beat = await next_heartbeat(updates)
            if beat.instance_id in names and beat.engine_pid is not None:
                found[beat.instance_id] = beat.engine_pid
    return found


async def next_heartbeat(updates: Watch, timeout_s: float = 5.0) -> Heartbeat:
    """The next one that arrives."""
    update = await updates.next(timeout_s)
    assert update is not None, "no heartbeat"
    assert isinstance(update.payload, Heartbeat)
    return update.payload


async def follow_alerts(fleet: Flotilla, told: list[FleetAlert]) -> None:
    """Appends to `told` what the fleet's alerts say, until cancelled."""
    async with fleet.watch(kinds=("fleet_alert",)) as updates:
        while True:
            if (update := await updates.next(60.0)) and isinstance(update.payload, FleetAlert):
                told.append(update.payload)


async def record_is_complete(fleet: Flotilla, name: str, session_id: str, last: int) -> None:
    """Waits until PostgreSQL has every event of a session from 1 to `last`, in one unbroken sequence."""

    async def numbers() -> list[int]:
        return [event.seq async for event in fleet.all_events(name, session_id=session_id)]

    deadline = time.monotonic() + 15
    while (found := await numbers()) != list(range(1, last + 1)):
        missing = sorted(set(range(1, last + 1)) - set(found))
        assert time.monotonic() < deadline, f"of {last} events these are missing: {missing[:20]}"
        await asyncio.sleep(0.1)
    page = await fleet.events(name, session_id=session_id, limit=1)
    assert page.missing == ()


@asynccontextmanager
async def alerts_of(fleet: Flotilla) -> AsyncIterator[list[FleetAlert]]:
    """A list that grows with the fleet's alerts."""
    told: list[FleetAlert] = []
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow_alerts(fleet, told))
        await asyncio.sleep(0.5)  # until it is subscribed
        yield told
        following.cancel()


async def named(told: list[FleetAlert], name: str) -> FleetAlert:
    """The alert that somebody else speaks for this engine, which must come within 15 s."""

    async def look() -> FleetAlert | None:
        return next((one for one in told if (one.code, one.instance_id) == ("forged_claim", name)), None)

    return await eventually(look, NAMED_S, "the alert")
