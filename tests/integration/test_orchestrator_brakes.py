"""Brakes on a real bus and a real PostgreSQL: on record, told to the sidecar, kept over crashes, answered with what is confirmed."""

import asyncio

import pytest

from flotilla.schemas import contract
from flotilla.schemas.audit import ReadAudit
from flotilla.schemas.brakes import AfterFlatten, BrakeEngine, FlattenEngine
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineView, StartEngine, StopEngine
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import Brake, ClientState, FailureReason, RunState
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Bench, ScriptedEngine, refused, until
from tests.integration.test_orchestrator_lifecycle import fail, successor

E1 = BrakeEngine(instance_id="e1")
POLICY = RestartPolicy(max_restarts=2, window_s=3600, backoff_s=0.2, max_backoff_s=1)


async def obeyed(bench: Bench, brake: Brake) -> EngineView:
    """The engine once it is known to obey this brake."""
    return await until(bench.view, lambda view: view.brake.brake == brake and view.is_brake_taken is True)


async def test_a_brake_is_on_record_confirmed_seen_and_lifted(bench: Bench) -> None:
    engine = await bench.trading()
    halt = BrakeEngine(instance_id="e1", request_id="halt-1")
    done = await bench.call(contract.ENGINE_HALT, halt)
    assert (done.is_taken, done.session_id) == (True, engine.spec.session_id)
    assert done.brake is not None
    assert (done.brake.brake, done.brake.number) == (Brake.HALTED, 1)
    assert done.state == ClientState.ERROR
    view = await obeyed(bench, Brake.HALTED)
    assert view.brake == done.brake
    assert view.brake.since is not None
    assert (await bench.state(RunState.IMPAIRED)).problems == (done.brake.text,)
    assert await bench.call(contract.ENGINE_HALT, halt) == done
    assert len(engine.brakes) == 1
    (entry,) = (await bench.call(contract.AUDIT_LIST, ReadAudit(about="e1", limit=1))).entries
    assert (entry.request_id, entry.subject, entry.code) == ("halt-1", "fleet.engine.halt", None)
    reduced = await bench.call(contract.ENGINE_REDUCE, E1)
    assert reduced.brake is not None
    assert (reduced.brake.brake, reduced.brake.number) == (Brake.REDUCED, 2)
    resumed = await bench.call(contract.ENGINE_RESUME, E1)
    assert (resumed.is_taken, resumed.message) == (True, "engine e1 is not braked any more")
    assert resumed.state == ClientState.RUNNING
    assert [each.brake.number for each in engine.brakes] == [1, 2, 3]
    assert (await bench.call(contract.ENGINE_RESUME, E1)).is_taken is True


async def test_a_sidecar_that_did_not_hear_of_a_brake_is_told_until_it_has(bench: Bench) -> None:
    engine = await bench.trading()
    engine.does_brake = False
    done = await bench.call(contract.ENGINE_HALT, E1)
    assert done.is_taken is False
    assert "the engine is not known to have taken it: deaf" in done.message

    async def not_taken() -> bool:
        return (await bench.view()).is_brake_taken is False

    await until(not_taken)
    assert (await bench.view()).brake.brake == Brake.HALTED
    engine.does_brake = True
    await obeyed(bench, Brake.HALTED)
    assert engine.brake == done.brake


async def test_a_halted_engine_that_crashes_comes_back_halted(bench: Bench) -> None:
    engine = await bench.trading(restart=POLICY)
    done = await bench.call(contract.ENGINE_HALT, E1)
    await fail(bench, engine)
    again = await successor(bench, engine)
    assert again.spec.brake == done.brake
    await again.enter(RunState.IMPAIRED, detail="halted")
    assert (await obeyed(bench, Brake.HALTED)).restarts == 1


async def test_an_engine_can_be_halted_between_its_crash_and_its_restart(bench: Bench) -> None:
    patient = RestartPolicy(max_restarts=1, backoff_s=60, max_backoff_s=60)
    engine = await bench.trading(restart=patient)
    await fail(bench, engine)
    await until(bench.view, lambda view: view.restart_at is not None)
    done = await bench.call(contract.ENGINE_HALT, E1)
    assert (done.is_taken, done.session_id) == (True, None)
    assert "its next session begins so" in done.message
    bench.later(61)
    assert (await successor(bench, engine)).spec.brake == done.brake


async def test_a_brake_outlives_the_orchestrator_and_a_start_says_that_it_is_on(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading()
        engine.does_brake = False
        halted = await idle.call(contract.ENGINE_HALT, E1)
        assert halted.is_taken is False
    engine.does_brake = True
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await obeyed(idle, Brake.HALTED)
        assert halted.brake == engine.brake
        await idle.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
        await engine.enter(RunState.STOPPED)
        await idle.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=0)
        await idle.state(RunState.STOPPED)
        problem = await refused(idle, contract.ENGINE_REDUCE, E1)
        assert (problem.code, "e1 is stopped" in problem.message) == (FaultCode.CONFLICT, True)
        begun = await idle.call(contract.ENGINE_START, StartEngine(instance_id="e1"))
        assert begun.message.endswith("until it is resumed")
        assert begun.brake == halted.brake
        assert (await idle.engine(begun.session_id)).spec.brake == halted.brake


async def test_a_flatten_halts_first_and_is_answered_with_what_events_confirmed(bench: Bench) -> None:
    engine = await bench.trading()
    flatten = FlattenEngine(instance_id="e1", request_id="flatten-1")
    engine.may_answer.clear()
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(bench.call(contract.ENGINE_FLATTEN, flatten)) for _ in range(3)]
        await until(lambda: _said(engine.withdrawals))
        assert [each.brake.brake for each in engine.brakes] == [Brake.HALTED]
        engine.may_answer.set()
    (done, *others) = (each.result() for each in asking)
    assert all(other == done for other in others)
    assert len(engine.withdrawals) == 1
    assert (done.is_taken, done.orders_cancelled, done.positions_closed) == (True, 2, 1)
    assert done.message.endswith("; 2 orders cancelled, 1 position closed")
    await obeyed(bench, Brake.HALTED)


async def test_what_a_flatten_left_open_is_no_success_and_the_same_id_gets_the_same_answer(
    bench: Bench,
) -> None:
    engine = await bench.trading()
    engine.left = ("position P-1 still open",)
    go_on = FlattenEngine(instance_id="e1", then=AfterFlatten.CONTINUE, request_id="flatten-2")
    done = await bench.call(contract.ENGINE_FLATTEN, go_on)
    assert (done.is_taken, done.not_confirmed) == (False, ("position P-1 still open",))
    assert engine.brakes == []
    engine.left = ()
    assert await bench.call(contract.ENGINE_FLATTEN, go_on) == done
    assert len(engine.withdrawals) == 1
    cancelled = await bench.call(contract.ENGINE_CANCEL_ORDERS, E1)
    assert (cancelled.is_taken, cancelled.orders_cancelled) == (True, 2)
    assert (await bench.view()).brake.since is None


DIFFERENCE = "A: position of X is 1 at the venue, 0 in the engine"


async def _said(told: list[object]) -> bool:
    return bool(told)


@pytest.mark.parametrize(
    "call",
    [contract.ENGINE_HALT, contract.ENGINE_REDUCE, contract.ENGINE_RESUME, contract.ENGINE_CANCEL_ORDERS],
)
async def test_an_engine_that_never_was_is_not_found(
    bench: Bench, call: contract.Call[BrakeEngine, object]
) -> None:
    assert (await refused(bench, call, BrakeEngine(instance_id="nobody"))).code == FaultCode.NOT_FOUND


async def test_a_difference_with_the_venue_is_accepted_once_and_only_while_there_is_one(bench: Bench) -> None:
    engine = await bench.trading()
    problem = await refused(bench, contract.ENGINE_ACCEPT, E1)
    assert (problem.code, "nothing to accept" in problem.message) == (FaultCode.CONFLICT, True)
    await engine.enter(RunState.MISMATCH, detail=DIFFERENCE)
    await bench.state(RunState.MISMATCH)
    assert (await bench.view()).problems == (DIFFERENCE,)
    request = BrakeEngine(instance_id="e1", request_id="accept-1")
    accepted = await bench.call(contract.ENGINE_ACCEPT, request)
    assert (accepted.is_taken, "X differs" in accepted.message) == (True, True)
    assert await bench.call(contract.ENGINE_ACCEPT, request) == accepted
    assert len(engine.acceptances) == 1
    await bench.state(RunState.TRADING)


async def test_what_does_not_run_cannot_be_taken_out_of_the_market(bench: Bench) -> None:
    engine: ScriptedEngine = await bench.trading()
    await engine.enter(RunState.FAILED, reason=FailureReason.STRATEGY)
    await bench.state(RunState.FAILED)
    for call, request in (
        (contract.ENGINE_CANCEL_ORDERS, E1),
        (contract.ENGINE_FLATTEN, FlattenEngine(instance_id="e1")),
        (contract.ENGINE_HALT, E1),
    ):
        problem = await refused(bench, call, request)
        assert (problem.code, "e1 is failed" in problem.message) == (FaultCode.CONFLICT, True)
    assert not (await bench.view()).brake.is_on
