"""What the orchestrator depends on goes away, or it dies itself: nothing is lost, nothing happens twice, and it comes back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import (
    ListEngines,
    ListSessions,
    ReadEvents,
    RestartEngine,
    StartEngine,
    StopEngine,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.health import ReadHealth
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import ClientState, RunState
from flotilla.schemas.telemetry import Alert, EventKind, Severity
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.events import apply_states
from flotilla.services.orchestrator.engines.core.placement import HostLoad
from flotilla.services.orchestrator.engines.ports import Change
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.postgres import PostgresServer
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Bench, ScriptedEngine, ScriptedHost, until, write_sources
from tests.unit.orchestrator.makers import config, spec, state_event

ALERT = Alert(severity=Severity.INFO, code="x", message="y")


@asynccontextmanager
async def a_bench(connect_as: ConnectAs, bus: Bus, tmp_path: Path, dsn: str) -> AsyncIterator[Bench]:
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    async with host.running():
        yield Bench(bus, host, write_sources(tmp_path, dsn))


@pytest.fixture
async def idle(connect_as: ConnectAs, bus: Bus, tmp_path: Path, postgres_dsn: str) -> AsyncIterator[Bench]:
    """A bench without an orchestrator."""
    async with a_bench(connect_as, bus, tmp_path, postgres_dsn) as bench:
        yield bench


@pytest.fixture
async def record(idle: Bench) -> AsyncIterator[PostgresRecord]:
    opened = await PostgresRecord.open(idle.settings.dsn)
    await opened.migrate()
    yield opened
    await opened.close()


async def recorded(bench: Bench, session_id: str | None) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The number of the last event on record, and what is missing before it."""
    answer = await bench.call(
        contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", session_id=session_id, limit=1)
    )
    view = await bench.view()
    return view.session.last_seq if view.session else 0, answer.missing


async def flood(engine: ScriptedEngine, count: int) -> None:
    slots = asyncio.Semaphore(64)

    async def one() -> None:
        async with slots:
            await engine.publish(EventKind.ALERT, ALERT)

    await asyncio.gather(*(one() for _ in range(count)))


async def test_what_was_recorded_and_not_done_is_done_by_the_next_orchestrator(
    idle: Bench, record: PostgresRecord, connect_as: ConnectAs
) -> None:
    now = datetime.now(UTC)
    decision = lifecycle.start(
        None, config(), spec(new_session_id(now)), request_id="r", hosts=[HostLoad("h1", 2, 0)], now=now
    )
    await record.save(Change(engine=decision.engine, spec=decision.spec))
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert decision.spec is not None
        await idle.engine(decision.spec.session_id)
        assert idle.host.asked("start") == [decision.spec.session_id]


async def test_a_restart_that_was_cut_short_is_completed(
    idle: Bench, record: PostgresRecord, connect_as: ConnectAs
) -> None:
    now = datetime.now(UTC)
    hosts = [HostLoad("h1", 2, 0)]
    first, second = new_session_id(now), new_session_id(now)
    started = lifecycle.start(None, config(), spec(first), request_id="r", hosts=hosts, now=now)
    await record.save(Change(engine=started.engine, spec=started.spec))
    trading = state_event(1, RunState.TRADING)
    trading = msgspec.structs.replace(trading, session_id=first)
    moved = apply_states(started.engine, [trading], (), now)
    await record.save(Change(engine=moved.engine))
    restarting = lifecycle.restart(moved.engine, spec(second), request_id="r2", hosts=hosts, now=now)
    await record.save(Change(engine=restarting.engine))
    idle.host.put(first)
    engine = ScriptedEngine(idle.host.bus, spec(first))
    await engine.listen()
    engine.seq = 1
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):

        async def commands() -> list[object]:
            return list(engine.commands)

        await until(commands)
        await engine.enter(RunState.STOPPED)
        successor = await idle.engine(second)
        assert successor.spec.generation == 2


async def test_an_engine_that_ended_while_nobody_looked_is_found_out(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading()
    await idle.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=9)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        view = await idle.state(RunState.FAILED)
        assert view.session is not None
        assert view.session.exit_code == 9


async def test_a_running_container_of_an_ended_session_is_stopped_and_removed(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading()
        await engine.enter(RunState.STOPPED)
        await idle.state(RunState.STOPPED)
        newer = await idle.trading()
        idle.clock.ahead = idle.clock.ahead.__class__(seconds=11)

        async def removed() -> bool:
            return engine.spec.session_id in idle.host.asked("remove")

        await until(removed)
        assert idle.host.asked("stop") == [engine.spec.session_id]
        assert newer.spec.session_id in idle.host.containers


async def test_events_of_the_time_when_nobody_listened_are_on_record_later(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading()
    await flood(engine, 500)
    await engine.enter(RunState.STOPPED)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await idle.state(RunState.STOPPED)
        await until(lambda: recorded(idle, None), lambda found: found == (505, ()))


async def test_while_the_record_is_away_reads_of_live_state_work_and_changes_change_nothing(
    connect_as: ConnectAs, bus: Bus, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    async with (
        a_bench(connect_as, bus, tmp_path, own_postgres.dsn) as bench,
        bench.orchestrating(await connect_as(Actor.ORCHESTRATOR)) as orchestrator,
    ):
        engine = await bench.trading()
        own_postgres.kill()
        await until(lambda: _async(orchestrator.checks()["record"]), lambda state: state != "ok")
        for call, request in (
            (contract.ENGINE_START, StartEngine(config=config(instance_id="e2"))),
            (contract.ENGINE_STOP, StopEngine()),
            (contract.ENGINE_STOP, StopEngine(request_id="s")),
            (contract.ENGINE_RESTART, RestartEngine()),
            (contract.ENGINE_SESSIONS, ListSessions(instance_id="e1")),
            (contract.ENGINE_EVENTS, ReadEvents(instance_id="e1")),
        ):
            with pytest.raises(FaultError) as raised:
                await bench.call(call, request)
            assert raised.value.fault.code == FaultCode.UNAVAILABLE
            assert raised.value.fault.retry_after_s is not None
        assert (await bench.view()).state == ClientState.RUNNING
        assert (await bench.call(contract.ENGINE_LIST, ListEngines())).total_count == 1
        await flood(engine, 300)
        assert engine.commands == []
        own_postgres.start()
        await until(
            lambda: recorded(bench, engine.spec.session_id), lambda found: found == (304, ()), within_s=20
        )
        assert len(bench.host.specs) == 1
        accepted = await bench.call(contract.ENGINE_STOP, StopEngine(request_id="s"))
        assert accepted.state == ClientState.STOPPING


async def _async[T](value: T) -> T:
    return value


async def test_an_orchestrator_waits_for_its_record(
    connect_as: ConnectAs, bus: Bus, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    own_postgres.kill()
    async with a_bench(connect_as, bus, tmp_path, own_postgres.dsn) as bench:
        orchestrator_bus = await connect_as(Actor.ORCHESTRATOR)
        starting = asyncio.get_running_loop().create_task(_serve_until_ready(bench, orchestrator_bus))
        with pytest.raises(FaultError, match="not been read yet") as raised:
            await bench.call(contract.ENGINE_STATUS, WhichEngine())
        assert raised.value.fault.code == FaultCode.UNAVAILABLE
        own_postgres.start()
        await asyncio.wait_for(starting, 15)


async def _serve_until_ready(bench: Bench, orchestrator_bus: Bus) -> None:
    async with bench.orchestrating(orchestrator_bus):
        await bench.call(contract.ENGINE_STATUS, WhichEngine())


async def test_the_bus_goes_away_and_comes_back_without_anything_being_unknown_or_missing(
    idle: Bench, connect_as: ConnectAs, nats: NatsServer
) -> None:
    orchestrator_bus = await connect_as(Actor.ORCHESTRATOR)
    async with idle.orchestrating(orchestrator_bus):
        engine = await idle.trading()
        nats.kill()
        await until(lambda: _async(orchestrator_bus.is_connected), lambda connected: not connected)
        idle.clock.ahead = idle.clock.ahead.__class__(seconds=60)
        nats.start()
        await until(lambda: _async(idle.host.bus.is_connected))
        await engine.enter(RunState.STOPPING)
        seen: set[RunState] = set()

        async def look() -> RunState:
            view = await idle.view()
            assert view.session is not None
            seen.add(view.session.state)
            return view.session.state

        await until(look, lambda state: state == RunState.STOPPING)
        assert seen <= {RunState.TRADING, RunState.STOPPING}
        await until(lambda: recorded(idle, None), lambda found: found == (5, ()))


class OrchestratorProcess:
    """`python -m flotilla.services.orchestrator` as a stack starts it."""

    def __init__(self, bench: Bench, nats: NatsServer, folder: Path) -> None:
        creds = folder / "orchestrator.creds"
        creds.write_text(nats.keys.actor_credentials(Actor.ORCHESTRATOR))
        self._log = folder / "orchestrator.log"
        self._env = {
            **os.environ,
            "FLOTILLA_NATS_URL": nats.url,
            "FLOTILLA_NATS_CREDS": str(creds),
            "FLOTILLA_POSTGRES_DSN": bench.settings.dsn,
            "FLOTILLA_CATALOG": str(bench.settings.catalog),
            "FLOTILLA_TEMPLATES": str(bench.settings.templates[0]),
        }

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flotilla.services.orchestrator"], env=self._env, stderr=log
            )

    @property
    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def process(idle: Bench, nats: NatsServer, tmp_path: Path) -> OrchestratorProcess:
    return OrchestratorProcess(idle, nats, tmp_path)


async def test_killed_while_an_engine_trades_it_comes_back_with_the_right_state_and_every_event(
    idle: Bench, process: OrchestratorProcess
) -> None:
    running = process.start()
    try:
        await until(lambda: _is_ready(idle), within_s=20)
        engine = await idle.trading()
        for _ in range(3):
            flooding = asyncio.get_running_loop().create_task(flood(engine, 400))
            await asyncio.sleep(0.1)
            running.kill()
            running.wait()
            await flooding
            running = process.start()
        await until(lambda: _found(idle), lambda found: found == (1204, ()), within_s=10)
        assert (await idle.view()).state == ClientState.RUNNING
        assert idle.host.calls == [("start", engine.spec.session_id)]
    finally:
        running.terminate()
        assert running.wait(15) == 0, process.log


async def _found(bench: Bench) -> tuple[int, tuple[tuple[int, int], ...]]:
    try:
        return await recorded(bench, None)
    except FaultError:
        return 0, ()


async def _is_ready(bench: Bench) -> bool:
    try:
        health = await bench.operator.call(contract.HEALTH[Actor.ORCHESTRATOR], ReadHealth())
    except FaultError:
        return False
    return health.is_ready


async def test_it_is_small_and_ends_on_sigterm(idle: Bench, process: OrchestratorProcess) -> None:
    running = process.start()
    try:
        await until(lambda: _is_ready(idle), within_s=20)
        await idle.trading()
        status = Path(f"/proc/{running.pid}/status").read_text()
        resident_kb = int(status.split("VmRSS:")[1].split()[0])
        assert resident_kb < 64 * 1024
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0, process.log
    assert '"level":"error"' not in process.log
