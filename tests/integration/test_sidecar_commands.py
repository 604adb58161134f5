"""What the sidecar can be told besides to stop: to end now, to go on holding its lease, to describe itself, to see to strategies."""

import asyncio
import time

import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas.audit import Caller
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import (
    COMMAND_ADD_STRATEGY,
    COMMAND_ATTEND,
    COMMAND_CANCEL_ORDERS,
    COMMAND_DESCRIBE,
    COMMAND_END_NOW,
    COMMAND_LIST_STRATEGIES,
    COMMAND_RENEW_LEASE,
    COMMAND_SIGNAL,
    COMMAND_START_STRATEGY,
    COMMAND_STOP,
    COMMAND_STOP_STRATEGY,
    Actor,
)
from flotilla.schemas.dead_man import Attend, DeadMan
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import (
    AccountLease,
    CacheAccess,
    EndNow,
    EngineCommand,
    RenewLease,
    SessionEnded,
)
from flotilla.schemas.states import Brake, DeadManPolicy, FailureReason, RunState, StopPolicy
from flotilla.schemas.strategy import AddToEngine, ChangeInEngine, LookIntoEngine, SignalInEngine
from flotilla.schemas.telemetry import Alert, OrderUpdate
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.sidecars import Heard, Sidecar, is_alive, until, until_recorded

SECRET = 'pa"ss\\word-77'


@pytest.fixture
async def orchestrator(connect_as: ConnectAs) -> Bus:
    """Only the orchestrator renews leases."""
    return await connect_as(Actor.ORCHESTRATOR)


class TestEndingNow:
    async def end_now(self, bus: Bus, deadline_s: float) -> SessionEnded:
        return await bus.call(COMMAND_END_NOW, EndNow(deadline_s=deadline_s), instance_id="e1")

    async def test_the_answer_is_how_the_session_ended(
        self, sidecar: Sidecar, heard: Heard, bus: Bus
    ) -> None:
        sidecar.start()
        await heard.trading()
        answers = await asyncio.gather(*(self.end_now(bus, 10.0) for _ in range(3)))
        assert await sidecar.wait() == 0
        end = answers[0].end
        assert (answers[0].session_id, end.state) == (sidecar.spec.session_id, RunState.STOPPED)
        assert end.stop is not None
        assert (end.stop.policy, end.stop.is_flat, end.not_confirmed) == (StopPolicy.FLATTEN, True, ())
        assert all(answer.end == end for answer in answers)
        assert await heard.state(RunState.STOPPED) == end
        assert "ending within 9 s" in sidecar.stdout

    async def test_a_stop_that_is_under_way_ends_by_the_earlier_deadline(
        self, sidecar: Sidecar, heard: Heard, bus: Bus
    ) -> None:
        sidecar.start("deaf", stop_timeout_s=60.0)
        pid = await heard.trading()
        await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
        began = time.monotonic()
        answer = await self.end_now(bus, 1.0)
        assert time.monotonic() - began < 30
        assert (answer.end.state, answer.end.stop) == (RunState.STOPPED, None)
        assert "was killed" in answer.end.not_confirmed[0]
        assert not is_alive(pid)

    async def test_a_frozen_engine_is_killed_at_the_deadline_and_nothing_is_claimed(
        self, sidecar: Sidecar, heard: Heard, bus: Bus
    ) -> None:
        sidecar.start("spins", kill_frozen_after_s=60.0)
        await heard.beat(lambda beat: beat.is_frozen)
        answer = await self.end_now(bus, 1.0)
        assert "frozen" in answer.end.not_confirmed[0]
        assert answer.end.stop is None

    @pytest.mark.parametrize("script", ["never_connects", "silent"])
    async def test_an_engine_that_does_not_trade_yet_ends_too(
        self, sidecar: Sidecar, heard: Heard, bus: Bus, script: str
    ) -> None:
        sidecar.start(script)
        await heard.beat(lambda beat: beat.engine_pid)
        answer = await self.end_now(bus, 1.0)
        assert answer.end.state is RunState.STOPPED
        assert answer.end.not_confirmed

    async def test_before_there_is_an_engine_nothing_is_left_to_confirm(
        self, sidecar: Sidecar, heard: Heard, bus: Bus
    ) -> None:
        sidecar.start(env={"SCRIPTED_ZYGOTE": "hangs"})
        await until(lambda: heard.heartbeats)
        answer = await self.end_now(bus, 10.0)
        assert (answer.end.state, answer.end.not_confirmed) == (RunState.STOPPED, ())

    async def test_an_engine_that_dies_meanwhile_has_failed_and_nothing_is_claimed(
        self, sidecar: Sidecar, heard: Heard, bus: Bus
    ) -> None:
        sidecar.start("exits", node={"code": 3, "after_s": 1.5})
        await heard.trading()
        answer = await self.end_now(bus, 10.0)
        assert (answer.end.state, answer.end.reason) == (RunState.FAILED, FailureReason.CRASH)
        assert answer.end.detail == "the engine exited with 3"
        assert answer.end.not_confirmed

    async def test_another_session_is_left_alone(self, sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
        sidecar.start()
        await heard.trading()
        with pytest.raises(FaultError) as refused:
            await bus.call(COMMAND_END_NOW, EndNow(session_id="another"), instance_id="e1")
        assert refused.value.fault.code is FaultCode.CONFLICT
        assert heard.states[-1] is RunState.TRADING


class TestTheLease:
    LEASE = AccountLease(token=5, ttl_s=1.5)

    def renewal(self, sidecar: Sidecar, **changes: object) -> RenewLease:
        values = {"session_id": sidecar.spec.session_id, "token": 5, "ttl_s": 30.0} | changes
        return RenewLease(**values)  # type: ignore[arg-type]

    async def test_an_engine_without_it_reduces_and_then_stops(self, sidecar: Sidecar, heard: Heard) -> None:
        sidecar.start(lease=self.LEASE)
        await heard.trading()
        await until(lambda: "lease_lost" in heard.alerts and "reduces" in heard.alerts)
        change = await heard.state(RunState.STOPPED)
        assert change.detail == "the lease on its accounts was not renewed"
        assert "stopping cancel" in sidecar.stdout
        assert await sidecar.wait() == 0

    async def test_a_renewal_gives_the_engine_its_freedom_back(
        self, sidecar: Sidecar, heard: Heard, orchestrator: Bus
    ) -> None:
        sidecar.start(lease=AccountLease(token=5, ttl_s=6.0))
        await until(lambda: "reduces" in heard.alerts)
        await orchestrator.call(COMMAND_RENEW_LEASE, self.renewal(sidecar), instance_id="e1")
        await until(lambda: "lease_regained" in heard.alerts and "goes on" in heard.alerts)
        await heard.beat(lambda beat: 25 < (beat.lease_s or 0) <= 30)
        assert heard.states[-1] is RunState.TRADING

    async def test_only_its_holder_renews_it(self, sidecar: Sidecar, heard: Heard, orchestrator: Bus) -> None:
        sidecar.start(lease=AccountLease(token=5, ttl_s=60.0))
        await heard.trading()
        for wrong in ({"token": 4}, {"session_id": "another"}):
            with pytest.raises(FaultError) as refused:
                await orchestrator.call(COMMAND_RENEW_LEASE, self.renewal(sidecar, **wrong), instance_id="e1")
            assert refused.value.fault.code is FaultCode.CONFLICT

    async def test_a_session_without_one_has_none_to_renew(
        self, sidecar: Sidecar, heard: Heard, orchestrator: Bus
    ) -> None:
        sidecar.start()
        await heard.trading()
        with pytest.raises(FaultError) as refused:
            await orchestrator.call(COMMAND_RENEW_LEASE, self.renewal(sidecar), instance_id="e1")
        assert refused.value.fault.code is FaultCode.CONFLICT
        assert heard.heartbeats[-1].lease_s is None


class TestDeadMan:
    """That nobody hears the engine is a server that is away, or a bus without an orchestrator."""

    async def attend(self, orchestrator: Bus, sidecar: Sidecar, heard: Heard) -> None:
        beat = heard.heartbeats[-1]
        assert beat.monotonic_s is not None
        request = Attend(session_id=sidecar.spec.session_id, as_of_s=beat.monotonic_s)
        await orchestrator.call(COMMAND_ATTEND, request, instance_id="e1")

    async def test_an_engine_that_reduced_while_no_orchestrator_was_there_goes_on_once_one_is(
        self, sidecar: Sidecar, heard: Heard, orchestrator: Bus
    ) -> None:
        plan = DeadMan(policy=DeadManPolicy.REDUCE, after_s=5.0)
        sidecar.start(dead_man=plan)
        await heard.trading()
        await heard.beat(lambda beat: beat.dead_man == plan)
        await until(lambda: "reduces" in heard.alerts and "control_plane_lost" in heard.alerts)
        await heard.beat(
            lambda beat: beat.state == RunState.IMPAIRED and "no orchestrator" in beat.problems[0]
        )
        await self.attend(orchestrator, sidecar, heard)
        await until(lambda: "goes on" in heard.alerts and "control_plane_back" in heard.alerts)
        await heard.beat(lambda beat: beat.state == RunState.TRADING and not beat.problems)

    async def test_an_engine_flattens_itself_while_the_bus_is_away_and_says_so_when_it_is_back(
        self, sidecar: Sidecar, heard: Heard, orchestrator: Bus, nats: NatsServer, bus: Bus
    ) -> None:
        sidecar.start(dead_man=DeadMan(policy=DeadManPolicy.FLATTEN, after_s=5.0))
        await heard.trading()
        await self.attend(orchestrator, sidecar, heard)
        nats.stop()
        # What it does meanwhile the engine prints: nothing else can be heard of it.
        await until(lambda: "withdraws by flatten" in sidecar.stdout, 30)
        nats.start()
        halted = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
        await heard.beat(lambda beat: beat.brake == halted and beat.is_brake_taken)
        await until_recorded(bus, lambda data: any(getattr(each, "brake", None) == halted for each in data))
        await until(lambda: orchestrator.is_connected and bus.is_connected)
        await self.attend(orchestrator, sidecar, heard)
        await until(lambda: "control_plane_back" in heard.alerts)
        await heard.beat(lambda beat: beat.problems == ("halted by dead man",))
        assert heard.alerts.index("control_plane_lost") < heard.alerts.index("control_plane_back")
        (told,) = (each for each in heard.of(Alert) if each.code == "control_plane_back")
        assert told.message.endswith("took itself out of the market, and is halted until it is resumed")

    async def test_one_that_waits_for_nobody_is_not_attended(
        self, sidecar: Sidecar, heard: Heard, orchestrator: Bus
    ) -> None:
        sidecar.start()
        await heard.trading()
        with pytest.raises(FaultError) as refused:
            await self.attend(orchestrator, sidecar, heard)
        assert refused.value.fault.code is FaultCode.CONFLICT
        assert heard.heartbeats[-1].dead_man is None


async def test_strategies_are_the_engines_affair(sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
    sidecar.start()
    await heard.trading()
    found = await bus.call(COMMAND_LIST_STRATEGIES, LookIntoEngine(), instance_id="e1")
    assert [view.strategy_id for view in found.strategies] == ["EMACross-000"]
    added = await bus.call(COMMAND_ADD_STRATEGY, AddToEngine(strategy={"a": 1}), instance_id="e1")
    assert (added.message, added.session_id) == ("done", sidecar.spec.session_id)
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_START_STRATEGY, ChangeInEngine(strategy_id="A-1"), instance_id="e1")
    assert refused.value.fault.code is FaultCode.NOT_FOUND


async def test_a_signal_reaches_an_engine_that_permits_it_and_no_other(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start(config=EngineConfig(instance_id="e1", signals=("mood",)))
    await heard.trading()
    sent = await bus.call(COMMAND_SIGNAL, SignalInEngine(name="mood", value=0.5), instance_id="e1")
    assert sent.message == "done"
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_SIGNAL, SignalInEngine(name="other", value=1), instance_id="e1")
    assert refused.value.fault.code is FaultCode.FORBIDDEN
    assert refused.value.fault.errors[0].field == "name"
    assert "its `signals` are: mood" in refused.value.fault.message


async def test_an_engine_that_dies_leaves_no_question_open(sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
    sidecar.start("exits", node={"code": 3, "after_s": 2.0})
    await heard.trading()
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_STOP_STRATEGY, ChangeInEngine(strategy_id="A-1"), instance_id="e1")
    assert refused.value.fault.code is FaultCode.OUTCOME_UNKNOWN
    assert "ended before it answered" in refused.value.fault.message


async def test_an_engine_that_does_not_trade_has_no_strategies_to_speak_of(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start("never_connects")
    await heard.state(RunState.CONNECTING)
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_LIST_STRATEGIES, LookIntoEngine(), instance_id="e1")
    assert refused.value.fault.code is FaultCode.CONFLICT


async def test_an_engine_that_says_it_trades_and_does_not_is_found_out(
    sidecar: Sidecar, heard: Heard
) -> None:
    figures = {
        "strategies": {"A-000": "STOPPED", "B-001": "RUNNING"},
        "not_connected": ["SIM execution"],
        "feeds": [{"venue": "SIM", "events": 1, "quiet": [{"what": "trades of X.SIM", "age_s": 9.0}]}],
    }
    sidecar.start("ails", node=figures | {"for_s": 4.0}, stale_feed_after_s=5.0)
    await heard.beat(lambda beat: len(beat.problems) == 3)
    assert heard.heartbeats[-1].problems == (
        "strategy A-000 is STOPPED",
        "SIM execution is not connected",
        "no trades of X.SIM for more than 5 s",
    )
    await heard.beat(lambda beat: not beat.problems)
    await until(lambda: heard.alerts == ["impaired", "trading_again"])
    assert (heard.heartbeats[-1].event_age_s or 0) < 60
    assert sidecar.heartbeat_file.exists()


async def test_a_secret_is_nowhere_in_what_leaves_the_sidecar(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    cache = CacheAccess(host="h", port=1, username="u", password="cache-password")
    secrets = {"store": {"api_key": SECRET, "deep": [{"passphrase": "another-one"}], "pin": "12"}}
    sidecar.start(
        "blabs", node={"secret": f"{SECRET} cache-password another-one"}, secrets=secrets, cache=cache
    )
    change = await heard.state(RunState.FAILED)
    await sidecar.wait()
    await until(lambda: heard.lines)
    assert change.detail == "refused: *** *** ***"
    assert change.not_confirmed == ("order *** *** ***",)
    assert heard.of(OrderUpdate)[0].reason == "bad key *** *** ***"
    assert heard.of(Alert)[0].message == "the key is *** *** ***"
    assert heard.lines[0] == 'key=*** *** *** and "*** *** ***"'
    assert change.log_tail[0] == heard.lines[0]
    said = sidecar.stdout + sidecar.stderr + repr(heard.events)
    assert not [secret for secret in (SECRET, "cache-password", "another-one") if secret in said]


async def test_a_sidecar_describes_what_it_runs_without_a_secret(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start(secrets={"store": {"api_key": SECRET}})
    await heard.trading()
    assert await bus.call(COMMAND_DESCRIBE, LookIntoEngine(), instance_id="e1") == sidecar.spec


async def test_a_command_past_the_services_is_told_of_with_who_says_to_have_sent_it(
    sidecar: Sidecar, heard: Heard, bus: Bus, orchestrator: Bus
) -> None:
    sidecar.start()
    await heard.trading()
    await orchestrator.call(COMMAND_CANCEL_ORDERS, EngineCommand(), instance_id="e1")
    await bus.call(COMMAND_DESCRIBE, LookIntoEngine(), instance_id="e1")
    bus.introduction = lambda: Caller(name="anna")
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    assert [(one.code, one.message) for one in heard.of(Alert) if one.code == "commanded_directly"] == [
        ("commanded_directly", "stop was asked for with the operator's credential, by anna")
    ]
