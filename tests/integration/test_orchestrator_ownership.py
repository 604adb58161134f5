"""Orphans, cleanups, leases on accounts and strategies of running engines, on a real bus and a real PostgreSQL."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from flotilla.schemas import contract
from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineAccepted, EngineView, RestartEngine, StartEngine, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, invalid
from flotilla.schemas.ids import new_session_id
from flotilla.schemas.session import AccountLease, Cleanup, ContainerStatus, SessionSpec, VenueAccount
from flotilla.schemas.states import (
    ClientState,
    FailureReason,
    OrphanPolicy,
    RunState,
    StopPolicy,
    TradingMode,
)
from flotilla.schemas.strategy import AddStrategy, AddToEngine, ListStrategies, WhichStrategy
from flotilla.schemas.telemetry import Severity
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Bench, ScriptedEngine, refused, until
from tests.unit.orchestrator.makers import config, replace, spec


def with_settings(bench: Bench, **changed: object) -> None:
    bench.settings = replace(bench.settings, **changed)


async def orphan(
    bench: Bench, instance_id: str = "lost", mode: TradingMode = TradingMode.PAPER, **more: object
) -> ScriptedEngine:
    """A container of ours with a sidecar in it, on no record."""
    told = msgspec.structs.replace(
        spec(new_session_id(bench.clock())),
        instance_id=instance_id,
        generation=7,
        trading_mode=mode,
        config=config(instance_id=instance_id),
        **more,
    )
    engine = ScriptedEngine(bench.host.bus, told)
    await engine.listen()
    engine.state = RunState.TRADING
    bench.host.engines.append(engine)
    bench.host.put(told.session_id, instance_id, 7, mode)
    return engine


async def test_an_orphan_on_paper_is_stopped_by_its_sidecar_and_removed_after_its_grace(bench: Bench) -> None:
    await bench.hear_alerts()
    engine = await orphan(bench)
    await until(lambda: _async(bench.made.metrics()["orphans_in_sight"]))
    assert engine.commands == []
    bench.later(61)
    told = await bench.alert("orphan_stopped")
    assert (told.severity, told.container) == (Severity.WARNING, engine.spec.container_name)

    async def commands() -> list[object]:
        return list(engine.commands)

    (command,) = await until(commands)
    assert (command.session_id, command.policy) == (engine.spec.session_id, None)  # type: ignore[attr-defined]
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=0)
    await until(lambda: removed(bench, engine.spec.session_id))
    assert len(engine.commands) == 1
    assert bench.host.asked("kill") == []
    assert [each.code for each in bench.alerts] == ["orphan_stopped"]


async def removed(bench: Bench, session_id: str) -> bool:
    return session_id in bench.host.asked("remove") and session_id not in bench.host.containers


@pytest.mark.parametrize("policy", [OrphanPolicy.STOP, OrphanPolicy.REPORT])
async def test_an_orphan_that_trades_live_is_reported_and_left_alone(
    idle: Bench, connect_as: ConnectAs, policy: OrphanPolicy
) -> None:
    with_settings(idle, orphan_policy=policy, orphan_grace_s=0.0)
    await idle.hear_alerts()
    engine = await orphan(idle, mode=TradingMode.LIVE)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        told = await idle.alert("orphan_container")
        assert (told.severity, told.instance_id) == (Severity.CRITICAL, "lost")
        forced = await idle.call(contract.CONTAINER_CLEANUP, Cleanup(force=True))
        assert [each.name for each in forced.errors] == [engine.spec.container_name]
        idle.later(600)
        await idle.trading("other")  # so much has happened since
    assert engine.commands == []
    assert [each for each in idle.host.calls if each[1] == engine.spec.session_id] == []


async def test_an_orphan_is_adopted_where_that_is_the_policy(idle: Bench, connect_as: ConnectAs) -> None:
    with_settings(idle, orphan_policy=OrphanPolicy.ADOPT, orphan_grace_s=0.0)
    await idle.hear_alerts()
    accounts = (VenueAccount(venue="BROKER", account="U1"),)
    lease = AccountLease(token=5, ttl_s=40.0, accounts=accounts)
    engine = await orphan(idle, mode=TradingMode.LIVE, lease=lease)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await idle.alert("orphan_adopted")
        view = await idle.state(RunState.TRADING, "lost")
        assert view.session is not None
        assert (view.session.session_id, view.session.generation) == (engine.spec.session_id, 7)
        assert view.config == engine.spec.config
        renewals = await until(lambda: _async(engine.renewals))
        assert renewals[0].token >= 5
        await idle.call(contract.ENGINE_STOP, StopEngine())
        await engine.enter(RunState.STOPPED)
        await idle.state(RunState.STOPPED, "lost")
    assert idle.host.calls == []


async def test_an_orphan_that_cannot_be_adopted_is_stopped(idle: Bench, connect_as: ConnectAs) -> None:
    with_settings(idle, orphan_policy=OrphanPolicy.ADOPT, orphan_grace_s=0.0)
    await idle.hear_alerts()
    engine = await orphan(idle)
    engine.does_describe = False
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        told = await idle.alert("orphan_stopped")
        assert "could not be adopted" in told.message
        await until(lambda: _async(engine.commands))


async def _async[T](value: T) -> T:
    return value


async def test_a_cleanup_removes_what_has_ended_and_leaves_active_engines(bench: Bench) -> None:
    active = await bench.trading("e1")
    bench.host.put("20200101-000000-abcdefabcdef", "old")
    left = bench.host.containers["20200101-000000-abcdefabcdef"]
    bench.host.containers[left.session_id] = replace(left, status=ContainerStatus.EXITED)
    dry = await bench.call(contract.CONTAINER_CLEANUP, Cleanup(dry_run=True))
    assert ([each.session_id for each in dry.cleaned], dry.is_dry_run) == ([left.session_id], True)
    assert left.session_id in bench.host.containers
    request = Cleanup(request_id="clean-1")
    report = await bench.call(contract.CONTAINER_CLEANUP, request)
    assert ([each.session_id for each in report.cleaned], report.errors) == ([left.session_id], ())
    assert set(bench.host.containers) == {active.spec.session_id}
    assert await bench.call(contract.CONTAINER_CLEANUP, request) == report
    again = await bench.call(contract.CONTAINER_CLEANUP, Cleanup())
    assert (again.cleaned, again.errors) == ((), ())


async def test_a_forced_cleanup_stops_engines_by_policy_and_refuses_live_ones(bench: Bench) -> None:
    paper = await bench.trading("e1")
    live = await bench.trading("e2")
    facts = bench.host.containers[live.spec.session_id]
    bench.host.containers[live.spec.session_id] = replace(facts, trading_mode=TradingMode.LIVE)

    async def obey() -> bool:
        if not paper.commands:
            return False
        await paper.enter(RunState.STOPPED)
        await bench.host.report(paper.spec.session_id, ContainerStatus.EXITED, exit_code=0)
        return True

    async with asyncio.TaskGroup() as group:
        obeying = group.create_task(until(obey), name="obey")
        report = await bench.call(contract.CONTAINER_CLEANUP, Cleanup(force=True))
        await obeying
    assert [each.session_id for each in report.cleaned] == [paper.spec.session_id]
    assert [(each.name, "stop it by name" in each.message) for each in report.errors] == [
        (live.spec.container_name, True)
    ]
    assert live.commands == []
    view = await bench.state(RunState.STOPPED, "e1")
    assert view.desired == "stopped"


async def test_what_could_not_be_removed_is_an_error(bench: Bench) -> None:
    bench.host.put("20200101-000000-abcdefabcdef", "old")
    facts = bench.host.containers["20200101-000000-abcdefabcdef"]
    bench.host.containers[facts.session_id] = replace(facts, status=ContainerStatus.EXITED)
    bench.host.remove_refusal = invalid(FieldError("session_id", "Docker says no"))
    report = await bench.call(contract.CONTAINER_CLEANUP, Cleanup())
    assert report.cleaned == ()
    assert [(each.name, each.message) for each in report.errors] == [
        (facts.name, "session_id: Docker says no")
    ]


def broker(instance_id: str, account: str = "U1") -> EngineConfig:
    """An engine with real execution at a paper account."""
    venue = VenueChoice(name="BROKER", adapter="broker", account=account)
    return EngineConfig(
        instance_id=instance_id,
        engine_type="live",
        trading_mode="paper",
        template="live_engine",
        venues=(venue,),
    )


async def at_broker(bench: Bench, instance_id: str = "e1", account: str = "U1") -> ScriptedEngine:
    request = StartEngine(config=broker(instance_id, account))
    engine = await bench.engine((await bench.call(contract.ENGINE_START, request)).session_id)
    await engine.enter(RunState.TRADING)

    async def ask() -> EngineView:
        return await bench.view(instance_id)

    await until(ask, lambda view: view.state == ClientState.RUNNING)
    return engine


def token(of: SessionSpec) -> int:
    assert of.lease is not None
    return of.lease.token


async def test_one_engine_at_a_time_trades_an_account(bench: Bench) -> None:
    first = await at_broker(bench, "e1")
    problem = await refused(bench, contract.ENGINE_START, StartEngine(config=broker("e2")))
    assert problem.code == FaultCode.CONFLICT
    assert "engine e1" in problem.message
    assert first.spec.session_id in problem.message
    await at_broker(bench, "e3", "U2")
    await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
    await first.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED, "e1")
    second = await at_broker(bench, "e2")
    assert token(second.spec) > token(first.spec)
    problem = await refused(bench, contract.ENGINE_START, StartEngine(instance_id="e1"))
    assert "engine e2" in problem.message


async def test_of_many_starts_at_once_one_gets_the_account(bench: Bench) -> None:
    requests = [StartEngine(config=broker(f"e{number}")) for number in range(6)]
    answers = await asyncio.gather(
        *(bench.call(contract.ENGINE_START, request) for request in requests), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


async def test_an_engine_hands_its_account_over_to_its_own_next_session(bench: Bench) -> None:
    first = await at_broker(bench)
    accepted = await bench.call(contract.ENGINE_RESTART, RestartEngine())
    await first.enter(RunState.STOPPED)
    second = await bench.engine(accepted.session_id)
    assert token(second.spec) == token(first.spec) + 1
    await second.enter(RunState.TRADING)
    await bench.state(RunState.TRADING)
    await second.enter(RunState.FAILED, reason=FailureReason.CRASH)
    await bench.host.report(second.spec.session_id, ContainerStatus.EXITED, exit_code=1)

    async def third() -> ScriptedEngine | None:
        return next((each for each in bench.host.engines if each.spec.generation == 3), None)

    found = await until(third, within_s=20)
    assert found is not None
    assert token(found.spec) == token(second.spec) + 1


async def test_leases_are_renewed_also_by_the_next_orchestrator(idle: Bench, connect_as: ConnectAs) -> None:
    with_settings(idle, lease_ttl_s=2.0)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await at_broker(idle)
        await until(lambda: _async(len(engine.renewals) >= 3), within_s=20)
    count = len(engine.renewals)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await until(lambda: _async(len(engine.renewals) >= count + 2), within_s=20)
    assert {(each.session_id, each.token) for each in engine.renewals} == {
        (engine.spec.session_id, token(engine.spec))
    }


async def test_leases_are_renewed_whatever_the_wall_clock_does(idle: Bench, connect_as: ConnectAs) -> None:
    with_settings(idle, lease_ttl_s=2.0)
    await idle.hear_alerts()
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await at_broker(idle)
        for hours in (1, 0, -1, 0, 24, 0, -24):
            idle.clock.step = timedelta(hours=hours)
            engine.renewals.clear()
            await until(lambda: _async(len(engine.renewals) >= 2), within_s=20)
        assert (await idle.state(RunState.TRADING)).session is not None
    # These hosts have no Redis, which is told at the start.
    assert {alert.code for alert in idle.alerts} <= {"cache_not_available"}


async def test_a_lease_that_is_not_renewed_is_told_of(idle: Bench, connect_as: ConnectAs) -> None:
    with_settings(idle, lease_ttl_s=2.0)
    await idle.hear_alerts()
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await at_broker(idle)
        engine.is_deaf = True
        idle.later(3)
        told = await idle.alert("lease_not_renewed")
        assert (told.severity, told.session_id) == (Severity.CRITICAL, engine.spec.session_id)


async def test_an_account_that_was_given_up_is_free_when_its_holder_has_surely_stopped(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await at_broker(idle)
        idle.host.is_in_sight = False
        idle.later(20)
        await idle.state(RunState.UNKNOWN)
        await idle.call(contract.ENGINE_STOP, StopEngine(force=True))
        view = await idle.state(RunState.FAILED)
        assert view.session is not None
        assert view.session.not_confirmed
        request = StartEngine(config=broker("e2"))
        problem = await refused(idle, contract.ENGINE_START, request)
        assert "given up" in problem.message
        assert (await refused(idle, contract.ENGINE_START, StartEngine(instance_id="e1"))).code == "conflict"
    idle.host.is_in_sight = True
    idle.clock.step = timedelta(days=1)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert "given up" in (await refused(idle, contract.ENGINE_START, request)).message
        idle.later(120 + 60 + 30 + 18)
        assert (await idle.call(contract.ENGINE_START, request)).state == ClientState.STARTING


async def test_strategies_of_a_running_engine_are_changed_by_its_sidecar(bench: Bench) -> None:
    engine = await bench.trading()
    choice = StrategyChoice(template="ema_cross", parameters={"trade_size": "7"})
    request = AddStrategy(strategy=choice, start=False, request_id="add-1")
    added = await bench.call(contract.STRATEGY_ADD, request)
    assert (added.strategy_id, added.strategies[0].state) == ("S-001", "READY")
    (asked,) = engine.asked
    assert isinstance(asked, AddToEngine)
    assert (asked.session_id, asked.strategy["config"]["trade_size"]) == (engine.spec.session_id, "7")
    assert await bench.call(contract.STRATEGY_ADD, request) == added
    assert len(engine.asked) == 1
    for call in (contract.STRATEGY_START, contract.STRATEGY_STOP, contract.STRATEGY_REMOVE):
        command = WhichStrategy(strategy_id="S-001", instance_id="e1", policy=StopPolicy.FLATTEN)
        assert (await bench.call(call, command)).strategy_id == "S-001"
    assert len(engine.asked) == 4
    assert len((await bench.call(contract.STRATEGY_LIST, ListStrategies())).strategies) == 1
    unknown = WhichStrategy(strategy_id="S-009")
    assert (await refused(bench, contract.STRATEGY_STOP, unknown)).code == FaultCode.NOT_FOUND


async def test_what_is_wrong_with_a_strategy_is_named_as_it_was_asked(bench: Bench) -> None:
    engine = await bench.trading()
    wrong = StrategyChoice(template="ema_cross", parameters={"trade_size": -5})
    problem = await refused(bench, contract.STRATEGY_ADD, AddStrategy(strategy=wrong))
    assert [each.field for each in problem.errors] == ["strategy.parameters.trade_size"]
    engine.refusal = invalid(FieldError("strategy.config.trade_size", "too small"))
    right = StrategyChoice(template="ema_cross")
    problem = await refused(bench, contract.STRATEGY_ADD, AddStrategy(strategy=right))
    assert [each.field for each in problem.errors] == ["strategy.parameters.trade_size"]
    own = StrategyChoice(
        strategy_path="nautilus_trader.examples.strategies.x:C",
        config_path="nautilus_trader.examples.strategies.x:D",
    )
    problem = await refused(bench, contract.STRATEGY_ADD, AddStrategy(strategy=own))
    assert [each.field for each in problem.errors] == ["strategy.config.trade_size"]


async def test_strategies_of_an_engine_that_does_not_run_are_a_conflict(bench: Bench) -> None:
    engine = await bench.trading()
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    problem = await refused(bench, contract.STRATEGY_LIST, ListStrategies())
    assert problem.code == FaultCode.CONFLICT
    assert "e1 is stopped" in problem.message


async def test_a_live_engine_is_refused_where_only_plain_processes_run(
    idle: Bench, connect_as: ConnectAs
) -> None:
    idle.host.runtime = "process"
    live = replace(broker("e1"), trading_mode="live")
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        request = StartEngine(config=live, confirm_live_trading=True)
        problem = await refused(idle, contract.ENGINE_START, request)
        assert problem.code == FaultCode.CONFLICT
        assert "Docker" in problem.message
    assert idle.host.calls == []


async def test_state_in_redis_that_is_demanded_needs_a_host_that_has_it(bench: Bench) -> None:
    await bench.hear_alerts()
    demanded = replace(broker("e1"), use_cache_database=True)
    problem = await refused(bench, contract.ENGINE_START, StartEngine(config=demanded))
    assert "Redis" in problem.message
    engine = await at_broker(bench, "e2", "U2")
    assert not engine.spec.uses_cache
    assert (await bench.alert("cache_not_available")).instance_id == "e2"
    bench.host.has_cache = True

    async def attempt() -> EngineAccepted | None:
        try:
            return await bench.call(contract.ENGINE_START, StartEngine(config=demanded))
        except FaultError:  # until the host was heard
            return None

    accepted = await until(attempt)
    assert accepted is not None
    assert (await bench.engine(accepted.session_id)).spec.uses_cache
