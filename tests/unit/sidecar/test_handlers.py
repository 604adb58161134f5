"""Commands, fences and re-entrance, with recording ports."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest

from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import (
    BrakeTaken,
    Exited,
    Forked,
    GateShut,
    Happened,
    Measured,
    Phase,
    PutBrake,
    Run,
    Stop,
    ToEngine,
    ZygoteReady,
)
from flotilla.engine_sidecar.link.messages import BusFound, ZygoteGone
from flotilla.engine_sidecar.outbox.redaction import Redaction, secrets_of
from flotilla.engine_sidecar.session import commands, questions
from flotilla.engine_sidecar.session.commands import Commands
from flotilla.engine_sidecar.session.handlers import Handlers
from flotilla.engine_sidecar.session.questions import Questions
from flotilla.engine_sidecar.session.strategy_commands import PackageAccess, StrategyCommands
from flotilla.schemas.brakes import EngineBrake, SetBrake
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import PackageRef
from flotilla.schemas.session import AccountLease, BusAccess, EngineCommand, Launch, RenewLease
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.strategy import AddToEngine, LookIntoEngine
from flotilla.schemas.telemetry import Alert, EventKind, StateChange
from tests.unit.sidecar.samples import spec


async def no_packages(packages: object) -> tuple[bytes, ...]:
    raise AssertionError(packages)


class Processes:
    """Remembers what it was told to do; `on_kill` lets a kill be answered at once."""

    def __init__(self) -> None:
        self.did: list[object] = []
        self.is_read = True
        self.on_kill = lambda: None
        self.on_stop = lambda: None

    def fork(self, run: Run, _: tuple[int, ...] | None) -> None:
        self.did.append(run)

    def send(self, message: ToEngine) -> None:
        self.did.append(message)
        if isinstance(message, Stop) and self.is_read:
            self.on_stop()

    def kill_engine(self) -> None:
        self.did.append("kill engine")
        self.on_kill()

    def kill_zygote(self) -> None:
        self.did.append("kill zygote")


class Record:
    """Remembers what was put on record."""

    def __init__(self) -> None:
        self.written: list[StateChange | Alert] = []
        self.copied: list[tuple[EventKind, bytes]] = []

    def write(self, data: StateChange | Alert) -> None:
        self.written.append(data)

    def copy(self, kind: EventKind, data: bytes) -> None:
        self.copied.append((kind, data))


class Desk:
    """Handlers with their recording ports."""

    def __init__(self, lease: AccountLease | None = None) -> None:
        self.now = 0.0
        self.processes = Processes()
        self.record = Record()
        self.metrics: list[bytes] = []
        self.over = 0
        launch = Launch(
            bus=BusAccess(url="nats://x", creds=""),
            spec=spec(stop_policy=StopPolicy.LEAVE, lease=lease),
            catalog_path="/data",
        )
        self.questions = Questions(self.processes)
        self.handlers = Handlers(
            launch,
            self.processes,
            self.record,
            self.questions,
            Redaction(secrets_of(launch)),
            now=lambda: self.now,
            measured=self.metrics.append,
            over=self._end,
        )
        self.processes.on_stop = lambda: self.handlers.hear(GateShut())
        self.commands = Commands(launch, self.handlers, self.questions)
        self.let_go: list[bytes] = []
        access = PackageAccess(no_packages, lambda: "", self.let_go.extend)
        self.strategies = StrategyCommands(launch.spec, self.handlers, self.questions, access)

    def _end(self) -> None:
        self.over += 1

    def trade(self) -> None:
        for message in (
            BusFound(),
            ZygoteReady(1.0),
            Forked(42),
            Phase(RunState.CONNECTING),
            Phase(RunState.TRADING),
        ):
            self.handlers.hear(message)

    @property
    def states(self) -> list[RunState]:
        return [data.state for data in self.record.written if isinstance(data, StateChange)]


@pytest.fixture
def strategies() -> Desk:
    return Desk()


def test_the_first_frame_of_an_engine_says_what_to_run(strategies: Desk) -> None:
    strategies.trade()
    (run,) = strategies.processes.did
    assert isinstance(run, Run)
    assert (run.instance_id, run.catalog_path, run.stop_policy) == ("e1", "/data", StopPolicy.LEAVE)


def test_events_and_metrics_pass_through(strategies: Desk) -> None:
    strategies.handlers.hear(Happened(EventKind.FILL, b"{}"))
    strategies.handlers.hear(Measured(b"[]"))
    assert strategies.record.copied == [(EventKind.FILL, b"{}")]
    assert strategies.metrics == [b"[]"]


async def test_a_stop_uses_the_policy_of_the_session_unless_told_otherwise(strategies: Desk) -> None:
    strategies.trade()
    await strategies.commands.stop(EngineCommand())
    assert strategies.processes.did[-1] == Stop(policy=StopPolicy.LEAVE, timeout_s=27.0)
    other = Desk()
    other.trade()
    await other.commands.stop(EngineCommand(policy=StopPolicy.FLATTEN))
    assert other.processes.did[-1] == Stop(policy=StopPolicy.FLATTEN, timeout_s=27.0)


async def test_a_stop_is_answered_as_taken_once_the_engine_has_shut_its_gate(strategies: Desk) -> None:
    strategies.trade()
    strategies.processes.on_stop = lambda: None
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(strategies.commands.stop(EngineCommand()))
        for message in (Phase(RunState.STOPPING), Happened(EventKind.ORDER, b"{}")):
            strategies.handlers.hear(message)
            await asyncio.sleep(0)
            assert not answer.done()
        strategies.handlers.hear(GateShut())
    assert answer.result().is_taken is True
    assert (await strategies.commands.stop(EngineCommand())).is_taken is True


async def test_a_stop_that_the_engine_does_not_take_is_a_success_that_says_so(
    strategies: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "TAKE_S", 0.05)
    strategies.trade()
    strategies.processes.is_read = False
    answer = await strategies.commands.stop(EngineCommand())
    assert (answer.session_id, answer.is_taken) == (spec().session_id, False)
    assert "has not taken it" in answer.message
    assert strategies.states[-1] is RunState.STOPPING


async def test_a_stop_before_there_is_an_engine_is_taken(strategies: Desk) -> None:
    assert (await strategies.commands.stop(EngineCommand())).is_taken is True
    assert strategies.over == 1


async def test_a_stop_of_an_ended_session_is_a_success(strategies: Desk) -> None:
    strategies.trade()
    strategies.handlers.hear(Exited(42, 0))
    before = list(strategies.processes.did)
    assert (await strategies.commands.stop(EngineCommand(request_id="r-1"))).is_taken is True
    assert strategies.processes.did == before
    assert strategies.over == 1


async def test_a_renewal_that_renews_nothing_is_not_answered_as_one() -> None:
    strategies = Desk(lease=AccountLease(token=7, ttl_s=120.0))
    strategies.trade()
    strategies.now = 200.0
    renewed = await strategies.commands.renew_lease(
        RenewLease(session_id=spec().session_id, token=7, ttl_s=30.0, as_of_s=190.0)
    )
    assert renewed.message == "renewed for 30 s"
    # It was under way for 31 s of its 30.
    late = RenewLease(session_id=spec().session_id, token=7, ttl_s=30.0, as_of_s=169.0)
    with pytest.raises(FaultError, match="under way for too long: nothing was renewed"):
        await strategies.commands.renew_lease(late)
    strategies.handlers.hear(Exited(42, 0))
    ended = RenewLease(session_id=spec().session_id, token=7, ttl_s=30.0)
    with pytest.raises(FaultError, match="has ended: nothing was renewed") as refused:
        await strategies.commands.renew_lease(ended)
    assert refused.value.fault.code is FaultCode.CONFLICT


POLICIES = [("cancel_orders", StopPolicy.CANCEL), ("flatten", StopPolicy.FLATTEN)]


@pytest.mark.parametrize(("name", "policy"), POLICIES)
async def test_an_intervention_is_answered_with_what_the_engine_confirmed(
    strategies: Desk, name: str, policy: StopPolicy
) -> None:
    strategies.trade()
    command = EngineCommand(session_id=spec().session_id, request_id="r-1")
    left = ("order O-1 still accepted",)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(getattr(strategies.commands, name)(command))
        await asyncio.sleep(0)
        ask = strategies.processes.did[-1]
        assert isinstance(ask, Ask)
        assert ask.question == Intervene(policy, 25.0)
        told = Answer(ask.number, not_confirmed=left, orders_cancelled=3, positions_closed=1)
        strategies.handlers.hear(told)
    done = asking.result()
    closed = 1 if policy is StopPolicy.FLATTEN else None
    assert (done.request_id, done.not_confirmed) == ("r-1", left)
    assert (done.orders_cancelled, done.positions_closed) == (3, closed)


@pytest.mark.parametrize(("name", "policy"), POLICIES)
async def test_an_intervention_that_the_engine_does_not_answer_has_an_unknown_outcome(
    strategies: Desk, monkeypatch: pytest.MonkeyPatch, name: str, policy: StopPolicy
) -> None:
    monkeypatch.setattr(questions, "INTERVENE_S", 0.01)
    monkeypatch.setattr(questions, "ANSWER_S", 0.01)
    strategies.trade()
    with pytest.raises(FaultError) as refused:
        await getattr(strategies.commands, name)(EngineCommand())
    assert refused.value.fault.code is FaultCode.OUTCOME_UNKNOWN


def halted(number: int = 1) -> SetBrake:
    brake = EngineBrake(brake=Brake.HALTED, number=number, by="alice")
    return SetBrake(session_id=spec().session_id, brake=brake)


async def test_a_brake_is_answered_once_the_engine_has_taken_it(strategies: Desk) -> None:
    strategies.trade()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(strategies.commands.brake(halted()))
        await asyncio.sleep(0)
        assert strategies.processes.did[-1] == PutBrake(halted().brake)
        assert not asking.done()
        strategies.handlers.hear(BrakeTaken(halted().brake))
    assert asking.result().is_taken is True
    assert strategies.states[-1] is RunState.IMPAIRED
    again = await strategies.commands.brake(halted())
    assert again.is_taken is True
    assert strategies.processes.did.count(PutBrake(halted().brake)) == 1


async def test_a_brake_that_is_not_taken_in_time_or_followed_by_another_is_not_said_to_be(
    strategies: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategies.trade()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(strategies.commands.brake(halted(1)))
        await asyncio.sleep(0)
        strategies.handlers.hear(BrakeTaken(EngineBrake(number=2)))
    assert asking.result().is_taken is False
    monkeypatch.setattr(commands, "BRAKE_S", 0.01)
    assert (await strategies.commands.brake(halted(3))).is_taken is False
    with pytest.raises(FaultError, match="older than the session's own, 3") as refused:
        await strategies.commands.brake(halted(2))
    assert refused.value.fault.code is FaultCode.CONFLICT


async def test_an_engine_that_is_not_forked_yet_begins_with_its_brake(strategies: Desk) -> None:
    assert (await strategies.commands.brake(halted())).is_taken is True
    strategies.trade()
    (run,) = (each for each in strategies.processes.did if isinstance(each, Run))
    assert run.brake == halted().brake
    assert strategies.states[-1] is RunState.IMPAIRED
    assert RunState.TRADING not in strategies.states
    described = await strategies.commands.describe(LookIntoEngine())
    assert described == msgspec.structs.replace(spec(stop_policy=StopPolicy.LEAVE), brake=halted().brake)


@pytest.mark.parametrize("name", ["cancel_orders", "flatten"])
async def test_a_command_before_the_engine_is_up_is_a_conflict(strategies: Desk, name: str) -> None:
    with pytest.raises(FaultError) as refused:
        await getattr(strategies.commands, name)(EngineCommand())
    assert refused.value.fault.code is FaultCode.CONFLICT
    assert strategies.processes.did == []


@pytest.mark.parametrize("name", ["stop", "cancel_orders", "flatten"])
async def test_another_session_is_fenced_off(strategies: Desk, name: str) -> None:
    strategies.trade()
    before = list(strategies.processes.did)
    with pytest.raises(FaultError) as refused:
        await getattr(strategies.commands, name)(EngineCommand(session_id="20250101-000000-000000000000"))
    assert refused.value.fault.code is FaultCode.CONFLICT
    assert strategies.processes.did == before


def test_a_message_that_an_effect_leads_to_is_decided_after_it(strategies: Desk) -> None:
    strategies.trade()
    strategies.processes.on_kill = lambda: strategies.handlers.post(Exited(42, -9))
    strategies.handlers.post(ZygoteGone(-9))
    assert strategies.processes.did[-1] == "kill engine"
    assert strategies.handlers.session.exit_code == -9
    assert strategies.over == 1


def test_the_final_state_is_the_last_on_record(strategies: Desk) -> None:
    strategies.trade()
    strategies.handlers.hear(Exited(42, 0))
    strategies.handlers.conclude(StateChange(state=RunState.STOPPED))
    assert strategies.states[-1] is RunState.STOPPED
    assert strategies.handlers.session.state is RunState.STOPPED


@pytest.mark.parametrize(
    ("code", "let_go"),
    [
        (FaultCode.INVALID, [b"archive"]),
        (FaultCode.CONFLICT, [b"archive"]),
        (FaultCode.OUTCOME_UNKNOWN, []),
        (FaultCode.INTERNAL, []),
        (None, []),
    ],
)
async def test_the_package_of_a_strategy_that_was_refused_is_let_go(
    code: FaultCode | None, let_go: list[bytes]
) -> None:
    async def fetched(packages: object) -> tuple[bytes, ...]:
        return (b"archive",)

    desk = Desk()
    desk.trade()
    access = PackageAccess(fetched, lambda: "", desk.let_go.extend)
    strategies = StrategyCommands(spec(), desk.handlers, desk.questions, access)
    package = PackageRef(name="mine", version="1", digest="a" * 64)
    async with asyncio.TaskGroup() as group:
        adding = group.create_task(_outcome(strategies.add(AddToEngine(strategy={}, package=package))))
        while not (asks := [each for each in desk.processes.did if isinstance(each, Ask)]):
            await asyncio.sleep(0)
        refused = fault(code, "no").fault if code else None
        desk.questions.answered(Answer(asks[0].number, strategy_id="s", fault=refused))
    assert adding.result() == code
    assert desk.let_go == let_go


async def _outcome(adding: Awaitable[object]) -> FaultCode | None:
    try:
        await adding
    except FaultError as error:
        return error.fault.code
    return None
