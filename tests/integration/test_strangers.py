"""Whoever is on the bus with a session's credential beside its sidecar is named within 15 s, also when he only listens (ADR 36)."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.settings import BusSettings, renewal_name
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.contract import HOST_STRANGER, SESSION_KILL, Actor
from flotilla.schemas.session import ContainerStatus, Launch, Stranger, WhichSession
from flotilla.services.supervisor.strangers import LOOK_S
from flotilla.stack.servers.nats import NatsServer
from tests.fakes.supervised import session
from tests.integration.conftest import ConnectAs
from tests.integration.logins import engine_login
from tests.integration.supervisors import Supervisor, as_engine, heard, launch_of, ready, start

NAMED_S = 15.0
MARK = "3f9c2a7b1d043f9c"


@pytest.fixture
async def launch(orchestrator: Bus, connect_as: ConnectAs, tmp_path: Path) -> Launch:
    """What the supervisor gave a session e7 that runs."""
    await ensure_streams(await connect_as(Actor.OPERATOR))
    spec = session(instance_id="e7")
    await start(orchestrator, spec)
    return await launch_of(tmp_path, spec.session_id)


@pytest.fixture
async def told(orchestrator: Bus) -> list[Stranger]:
    """Strangers of whom the fleet was told."""
    said: list[Stranger] = await heard(orchestrator, HOST_STRANGER)
    return said


@pytest.fixture
async def sidecar(launch: Launch) -> AsyncIterator[Bus]:
    """As the session's sidecar connects."""
    bus = await connect(msgspec.structs.replace(as_engine(launch), mark=MARK))
    yield bus
    await bus.close()


async def named(told: list[Stranger], count: int = 1) -> Stranger:
    async with asyncio.timeout(NAMED_S):
        while len(told) < count:
            await asyncio.sleep(0.05)
    assert len(told) == count
    return told[-1]


async def test_one_who_only_listens_with_the_stolen_credential_is_named_once(
    launch: Launch, sidecar: Bus, told: list[Stranger]
) -> None:
    thief = await connect(as_engine(launch))
    await thief.client.subscribe("engine.e7.command.*")
    seen = await named(told)
    assert (seen.host, seen.instance_id, seen.session_id) == ("h1", "e7", launch.spec.session_id)
    local = thief.client._transport._io_writer.get_extra_info("sockname")
    assert seen.address == f"{local[0]}:{local[1]}"
    await asyncio.sleep(2 * LOOK_S)
    assert len(told) == 1
    await thief.close()


async def test_one_with_the_stolen_credential_for_renewals_is_named(
    launch: Launch, sidecar: Bus, told: list[Stranger]
) -> None:
    """Which the sidecar itself has not used yet."""
    name = renewal_name("e7", launch.spec.session_id)
    await (await connect(BusSettings(url=launch.bus.url, creds=launch.bus.renewal, name=name))).close()
    await named(told)


async def test_one_who_was_there_for_a_moment_is_named(
    launch: Launch, sidecar: Bus, told: list[Stranger]
) -> None:
    await (await connect(as_engine(launch))).close()
    await named(told)


async def test_one_who_came_while_no_supervisor_looked_is_named_by_the_next(
    launch: Launch, sidecar: Bus, told: list[Stranger], supervisor: Supervisor, orchestrator: Bus
) -> None:
    supervisor.end(signal.SIGKILL)
    thief = await connect(as_engine(launch))
    supervisor.start()
    await ready(orchestrator)
    await named(told)
    await thief.close()


async def test_one_with_a_credential_that_no_supervisor_gave_to_the_session_is_named(
    launch: Launch, sidecar: Bus, told: list[Stranger], nats: NatsServer
) -> None:
    """Minted with a stolen signing key."""
    forger = await connect(engine_login(nats, "e7", launch.spec.session_id))
    await named(told)
    await forger.close()


async def test_a_flood_of_names_is_told_of_a_few_times(
    launch: Launch, sidecar: Bus, told: list[Stranger]
) -> None:
    for number in range(40):
        await (await connect(msgspec.structs.replace(as_engine(launch), mark=str(number)))).close()
    await asyncio.sleep(2 * LOOK_S)
    assert len(told) == 16


async def test_a_sidecar_that_comes_back_and_renews_is_no_stranger(
    launch: Launch, told: list[Stranger], nats: NatsServer
) -> None:
    name = renewal_name("e7", launch.spec.session_id)
    renewal = BusSettings(url=launch.bus.url, creds=launch.bus.renewal, name=name, mark=MARK)
    own = msgspec.structs.replace(as_engine(launch), mark=MARK)
    for _ in range(2):
        for settings in (own, renewal):
            await (await connect(settings)).close()
        await asyncio.sleep(LOOK_S)
    bus = await connect(own)
    await asyncio.to_thread(nats.kill)
    await asyncio.to_thread(nats.start)
    async with asyncio.timeout(10):
        while not bus.stats.reconnects:
            await asyncio.sleep(0.05)
    await asyncio.sleep(2 * LOOK_S)
    assert told == []
    thief = await connect(as_engine(launch))
    await named(told)  # it has not only been blind
    await thief.close()
    await bus.close()


async def test_a_start_that_is_asked_for_once_more_after_the_end_makes_no_stranger(
    launch: Launch, sidecar: Bus, told: list[Stranger], orchestrator: Bus
) -> None:
    await asyncio.sleep(LOOK_S)
    session_id = launch.spec.session_id
    await orchestrator.call(SESSION_KILL, WhichSession(session_id=session_id), host="h1")
    async with asyncio.timeout(5):
        while sidecar.is_connected:  # it is revoked, and forgotten
            await asyncio.sleep(0.05)
    facts = await start(orchestrator, launch.spec)
    assert facts.status == ContainerStatus.EXITED
    await asyncio.sleep(3 * LOOK_S)
    assert told == []


async def test_one_who_came_in_the_last_moment_of_a_session_is_named_after_it(
    launch: Launch, sidecar: Bus, told: list[Stranger], orchestrator: Bus
) -> None:
    await asyncio.sleep(LOOK_S)
    thief = await connect(as_engine(launch))
    await orchestrator.call(SESSION_KILL, WhichSession(session_id=launch.spec.session_id), host="h1")
    await named(told)
    await thief.close()
