"""Real engines whose credential was stolen: what the thief says stays off the record or is marked, and is told within 15 s (ADR 31)."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.states import RunState, SilencePolicy, StopPolicy
from flotilla.schemas.telemetry import EngineEvent, EventKind, StateChange, StopReport
from tests.e2e.engines import alerts_of, eventually, named, paced, trading
from tests.e2e.stacks import RunningStack

FLAT = StateChange(
    state=RunState.STOPPED,
    detail="forged",
    exit_code=0,
    stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True),
)


@pytest.fixture(scope="module")
def runtime() -> str:
    """What is said on the bus is judged there."""
    return "process"


@asynccontextmanager
async def thief_of(stack: RunningStack, view: EngineView) -> AsyncIterator[Bus]:
    """Whoever has what the supervisor gave this session, as if strategy code in it could read it."""
    assert view.session is not None
    name, session_id = view.instance_id, view.session.session_id
    creds = FleetKeys(stack.folder.keys).mint().mint(name, session_id).creds
    settings = BusSettings(url=stack.connection.nats_url, name=engine_name(name, session_id), creds=creds)
    bus = await connect(settings)
    yield bus
    await bus.close()


async def last_fill(fleet: Flotilla, name: str) -> EngineEvent[dict[str, object]]:
    events = [event async for event in fleet.all_events(name, kind=EventKind.FILL)]
    return msgspec.json.decode(msgspec.json.encode(events[-1]), type=EngineEvent[dict[str, object]])


async def test_forged_events_stay_off_the_record_and_the_engine_is_ended_by_its_policy(
    stack: RunningStack, fleet: Flotilla
) -> None:
    policy = RestartPolicy(on_silence=SilencePolicy.STOP)
    view = await trading(fleet, msgspec.structs.replace(paced("robbed"), restart=policy))
    assert view.session is not None
    true = await last_fill(fleet, "robbed")
    async with alerts_of(fleet) as told, thief_of(stack, view) as thief:
        js = thief.client.jetstream()
        for number, more in enumerate(
            ({"trade_id": "T-forged", "last_qty": "1000000"}, {"trade_id": "=cmd|calc!A1"})
        ):
            forged = msgspec.structs.replace(true, seq=2**53 + number, data=true.data | more)
            await js.publish("engine.robbed.fill", msgspec.json.encode(forged))
        end = msgspec.structs.replace(true, seq=2**53 + 5, kind=EventKind.STATE, data=FLAT)
        await js.publish("engine.robbed.state", msgspec.json.encode(end))
        assert "what follows: stop" in (await named(told, "robbed")).message
        ended = await fleet.wait_for("robbed", ENDED, session_id=view.session.session_id, timeout_s=45)
    assert ended.session is not None
    assert (ended.session.state, ended.session.exit_code) == (RunState.STOPPED, 0)
    assert ended.session.not_confirmed == ()
    events = [event async for event in fleet.all_events("robbed")]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert b"T-forged" not in msgspec.json.encode(events)
    attempts = [*["engine.robbed.fill"] * 2, "engine.robbed.state"]
    # Whether its connection is told as well depends on which comes first: a look at the server
    # (every 3 s, tests/e2e/test_stolen_credential.py), or the end of the engine that it robbed.
    connection = "engine.robbed.connection"

    async def are_on_record() -> bool:
        found = await fleet.audit("robbed")
        refused = sorted(each.subject for each in found.entries if each.code == FaultCode.FORBIDDEN)
        return refused in (attempts, [connection, *attempts])

    await eventually(are_on_record, what="the attempts on record")


@pytest.mark.parametrize(("speed", "ahead"), [(86_400 * 20, 100_000), (60, 1)])
async def test_an_end_that_somebody_else_tells_is_not_confirmed_and_the_engine_ends(
    stack: RunningStack, fleet: Flotilla, speed: float, ahead: int
) -> None:
    """A number that its sidecar gives later: of an engine that trades often, and of one that is quiet."""
    name = f"ended-{speed}"
    if speed > 60:
        view = await trading(fleet, paced(name))
    else:
        accepted = await fleet.start_engine(paced(name, speed=speed))
        view = await fleet.wait_for(name, (RunState.TRADING,), session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    session_id = view.session.session_id
    async with alerts_of(fleet) as told, thief_of(stack, view) as thief:
        last = [event async for event in fleet.all_events(name)][-1]
        forged = EngineEvent(
            instance_id=name,
            session_id=session_id,
            generation=last.generation,
            seq=last.seq + ahead,
            at_ns=time.time_ns(),
            kind=EventKind.STATE,
            data=FLAT,
        )
        await thief.client.jetstream().publish(f"engine.{name}.state", msgspec.json.encode(forged))
        await named(told, name)

    async def is_marked() -> bool:
        (session,) = [each for each in (await fleet.sessions(name)).sessions if each.session_id == session_id]
        return session.stop is None and any("somebody else" in doubt for doubt in session.not_confirmed)

    async def is_gone() -> bool:
        return all(each.session_id != session_id for each in (await fleet.containers()).containers)

    await eventually(is_marked, what="the doubt")
    await eventually(is_gone, 45, "the end of its container")
