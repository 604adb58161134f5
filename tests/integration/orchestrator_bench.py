"""An orchestrator on a real bus and a real PostgreSQL, with a host and engines that do what the test says."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.brakes import SetBrake
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor, Call
from flotilla.schemas.dead_man import Attend
from flotilla.schemas.engine import EngineAccepted, EngineView, FleetStatus, StartEngine, WhichEngine
from flotilla.schemas.fault import Fault, FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.session import (
    CommandAccepted,
    ContainerFacts,
    ContainerList,
    ContainerStatus,
    EmergencyReceipt,
    EmergencyStop,
    EngineCommand,
    HostStopped,
    LiftStop,
    ListContainers,
    RenewLease,
    SessionSpec,
    StartSession,
    StopFlags,
    StopSession,
    WhichSession,
    container_name,
)
from flotilla.schemas.states import DeadManPolicy, RunState, TradingMode
from flotilla.schemas.strategy import AddToEngine, ChangeInEngine, LookIntoEngine, StrategyList, StrategyView
from flotilla.schemas.telemetry import (
    EngineEvent,
    EventKind,
    FleetAlert,
    Heartbeat,
    HostHeartbeat,
    StateChange,
    StopFlag,
)
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.service import Orchestrator, orchestrator
from flotilla.services.orchestrator.settings import OrchestratorSettings

if TYPE_CHECKING:
    from tests.integration.conftest import ConnectAs  # which takes its fixtures from here

BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
BEAT_S: Final = 0.2
ENGINE_TEMPLATE: Final = {
    "name": "sandbox_engine",
    "description": "d",
    "engine_type": "sandbox",
    "trading_mode": "paper",
    "parameters": {"speed": {"type": "number", "help": "h", "default": 0.0, "min": 0}},
    "defaults": {"stop_policy": "flatten", "strategies": [{"template": "ema_cross"}]},
    "node": {"trader_id": "{trader_id}", "data_clients": {"SIM": {"config": {"speed": "{speed}"}}}},
}
PAPER_TEMPLATE: Final = {**ENGINE_TEMPLATE, "name": "paper_trading", "engine_type": "paper"}
LIVE_TEMPLATE: Final = {
    "name": "live_engine",
    "description": "d",
    "engine_type": "live",
    "trading_mode": "live",
    "defaults": {"stop_policy": "cancel", "restart": {"max_restarts": 1}},
    "venues": {"required": True, "uses_cache": True},
    "node": {"trader_id": "{trader_id}"},
}
VENUE_TEMPLATE: Final = {
    "name": "broker",
    "description": "d",
    "data": {"path": "some.module:Data", "factory": "some.module:DataFactory"},
    "execution": {"path": "some.module:Exec", "factory": "some.module:ExecFactory"},
    "paper": {"data": {"port": 1}, "execution": {"port": 1}},
    "live": {"data": {"port": 2}, "execution": {"port": 2}},
    "needs_account": True,
    "account_field": "account_id",
}
STRATEGY_TEMPLATE: Final = {
    "name": "ema_cross",
    "description": "d",
    "strategy_class": "EMACross",
    "strategy_path": "some.module:EMACross",
    "config_path": "some.module:EMACrossConfig",
    "parameters": {
        "bar_type": {"type": "bar_type", "help": "h", "default": BARS},
        "trade_size": {"type": "decimal", "help": "h", "default": "100", "min": 1},
    },
    "config": {"bar_type": "{bar_type}", "trade_size": "{trade_size}"},
}


async def until[T](
    ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool] = bool, *, within_s: float = 10.0
) -> T:
    """The first answer that `holds`; fails with the last one when none does in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await ask()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s; last: {answer}"
        await asyncio.sleep(0.02)


class Clock(RecordClock):
    """The record's time, and as much later as the test says; `step` is by how much the wall clock was set."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.step = timedelta()
        super().__init__(
            monotonic=lambda: time.monotonic() + self.ahead.total_seconds(),
            wall=lambda: datetime.now(UTC) + self.ahead + self.step,
        )


class ScriptedEngine:
    """A sidecar: publishes what the test says under increasing numbers, and takes commands."""

    def __init__(self, bus: Bus, spec: SessionSpec) -> None:
        self.spec = spec
        self.seq = 0
        self.commands: list[EngineCommand] = []
        self.renewals: list[RenewLease] = []
        self.strategies: dict[str, str] = {}
        self.asked: list[AddToEngine | ChangeInEngine] = []
        self.refusal: Exception | None = None
        self.does_describe = True
        self.is_deaf = False
        """Renewals are not heard."""
        self.does_take = True
        """Stops are taken by the engine, and not only by its sidecar."""
        self.is_from_before = False
        """It does not know that a stop may say how long it has, as those of before did not."""
        self.attended: list[Attend] = []
        self.brakes: list[SetBrake] = []
        self.brake = spec.brake
        self.does_brake = True
        """Brakes are heard, and taken by the engine."""
        self.left: tuple[str, ...] = ()
        """What cannot be cancelled or closed."""
        self.withdrawals: list[EngineCommand] = []
        self.acceptances: list[EngineCommand] = []
        self.may_answer = asyncio.Event()
        """Stops are answered."""
        self.may_answer.set()
        self.state = RunState.BOOTING
        self._bus = bus
        self._beats = 0

    async def listen(self) -> None:
        for call, handler in (
            (contract.COMMAND_STOP, self._stop),
            (contract.COMMAND_BRAKE, self._brake),
            (contract.COMMAND_CANCEL_ORDERS, self._withdraw),
            (contract.COMMAND_ACCEPT, self._accept),
            (contract.COMMAND_FLATTEN, self._withdraw),
            (contract.COMMAND_RENEW_LEASE, self._renew),
            (contract.COMMAND_ATTEND, self._attend),
            (contract.COMMAND_DESCRIBE, self._describe),
            (contract.COMMAND_LIST_STRATEGIES, self._list_strategies),
            (contract.COMMAND_ADD_STRATEGY, self._add_strategy),
            (contract.COMMAND_START_STRATEGY, self._change_strategy),
            (contract.COMMAND_STOP_STRATEGY, self._change_strategy),
            (contract.COMMAND_REMOVE_STRATEGY, self._change_strategy),
        ):
            await self._bus.serve(call, handler, instance_id=self.spec.instance_id)  # type: ignore[arg-type]

    async def enter(self, *states: RunState, **change: Any) -> None:
        for state in states:
            self.state = state
            await self.publish(EventKind.STATE, StateChange(state=state, **change))

    async def publish(self, kind: EventKind, data: msgspec.Struct) -> None:
        self.seq += 1
        event = self.event(self.seq, kind, data)
        feed = next(each for each in contract.ENGINE_EVENT_FEEDS if each.subject.endswith(f".{kind}"))
        message_id = f"{self.spec.session_id}-{self.seq}"
        await self._bus.publish_durable(feed, event, message_id=message_id, instance_id=self.spec.instance_id)

    def event(self, seq: int, kind: EventKind, data: msgspec.Struct) -> EngineEvent[Any]:
        return EngineEvent(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            generation=self.spec.generation,
            seq=seq,
            at_ns=time.time_ns(),
            kind=kind,
            data=data,
        )

    async def beat(self) -> None:
        self._beats += 1
        plan = self.spec.dead_man
        beat = Heartbeat(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            generation=self.spec.generation,
            beat=self._beats,
            monotonic_s=time.monotonic(),
            at_ns=time.time_ns(),
            state=self.state,
            last_seq=self.seq,
            brake=self.brake,
            dead_man=None if plan.policy == DeadManPolicy.CONTINUE else plan,
        )
        await self._bus.publish(contract.HEARTBEAT, beat, instance_id=self.spec.instance_id)

    async def _describe(self, request: LookIntoEngine) -> SessionSpec:
        if not self.does_describe:
            raise fault(FaultCode.CONFLICT, "this is another session")
        return self.spec

    async def _attend(self, request: Attend) -> CommandAccepted:
        self._check(request.session_id)
        self.attended.append(request)
        return self._accepted(request.request_id)

    async def _renew(self, request: RenewLease) -> CommandAccepted:
        self._check(request.session_id)
        if self.is_deaf:
            raise fault(FaultCode.UNAVAILABLE, "deaf")
        self.renewals.append(request)
        return self._accepted(request.request_id)

    async def _brake(self, command: SetBrake) -> CommandAccepted:
        self._check(command.session_id)
        if not self.does_brake:
            raise fault(FaultCode.UNAVAILABLE, "deaf")
        self.brakes.append(command)
        self.brake = command.brake
        state = RunState.IMPAIRED if command.brake.is_on else RunState.TRADING
        if self.state != state:
            await self.enter(state, detail=command.brake.text)
        return self._accepted(command.request_id, is_taken=True)

    async def _accept(self, command: EngineCommand) -> CommandAccepted:
        self._check(command.session_id)
        self.acceptances.append(command)
        await self.enter(RunState.TRADING)
        return msgspec.structs.replace(self._accepted(command.request_id), message="X differs")

    async def _withdraw(self, command: EngineCommand) -> CommandAccepted:
        self._check(command.session_id)
        self.withdrawals.append(command)
        await self.may_answer.wait()
        return self._accepted(
            command.request_id, orders_cancelled=2, positions_closed=1, not_confirmed=self.left
        )

    def _accepted(self, request_id: str | None, **what: Any) -> CommandAccepted:
        return CommandAccepted(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            request_id=request_id or "r",
            message="",
            **what,
        )

    async def _list_strategies(self, request: LookIntoEngine) -> StrategyList:
        self._check(request.session_id)
        return self._strategies("listed")

    async def _add_strategy(self, request: AddToEngine) -> StrategyList:
        self._check(request.session_id)
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        name = f"S-{len(self.strategies) + 1:03}"
        self.strategies[name] = "RUNNING" if request.start else "READY"
        return self._strategies("added", name)

    async def _change_strategy(self, request: ChangeInEngine) -> StrategyList:
        self._check(request.session_id)
        self.asked.append(request)
        if request.strategy_id not in self.strategies:
            raise fault(FaultCode.NOT_FOUND, f"no strategy {request.strategy_id}")
        return self._strategies("changed", request.strategy_id)

    def _strategies(self, message: str, strategy_id: str | None = None) -> StrategyList:
        views = (
            StrategyView(strategy_id=each, state=state, strategy_class="S")
            for each, state in self.strategies.items()
        )
        return StrategyList(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            strategies=tuple(views),
            message=message,
            strategy_id=strategy_id,
        )

    def _check(self, session_id: str | None) -> None:
        if session_id != self.spec.session_id:
            raise fault(FaultCode.CONFLICT, f"this is session {self.spec.session_id}")

    async def _stop(self, command: EngineCommand) -> CommandAccepted:
        self._check(command.session_id)
        if self.is_from_before and command.timeout_s is not None:
            raise invalid(FieldError("timeout_s", "Object contains unknown field `timeout_s`"))
        self.commands.append(command)
        await self.may_answer.wait()
        return CommandAccepted(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            request_id=command.request_id or "",
            message="stopping",
            is_taken=self.does_take,
        )


class ScriptedHost:
    """A supervisor whose containers are entries of a dict. `calls` tells what it was asked."""

    def __init__(self, bus: Bus, host: str = "h1") -> None:
        self.bus = bus
        self.host = host
        self.calls: list[tuple[str, str]] = []
        self.specs: dict[str, SessionSpec] = {}
        self.containers: dict[str, ContainerFacts] = {}
        self.engines: list[ScriptedEngine] = []
        self.refusal: Exception | None = None
        self.is_in_sight = True
        self.is_lifeless = False
        """Containers are made, but nothing comes to life in them."""
        self.runtime = "scripted"
        self.has_cache = False
        self.stop_flags: tuple[StopFlag, ...] = ()
        self.remove_refusal: Exception | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedHost"]:
        for call, handler in (
            (contract.SESSION_START, self._start),
            (contract.SESSION_STOP, self._stop),
            (contract.SESSION_KILL, self._kill),
            (contract.SESSION_REMOVE, self._remove),
            (contract.SESSION_LIST, self._list),
            (contract.HOST_EMERGENCY_STOP, self._emergency_stop),
            (contract.HOST_LIFT_STOP, self._lift_stop),
        ):
            await self.bus.serve(call, handler, host=self.host)  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat(), name="beats")
            yield self
            beating.cancel()

    def asked(self, verb: str) -> list[str]:
        return [session_id for each, session_id in self.calls if each == verb]

    async def report(self, session_id: str, status: ContainerStatus, **more: Any) -> None:
        """The container changed: says so, as Docker's events would."""
        facts = msgspec.structs.replace(self.containers[session_id], status=status, **more)
        self.containers[session_id] = facts
        await self.bus.publish(contract.HOST_CONTAINER, facts, host=self.host)

    def put(
        self,
        session_id: str,
        instance_id: str = "e1",
        generation: int = 1,
        trading_mode: TradingMode = TradingMode.PAPER,
    ) -> None:
        """A container that is there already."""
        self.containers[session_id] = ContainerFacts(
            session_id=session_id,
            instance_id=instance_id,
            generation=generation,
            host=self.host,
            name=container_name(session_id),
            status=ContainerStatus.RUNNING,
            runtime="scripted",
            started_at=datetime.now(UTC),
            trading_mode=trading_mode,
        )

    async def _beat(self) -> None:
        while True:
            if self.is_in_sight:
                beat = HostHeartbeat(
                    host=self.host,
                    runtime=self.runtime,
                    at_ns=time.time_ns(),
                    cpus=2,
                    memory_bytes=1 << 33,
                    sessions=len(self.containers),
                    version="0",
                    has_cache=self.has_cache,
                    stop_flags=self.stop_flags,
                )
                await self.bus.publish(contract.HOST_HEARTBEAT, beat, host=self.host)
                for engine in self.engines:
                    if self._runs(engine.spec.session_id):
                        await engine.beat()
            await asyncio.sleep(BEAT_S)

    def _runs(self, session_id: str) -> bool:
        return session_id in self.containers and self.containers[session_id].status == ContainerStatus.RUNNING

    async def _start(self, request: StartSession) -> ContainerFacts:
        spec = request.spec
        self.calls.append(("start", spec.session_id))
        if self.refusal is not None:
            raise self.refusal
        if spec.session_id not in self.containers:
            self.specs[spec.session_id] = spec
            self.put(spec.session_id, spec.instance_id, spec.generation, spec.trading_mode)
            if not self.is_lifeless:
                engine = ScriptedEngine(self.bus, spec)
                await engine.listen()
                self.engines.append(engine)
        return self.containers[spec.session_id]

    async def _stop(self, request: StopSession) -> ContainerFacts:
        self.calls.append(("stop", request.session_id))
        return await self._end(request.session_id, exit_code=0)

    async def _kill(self, request: WhichSession) -> ContainerFacts:
        self.calls.append(("kill", request.session_id))
        return await self._end(request.session_id, exit_code=137)

    async def _end(self, session_id: str, exit_code: int) -> ContainerFacts:
        if session_id not in self.containers:
            raise fault(FaultCode.NOT_FOUND, f"no session {session_id}")
        await self.report(session_id, ContainerStatus.EXITED, exit_code=exit_code)
        return self.containers[session_id]

    async def _remove(self, request: WhichSession) -> ContainerFacts:
        if self.remove_refusal is not None:
            raise self.remove_refusal
        known = self.containers.get(request.session_id)
        if known and known.status == ContainerStatus.RUNNING:
            raise fault(FaultCode.CONFLICT, f"session {request.session_id} runs")
        self.calls.append(("remove", request.session_id))
        facts = self.containers.pop(request.session_id, None)
        if facts is None:
            raise fault(FaultCode.NOT_FOUND, f"no session {request.session_id}")
        return msgspec.structs.replace(facts, status=ContainerStatus.GONE)

    async def _emergency_stop(self, request: EmergencyStop) -> HostStopped:
        """Sets the flag and ends every container it names; the sidecars die without a word."""
        self.calls.append(("emergency_stop", request.instance_id or "all"))
        flag = StopFlag(since=datetime.now(UTC), instance_id=request.instance_id, reason=request.reason)
        self.stop_flags = (*self.stop_flags, flag)
        receipts: list[EmergencyReceipt] = []
        for facts in list(self.containers.values()):
            if self._runs(facts.session_id) and request.instance_id in (None, facts.instance_id):
                await self._end(facts.session_id, exit_code=137)
                receipts.append(
                    EmergencyReceipt(
                        instance_id=facts.instance_id,
                        session_id=facts.session_id,
                        host=self.host,
                        is_flat=False,
                        is_gone=True,
                        is_killed=True,
                        not_confirmed=("nobody told",),
                    )
                )
        return HostStopped(host=self.host, receipts=tuple(receipts), flags=self.stop_flags)

    async def _lift_stop(self, request: LiftStop) -> StopFlags:
        self.stop_flags = tuple(
            flag
            for flag in self.stop_flags
            if request.instance_id is not None and flag.instance_id != request.instance_id
        )
        return StopFlags(flags=self.stop_flags)

    async def _list(self, _: ListContainers) -> ContainerList:
        if not self.is_in_sight:
            raise fault(FaultCode.UNAVAILABLE, "out of sight")
        return ContainerList(containers=tuple(self.containers.values()))


class Bench:
    """What a test of the orchestrator holds: an operator's connection, a host, and the orchestrator itself."""

    def __init__(self, operator: Bus, host: ScriptedHost, settings: OrchestratorSettings) -> None:
        self.operator = operator
        self.host = host
        self.settings = settings
        self.clock = Clock()
        self.alerts: list[FleetAlert] = []
        self.made: Orchestrator

    @asynccontextmanager
    async def orchestrating(self, bus: Bus) -> AsyncIterator[Orchestrator]:
        """An orchestrator that is ready; every subject it uses must be permitted to it."""
        async with orchestrator(self.settings, self.clock)(bus) as made:
            await until(self._checks(made), lambda checks: set(checks.values()) == {"ok"})
            await until(self._metrics(made), lambda metrics: metrics["hosts_in_sight"] == 1)
            self.made = made
            yield made
            assert bus.client.denied == 0
            await bus.drain()  # as bus.host does it: the service is left when it is asked nothing any more

    @asynccontextmanager
    async def coming_up(self, bus: Bus) -> AsyncIterator[Orchestrator]:
        """An orchestrator that perhaps waits for what it needs."""
        async with orchestrator(self.settings, self.clock)(bus) as made:
            yield made
            assert bus.client.denied == 0
            await bus.drain()

    async def hear_alerts(self) -> None:
        """Notes the alerts of the fleet from now on."""

        async def hear(alert: FleetAlert, _: object) -> None:
            self.alerts.append(alert)

        await self.operator.listen(contract.FLEET_ALERT, hear)

    async def alert(self, code: str, within_s: float = 15.0) -> FleetAlert:
        """The first alert with this code."""

        async def find() -> FleetAlert | None:
            return next((each for each in self.alerts if each.code == code), None)

        found = await until(find, within_s=within_s)
        assert found is not None
        return found

    def later(self, seconds: float) -> None:
        """Sets the orchestrator's clock on."""
        self.clock.ahead += timedelta(seconds=seconds)

    async def call[Q, R](self, call: Call[Q, R], request: Q) -> R:
        return await self.operator.call(call, request)

    async def start(self, instance_id: str = "e1", **chosen: Any) -> EngineAccepted:
        config = EngineConfig(instance_id=instance_id, engine_type="sandbox", **chosen)
        return await self.call(contract.ENGINE_START, StartEngine(config=config))

    async def trading(self, instance_id: str = "e1", **chosen: Any) -> ScriptedEngine:
        """An engine that was started and trades."""
        accepted = await self.start(instance_id, **chosen)
        engine = await self.engine(accepted.session_id)
        await engine.enter(RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)
        await self.state(RunState.TRADING, instance_id)
        return engine

    async def engine(self, session_id: str | None) -> ScriptedEngine:
        """The sidecar of a session, once its container was started."""

        async def find() -> ScriptedEngine | None:
            return next((each for each in self.host.engines if each.spec.session_id == session_id), None)

        found = await until(find)
        assert found is not None
        return found

    async def view(self, instance_id: str = "e1") -> EngineView:
        status: FleetStatus = await self.call(contract.ENGINE_STATUS, WhichEngine(instance_id=instance_id))
        assert status.engine is not None
        return status.engine

    async def state(self, state: RunState, instance_id: str = "e1", within_s: float = 10.0) -> EngineView:
        """The engine once its session is in this state."""

        async def ask() -> EngineView:
            return await self.view(instance_id)

        return await until(
            ask, lambda view: view.session is not None and view.session.state == state, within_s=within_s
        )

    @staticmethod
    def _checks(made: Orchestrator) -> Callable[[], Awaitable[dict[str, str]]]:
        async def ask() -> dict[str, str]:
            return made.checks()

        return ask

    @staticmethod
    def _metrics(made: Orchestrator) -> Callable[[], Awaitable[dict[str, float]]]:
        async def ask() -> dict[str, float]:
            return made.metrics()

        return ask


def write_sources(folder: Path, dsn: str) -> OrchestratorSettings:
    """Settings with templates and a catalog of their own."""
    for kind, template in (
        ("engines", ENGINE_TEMPLATE),
        ("engines", PAPER_TEMPLATE),
        ("engines", LIVE_TEMPLATE),
        ("strategies", STRATEGY_TEMPLATE),
        ("venues", VENUE_TEMPLATE),
    ):
        (folder / "templates" / kind).mkdir(parents=True, exist_ok=True)
        path = folder / "templates" / kind / f"{template['name']}.json"
        path.write_bytes(msgspec.json.encode(template))
    bars = folder / "catalog" / "data" / "bar" / BARS
    bars.mkdir(parents=True)
    (bars / "1999-01-04T00-00-00-000000000Z_2018-12-31T00-00-00-000000000Z.parquet").write_bytes(b"x" * 10)
    return msgspec.structs.replace(
        OrchestratorSettings.from_env({}),
        dsn=dsn,
        catalog=folder / "catalog",
        templates=(folder / "templates",),
    )


@pytest.fixture
async def idle(connect_as: "ConnectAs", bus: Bus, tmp_path: Path, postgres_dsn: str) -> AsyncIterator[Bench]:
    """A bench without an orchestrator."""
    host = ScriptedHost(await connect_as(Actor.OPERATOR))
    async with host.running():
        yield Bench(bus, host, write_sources(tmp_path, postgres_dsn))


@pytest.fixture
async def bench(idle: Bench, connect_as: "ConnectAs") -> AsyncIterator[Bench]:
    """A bench with an orchestrator that is ready."""
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        yield idle


async def refused(bench: Bench, call: Call[Any, Any], request: object) -> Fault:
    """The fault that a call is refused with."""
    with pytest.raises(FaultError) as raised:
        await bench.call(call, request)
    return raised.value.fault


__all__ = [
    "Actor",
    "Bench",
    "Clock",
    "ScriptedEngine",
    "ScriptedHost",
    "bench",
    "idle",
    "refused",
    "until",
    "write_sources",
]
