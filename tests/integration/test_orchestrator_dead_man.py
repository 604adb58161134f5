"""Dead men and leases with one orchestrator, none, and two, on a real bus and a real PostgreSQL."""

import asyncio
import time

import pytest

from flotilla.schemas import contract
from flotilla.schemas.brakes import BrakeEngine, EngineBrake
from flotilla.schemas.contract import Actor
from flotilla.schemas.dead_man import DeadManChoice
from flotilla.schemas.engine import StartEngine, StopEngine
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import Brake, DeadManPolicy, RunState
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Bench, ScriptedEngine, until
from tests.integration.test_orchestrator_ownership import at_broker, broker, token, with_settings

WAITS = DeadManChoice(policy=DeadManPolicy.FLATTEN, after_s=5.0)


async def more(engine: ScriptedEngine, kind: str, count: int = 2) -> None:
    """Waits until it was attended, or renewed, so often from now on."""
    wanted = len(getattr(engine, kind)) + count

    async def ask() -> int:
        return len(getattr(engine, kind))

    await until(ask, lambda found: found >= wanted, within_s=20)


async def test_an_engine_that_waits_for_it_is_attended_by_one_orchestrator_after_the_other(
    idle: Bench, connect_as: ConnectAs
) -> None:
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        engine = await idle.trading(dead_man=WAITS)
        other = await idle.trading("e2")
        assert (engine.spec.dead_man.policy, engine.spec.dead_man.after_s) == (DeadManPolicy.FLATTEN, 5.0)
        await more(engine, "attended")
        view = await idle.view()
        assert view.dead_man == engine.spec.dead_man
        assert view.config.dead_man == WAITS
        assert 0 <= time.monotonic() - engine.attended[-1].as_of_s < 5
    told = len(engine.attended)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await more(engine, "attended")
        # Whoever gave it up wants it gone: its dead man is to act.
        idle.host.is_in_sight = False
        idle.later(20)
        await idle.state(RunState.UNKNOWN)
        await idle.call(contract.ENGINE_STOP, StopEngine(instance_id="e1", force=True))
        await idle.state(RunState.FAILED)
        given_up = len(engine.attended)
        await asyncio.sleep(3)  # more than twice the time after which it would be told again
        assert len(engine.attended) == given_up > told
    assert (other.spec.dead_man.policy, other.attended) == (DeadManPolicy.CONTINUE, [])


async def test_an_engine_that_halted_itself_is_halted_on_record_until_somebody_resumes_it(
    bench: Bench,
) -> None:
    engine = await bench.trading(dead_man=WAITS)
    engine.brake = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
    await engine.enter(RunState.IMPAIRED, detail="halted by dead man", brake=engine.brake)
    view = await until(bench.view, lambda view: view.brake.is_on and view.is_brake_taken is True)
    assert (view.brake.brake, view.brake.by, view.brake.number) == (Brake.HALTED, "dead man", 1)
    assert view.brake.since is not None
    resumed = await bench.call(contract.ENGINE_RESUME, BrakeEngine(instance_id="e1"))
    assert resumed.is_taken is True
    assert resumed.brake is not None
    assert (resumed.brake.brake, resumed.brake.number) == (Brake.NONE, 2)


async def test_a_wrong_dead_man_is_refused_by_its_field_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(FaultError) as refused:
        await bench.start(dead_man=DeadManChoice(after_s=20.0))
    assert [each.field for each in refused.value.fault.errors] == ["config.dead_man.after_s"]
    assert bench.host.calls == []


async def test_two_orchestrators_at_once_give_an_account_to_one_engine_and_renew_one_lease(
    idle: Bench, connect_as: ConnectAs
) -> None:
    """Neither knows of the other. The record decides who holds the account; a session is renewed by both, under one token."""
    with_settings(idle, lease_ttl_s=4.0)
    async with (
        idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)),
        idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)),
    ):
        requests = [StartEngine(config=broker(f"e{number}")) for number in range(8)]
        answers = await asyncio.gather(
            *(idle.call(contract.ENGINE_START, request) for request in requests), return_exceptions=True
        )
        (held,) = (answer for answer in answers if not isinstance(answer, BaseException))
        refusals = [str(answer) for answer in answers if isinstance(answer, BaseException)]
        assert len(refusals) == 7
        assert all("account U1 at BROKER is traded by engine" in text for text in refusals)
        engine = await idle.engine(held.session_id)
        await engine.enter(RunState.TRADING)
        await more(engine, "renewals", 4)
        assert {(each.session_id, each.token) for each in engine.renewals} == {
            (engine.spec.session_id, token(engine.spec))
        }


async def test_two_engines_with_two_accounts_at_one_venue_are_renewed_side_by_side(
    idle: Bench, connect_as: ConnectAs
) -> None:
    with_settings(idle, lease_ttl_s=4.0)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        first, second = await at_broker(idle, "e1", "U1"), await at_broker(idle, "e2", "U2")
        for engine, account in ((first, "U1"), (second, "U2")):
            assert engine.spec.lease is not None
            assert [each.account for each in engine.spec.lease.accounts] == [account]
            await more(engine, "renewals")
