"""Stored configurations, removal, restarts by themselves and emergency stops, on a real bus and a real PostgreSQL."""

import time
from pathlib import Path

import asyncpg

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.audit import AuditEntry, ReadAudit
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import (
    ConfigureEngine,
    EngineView,
    ListEngines,
    ListSessions,
    RemoveEngine,
    RestartEngine,
    StartEngine,
    StopEngine,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.session import ContainerStatus, EmergencyStop, FleetStopped, LiftStop
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import Severity, StopReport
from flotilla.stack.servers.postgres import PostgresServer
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import (
    Bench,
    ScriptedEngine,
    ScriptedHost,
    refused,
    until,
    write_sources,
)
from tests.unit.orchestrator.makers import config

POLICY = RestartPolicy(max_restarts=2, window_s=3600, backoff_s=0.2, max_backoff_s=1)


async def fail(bench: Bench, engine: ScriptedEngine, reason: FailureReason = FailureReason.CRASH) -> None:
    """The engine fails, says so, and its container ends."""
    await engine.enter(RunState.FAILED, reason=reason, exit_code=1)
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=1)


async def successor(bench: Bench, engine: ScriptedEngine) -> ScriptedEngine:
    """The sidecar of the next session."""

    async def find() -> ScriptedEngine | None:
        found = (each for each in bench.host.engines if each.spec.generation == engine.spec.generation + 1)
        return next(found, None)

    found = await until(find, within_s=20)
    assert found is not None
    return found


async def test_a_stored_configuration_is_used_by_the_next_start_and_restart(bench: Bench) -> None:
    request = ConfigureEngine(config=config(log_level="DEBUG"), request_id="c1")
    stored = await bench.call(contract.ENGINE_CONFIGURE, request)
    assert (stored.state, stored.session_id) == (ClientState.STOPPED, None)
    assert await bench.call(contract.ENGINE_CONFIGURE, request) == stored
    assert bench.host.calls == []
    view = await bench.view()
    assert (view.session, view.config.log_level) == (None, "DEBUG")
    accepted = await bench.call(contract.ENGINE_START, StartEngine(instance_id="e1"))
    engine = await bench.engine(accepted.session_id)
    assert engine.spec.log_level == "DEBUG"
    await engine.enter(RunState.TRADING)
    await bench.state(RunState.TRADING)
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config(log_level="ERROR")))
    assert (await bench.view()).config.log_level == "DEBUG"
    restarting = await bench.call(contract.ENGINE_RESTART, RestartEngine())
    assert restarting.started_at is None
    await engine.enter(RunState.STOPPED)
    assert (await successor(bench, engine)).spec.log_level == "ERROR"
    assert (await bench.view()).config.log_level == "ERROR"


async def test_an_engine_that_was_stored_with_fields_now_refused_is_shown_and_started_as_it_is(
    idle: Bench, connect_as: ConnectAs
) -> None:
    """Of a fleet before today: the fields decided nothing then either."""
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await idle.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config()))
    old = '{"data_catalog_path": "/srv/data", "cache_database_path": "/srv/cache"}'
    connection = await asyncpg.connect(idle.settings.dsn)
    try:
        await connection.execute(
            "update engines set config = (config::jsonb || $1::jsonb)::json, "
            "configured = (configured::jsonb || $1::jsonb)::json",
            old,
        )
    finally:
        await connection.close()
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert (await idle.view()).config.data_catalog_path == "/srv/data"
        accepted = await idle.call(contract.ENGINE_START, StartEngine(instance_id="e1"))
        engine = await idle.engine(accepted.session_id)
        await engine.enter(RunState.TRADING)
        await idle.state(RunState.TRADING)
        await idle.call(contract.ENGINE_RESTART, RestartEngine(instance_id="e1"))
        await engine.enter(RunState.STOPPED)
        again = await successor(idle, engine)
        assert again.spec.config is not None
        assert again.spec.config.cache_database_path == "/srv/cache"


async def test_without_anything_stored_a_start_without_config_is_not_found(bench: Bench) -> None:
    problem = await refused(bench, contract.ENGINE_START, StartEngine(instance_id="e1"))
    assert problem.code == FaultCode.NOT_FOUND
    assert "nothing is stored for engine e1" in problem.message


async def test_a_removed_engine_is_hidden_and_a_start_brings_it_back(bench: Bench) -> None:
    engine = await bench.trading()
    problem = await refused(bench, contract.ENGINE_REMOVE, RemoveEngine(instance_id="e1"))
    assert problem.code == FaultCode.CONFLICT
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    request = RemoveEngine(instance_id="e1", request_id="rm-1")
    removed = await bench.call(contract.ENGINE_REMOVE, request)
    assert await bench.call(contract.ENGINE_REMOVE, request) == removed
    assert (await bench.call(contract.ENGINE_LIST, ListEngines())).total_count == 0
    assert (await bench.call(contract.ENGINE_STATUS, WhichEngine())).engine is None
    for call, question in (
        (contract.ENGINE_STATUS, WhichEngine(instance_id="e1")),
        (contract.ENGINE_STOP, StopEngine(instance_id="e1")),
        (contract.ENGINE_RESTART, RestartEngine(instance_id="e1")),
        (contract.ENGINE_START, StartEngine(instance_id="e1")),
        (contract.ENGINE_REMOVE, RemoveEngine(instance_id="e1")),
    ):
        assert (await refused(bench, call, question)).code == FaultCode.NOT_FOUND
    sessions = await bench.call(contract.ENGINE_SESSIONS, ListSessions(instance_id="e1"))
    assert len(sessions.sessions) == 1
    accepted = await bench.start()
    assert (await bench.engine(accepted.session_id)).spec.generation == 2


async def test_what_a_stop_could_not_confirm_is_told(bench: Bench) -> None:
    engine = await bench.trading()
    await bench.call(contract.ENGINE_STOP, StopEngine())
    report = StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=3, positions_closed=1, cancel_ms=12.5)
    await engine.enter(RunState.STOPPED, not_confirmed=("order O-1 still open",), stop=report)
    view = await bench.state(RunState.STOPPED)
    assert view.session is not None
    assert (view.session.not_confirmed, view.session.stop) == (("order O-1 still open",), report)
    sessions = await bench.call(contract.ENGINE_SESSIONS, ListSessions(instance_id="e1"))
    assert sessions.sessions[0].stop == report


async def test_a_killed_session_says_that_nothing_is_known_of_its_orders(bench: Bench) -> None:
    await bench.trading()
    await bench.call(contract.ENGINE_STOP, StopEngine(force=True))
    view = await bench.state(RunState.STOPPED)
    assert view.session is not None
    assert "no account" in view.session.not_confirmed[0]


async def test_an_engine_that_crashes_is_started_again_within_its_budget(bench: Bench) -> None:
    await bench.hear_alerts()
    engine = await bench.trading(restart=POLICY, log_level="DEBUG")
    for made in (1, 2):
        await fail(bench, engine)
        engine = await successor(bench, engine)
        assert engine.spec.log_level == "DEBUG"
        await engine.enter(RunState.TRADING)
        assert (await bench.state(RunState.TRADING)).restarts == made
    await fail(bench, engine)
    spent = await bench.alert("restart_budget_spent")
    assert (spent.severity, spent.session_id) == (Severity.CRITICAL, engine.spec.session_id)
    view = await bench.state(RunState.FAILED)
    assert (view.restart_at, view.desired) == (None, DesiredState.RUNNING)
    restarted = [each for each in bench.alerts if each.code == "engine_restarted"]
    assert [each.severity for each in restarted] == [Severity.WARNING] * 2
    assert len(bench.host.specs) == 3


async def test_what_a_strategy_did_is_not_tried_again(bench: Bench) -> None:
    engine = await bench.trading(restart=POLICY)
    await fail(bench, engine, FailureReason.STRATEGY)
    view = await bench.state(RunState.FAILED)
    assert view.restart_at is None
    bench.later(60)
    second = await bench.trading("e2")
    assert set(bench.host.specs) == {engine.spec.session_id, second.spec.session_id}


async def test_a_restart_that_is_due_is_made_once_by_whoever_comes_next(
    idle: Bench,
    connect_as: ConnectAs,
) -> None:
    patient = RestartPolicy(max_restarts=1, backoff_s=60, max_backoff_s=60)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading(restart=patient)
        await fail(idle, engine)
        view = await idle.state(RunState.FAILED)
        assert view.restart_at is not None
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert len(idle.host.specs) == 1
        idle.later(61)
        again = await successor(idle, engine)
        await again.enter(RunState.TRADING)
        view = await idle.state(RunState.TRADING)
        assert (view.restarts, view.restart_at) == (1, None)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert (await idle.view()).restarts == 1
        await fail(idle, again)
        assert (await idle.state(RunState.FAILED)).restart_at is None
    assert len(idle.host.specs) == 2


async def test_a_stop_takes_back_a_restart_that_is_due(bench: Bench) -> None:
    patient = RestartPolicy(max_restarts=1, backoff_s=60, max_backoff_s=60)
    engine = await bench.trading(restart=patient)
    await fail(bench, engine)
    await until(bench.view, lambda view: view.restart_at is not None)
    await bench.call(contract.ENGINE_STOP, StopEngine())
    bench.later(120)
    second = await bench.trading("e2")
    assert set(bench.host.specs) == {engine.spec.session_id, second.spec.session_id}


async def is_halted(bench: Bench, instance_id: str) -> EngineView:
    async def ask() -> EngineView:
        return await bench.view(instance_id)

    return await until(
        ask,
        lambda view: view.state == ClientState.STOPPED and view.desired == DesiredState.STOPPED,
        within_s=15,
    )


async def test_an_emergency_stop_of_all_ends_all_and_none_starts_until_it_is_lifted(bench: Bench) -> None:
    await bench.hear_alerts()
    await bench.trading("e1", restart=POLICY)
    await bench.trading("e2", restart=POLICY)
    request = EmergencyStop(reason="fat finger", request_id="now-1")
    stopped = await bench.call(contract.EMERGENCY_STOP, request)
    assert [each.instance_id for each in stopped.receipts] == ["e1", "e2"]
    for instance_id in ("e1", "e2"):
        view = await is_halted(bench, instance_id)
        assert view.stop_flag is not None
        assert view.restart_at is None
    told = await bench.alert("emergency_stop")
    assert (told.severity, "fat finger" in told.message) == (Severity.CRITICAL, True)
    for call, question in (
        (contract.ENGINE_START, StartEngine(instance_id="e1")),
        (contract.ENGINE_START, StartEngine(config=config(instance_id="e3"))),
        (contract.ENGINE_RESTART, RestartEngine(instance_id="e1")),
    ):
        problem = await refused(bench, call, question)
        assert problem.code == FaultCode.CONFLICT
        assert "fat finger" in problem.message
        assert "lift" in problem.message
    again = await until(
        lambda: bench.call(contract.EMERGENCY_STOP, request), lambda answer: answer == stopped
    )
    assert again == stopped
    assert bench.host.asked("emergency_stop") == ["all"]
    assert (await bench.call(contract.LIFT_STOP, LiftStop())).flags == ()
    assert (await bench.start()).state == ClientState.STARTING


async def test_an_emergency_stop_of_one_engine_leaves_the_others(bench: Bench) -> None:
    await bench.trading("e1")
    await bench.trading("e2")
    stopped = await bench.call(contract.EMERGENCY_STOP, EmergencyStop(instance_id="e1"))
    assert [each.instance_id for each in stopped.receipts] == ["e1"]
    await is_halted(bench, "e1")
    assert (await bench.view("e2")).state == ClientState.RUNNING
    assert (await bench.view("e2")).stop_flag is None


async def test_a_stop_that_was_made_straight_at_a_host_is_learned_of(bench: Bench) -> None:
    engine = await bench.trading(restart=POLICY)
    await bench.host.bus.call(contract.HOST_EMERGENCY_STOP, EmergencyStop(), host="h1")
    view = await is_halted(bench, "e1")
    assert view.session is not None
    assert view.session.session_id == engine.spec.session_id
    assert len(bench.host.specs) == 1


async def test_an_emergency_stop_needs_no_record_and_the_record_learns_of_it(
    connect_as: ConnectAs, bus: Bus, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    bench = Bench(bus, host, write_sources(tmp_path, own_postgres.dsn))
    async with host.running(), bench.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await bench.trading()
        own_postgres.kill()
        began = time.monotonic()
        stopped: FleetStopped = await bench.call(contract.EMERGENCY_STOP, EmergencyStop(request_id="now"))
        assert time.monotonic() - began < 15
        assert [each.session_id for each in stopped.receipts] == [engine.spec.session_id]
        assert stopped.unreached == ()
        own_postgres.start()
        await is_halted(bench, "e1")

        async def on_record() -> AuditEntry | None:
            entries = (await bench.call(contract.AUDIT_LIST, ReadAudit(about="all"))).entries
            return next((entry for entry in entries if entry.request_id == "now"), None)

        entry = await until(on_record, lambda found: found is not None)
        assert entry is not None
        assert (entry.subject, entry.code) == ("fleet.engine.emergency_stop", None)
        assert entry.caller.credential == "operator"
        assert entry.message.startswith("0 of 1 sessions flat and gone; NOT CONFIRMED e1: ")


async def test_before_the_record_was_read_an_emergency_stop_works(
    connect_as: ConnectAs, bus: Bus, tmp_path: Path, own_postgres: PostgresServer
) -> None:
    own_postgres.kill()
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    host.put("20200101-000000-abcdefabcdef", "stranger")
    bench = Bench(bus, host, write_sources(tmp_path, own_postgres.dsn))
    async with host.running(), bench.coming_up(await connect_as(Actor.ORCHESTRATOR)):
        stopped: FleetStopped = await bench.call(contract.EMERGENCY_STOP, EmergencyStop())
        assert [each.instance_id for each in stopped.receipts] == ["stranger"]
