"""An orchestrator on a real bus and a real PostgreSQL, with a host and engines that do what the test says."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from bus.bus import Bus
from schemas import contract
from schemas.config import EngineConfig
from schemas.contract import Actor, Call
from schemas.engine import EngineAccepted, EngineView, FleetStatus, StartEngine, WhichEngine
from schemas.fault import FaultCode, fault
from schemas.session import (
    CommandAccepted,
    ContainerFacts,
    ContainerList,
    ContainerStatus,
    EngineCommand,
    ListContainers,
    SessionSpec,
    StartSession,
    StopSession,
    WhichSession,
    container_name,
)
from schemas.states import RunState
from schemas.telemetry import EngineEvent, EventKind, Heartbeat, HostHeartbeat, StateChange
from services.orchestrator.service import Orchestrator, orchestrator
from services.orchestrator.settings import OrchestratorSettings

BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
BEAT_S: Final = 0.2
ENGINE_TEMPLATE: Final = {
    "name": "sandbox",
    "description": "d",
    "engine_type": "sandbox",
    "trading_mode": "paper",
    "parameters": {"speed": {"type": "number", "help": "h", "default": 0.0, "min": 0}},
    "defaults": {"stop_policy": "flatten", "strategies": [{"template": "ema_cross"}]},
    "node": {"trader_id": "{trader_id}", "data_clients": {"SIM": {"config": {"speed": "{speed}"}}}},
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


class Clock:
    """The real time, and as much later as the test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class ScriptedEngine:
    """A sidecar: publishes what the test says under increasing numbers, and takes the stop command."""

    def __init__(self, bus: Bus, spec: SessionSpec) -> None:
        self.spec = spec
        self.seq = 0
        self.commands: list[EngineCommand] = []
        self.state = RunState.BOOTING
        self._bus = bus
        self._beats = 0

    async def listen(self) -> None:
        await self._bus.serve(contract.COMMAND_STOP, self._stop, instance_id=self.spec.instance_id)

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
        beat = Heartbeat(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            generation=self.spec.generation,
            beat=self._beats,
            at_ns=time.time_ns(),
            state=self.state,
        )
        await self._bus.publish(contract.HEARTBEAT, beat, instance_id=self.spec.instance_id)

    async def _stop(self, command: EngineCommand) -> CommandAccepted:
        if command.session_id != self.spec.session_id:
            raise fault(FaultCode.CONFLICT, f"this is session {self.spec.session_id}")
        self.commands.append(command)
        return CommandAccepted(
            instance_id=self.spec.instance_id,
            session_id=self.spec.session_id,
            request_id=command.request_id or "",
            message="stopping",
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

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedHost"]:
        for call, handler in (
            (contract.SESSION_START, self._start),
            (contract.SESSION_STOP, self._stop),
            (contract.SESSION_KILL, self._kill),
            (contract.SESSION_REMOVE, self._remove),
            (contract.SESSION_LIST, self._list),
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

    def put(self, session_id: str, instance_id: str = "e1", generation: int = 1) -> None:
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
        )

    async def _beat(self) -> None:
        while True:
            if self.is_in_sight:
                beat = HostHeartbeat(
                    host=self.host,
                    runtime="scripted",
                    at_ns=time.time_ns(),
                    cpus=2,
                    memory_bytes=1 << 33,
                    sessions=len(self.containers),
                    version="0",
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
            self.put(spec.session_id, spec.instance_id, spec.generation)
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
        self.calls.append(("remove", request.session_id))
        facts = self.containers.pop(request.session_id, None)
        if facts is None:
            raise fault(FaultCode.NOT_FOUND, f"no session {request.session_id}")
        return msgspec.structs.replace(facts, status=ContainerStatus.GONE)

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
        self.told: list[EngineView] = []

    @asynccontextmanager
    async def orchestrating(self, bus: Bus) -> AsyncIterator[Orchestrator]:
        """An orchestrator that is ready; every subject it uses must be permitted to it."""
        async with orchestrator(self.settings, self.clock)(bus) as made:
            await until(self._checks(made), lambda checks: set(checks.values()) == {"ok"})
            await until(self._metrics(made), lambda metrics: metrics["hosts_in_sight"] == 1)
            yield made
            assert bus.client.denied == 0
            await bus.drain()  # as bus.host does it: the service is left when it is asked nothing any more

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
    for kind, template in (("engines", ENGINE_TEMPLATE), ("strategies", STRATEGY_TEMPLATE)):
        (folder / "templates" / kind).mkdir(parents=True)
        path = folder / "templates" / kind / f"{template['name']}.json"
        path.write_bytes(msgspec.json.encode(template))
    bars = folder / "catalog" / "data" / "bar" / BARS
    bars.mkdir(parents=True)
    (bars / "1999-01-04T00-00-00-000000000Z_2018-12-31T00-00-00-000000000Z.parquet").write_bytes(b"x" * 10)
    return OrchestratorSettings(
        dsn=dsn,
        password_file=None,
        catalog=folder / "catalog",
        templates=folder / "templates",
        log_level="INFO",
    )


__all__ = ["Actor", "Bench", "Clock", "ScriptedEngine", "ScriptedHost", "until", "write_sources"]
