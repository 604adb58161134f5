"""Performs what the core decided. Each effect may come again: it is sent once at a time, and sending it twice does no harm."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import bind, get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.brakes import SetBrake
from flotilla.schemas.contract import (
    COMMAND_BRAKE,
    COMMAND_STOP,
    FLEET_ALERT,
    FLEET_STATE,
    SESSION_CALL_OFF,
    SESSION_KILL,
    SESSION_REMOVE,
    SESSION_START,
    SESSION_STOP,
)
from flotilla.schemas.fault import Fault, FaultCode, FaultError, fault
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    EngineCommand,
    StartSession,
    StopSession,
    WhichSession,
)
from flotilla.services.orchestrator.engines.core.effects import (
    CallOff,
    CommandBrake,
    CommandStop,
    ContainerEffect,
    Effect,
    KillContainer,
    LookAgain,
    PublishState,
    RaiseAlert,
    RemoveContainer,
    StartAgain,
    StartContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.core.views import record_view
from flotilla.services.orchestrator.engines.ports import Record
from flotilla.services.orchestrator.engines.untold import Untold

log = get_logger(__name__)


class Alerts:
    """What people were told since we started, and what they are still to be told."""

    def __init__(self, bus: Bus) -> None:
        self._told: set[str] = set()
        self._untold = Untold[RaiseAlert](bus)

    async def tell(self, effect: RaiseAlert) -> None:
        """Tells people, unless the same was told before."""
        if effect.key in self._told:
            return
        self._told.add(effect.key)
        alert = effect.alert
        # `message` is taken by the log line itself.
        log.warning(
            "alert",
            code=alert.code,
            severity=str(alert.severity),
            text=alert.message,
            about=alert.instance_id,
        )
        await self._publish(effect)

    async def tell_again(self) -> None:
        """Publishes what the bus did not take before."""
        for effect in self._untold:
            await self._publish(effect)

    async def _publish(self, effect: RaiseAlert) -> None:
        # The stream compares ids: whoever takes over from us may publish the same once more.
        await self._untold.publish(effect, FLEET_ALERT, effect.alert, message_id=effect.key)


type Clock = Callable[[], datetime]
type Report = Callable[[ContainerEffect, Fault | None, bool], None]
type Again = Callable[[StartAgain], Awaitable[None]]


class Actions:
    """The hands of the orchestrator.

    `report` is told how each effect on a container or sidecar went, and of a stop whether its engine has taken it; `look` reconciles an engine; `again` begins restarts.
    """

    def __init__(
        self,
        bus: Bus,
        record: Record,
        fleet: Fleet,
        sightings: FleetSightings,
        clock: Clock,
        *,
        alerts: Alerts,
        report: Report,
        look: Callable[[str], None],
        again: Again,
    ) -> None:
        self._bus = bus
        self._record = record
        self._fleet = fleet
        self._sightings = sightings
        self._clock = clock
        self._alerts = alerts
        self._report = report
        self._look = look
        self._again = again
        self._tasks = Tasks()
        self._under_way: set[ContainerEffect | StartAgain] = set()
        self.untold = Untold[str](bus)
        """Engines whose present state the fleet has not been told."""

    async def perform(self, effect: Effect) -> None:
        """Performs an effect: publishes in the order of the turns, and begins all else."""
        if isinstance(effect, PublishState):
            await self.publish(effect.engine)
        else:
            self.begin(effect)

    def begin(self, effect: Effect) -> None:
        """Begins an effect, unless the same is under way."""
        match effect:
            case PublishState(engine):
                self._tasks.start(self.publish(engine), name=f"publish:{engine.instance_id}")
            case LookAgain(instance_id, at):
                self._tasks.start(self._look_at(instance_id, at), name=f"look:{instance_id}")
            case RaiseAlert(_, key):
                self._tasks.start(self._alerts.tell(effect), name=f"alert:{key}")
            case StartAgain() if effect not in self._under_way:
                self._under_way.add(effect)
                self._tasks.start(self._start_again(effect), name=f"again:{effect.session_id}")
            case StartAgain():
                pass
            case _ if effect not in self._under_way:
                self._under_way.add(effect)
                self._tasks.start(self._perform(effect), name=f"{type(effect).__name__}:{effect.session_id}")

    async def publish(self, engine: Engine) -> None:
        """Tells the fleet what the record says of an engine; what fails is noted and told again in the next round."""
        present = engine.session.session_id if engine.session else engine.instance_id
        await self.untold.publish(
            engine.instance_id,
            FLEET_STATE,
            record_view(engine, self._clock()),
            # The stream holds engines' events too, whose ids are <session_id>-<seq>: one id for two messages loses one.
            message_id=f"fleet-{present}-{engine.version}",
            instance_id=engine.instance_id,
        )

    async def close(self) -> None:
        """Ends what goes on behind; the next round of whoever comes after us derives it again."""
        await self._tasks.close()

    async def _look_at(self, instance_id: str, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self._clock()).total_seconds()))
        self._look(instance_id)

    async def _start_again(self, effect: StartAgain) -> None:
        try:
            await self._again(effect)
        finally:
            self._under_way.discard(effect)

    async def _perform(self, effect: ContainerEffect) -> None:
        with bind(instance_id=effect.instance_id, session_id=effect.session_id):
            try:
                is_taken = await self._send(effect)
            except FaultError as error:
                self._failed(effect, error.fault)
            else:
                log.info("effect done", effect=type(effect).__name__)
                self._report(effect, None, is_taken)
            finally:
                self._under_way.discard(effect)

    async def _send(self, effect: ContainerEffect) -> bool:
        """Sends an effect; True when it was a stop and the engine itself has taken it. Raises FaultError."""
        session_id = effect.session_id
        match effect:
            case StartContainer(host=host):
                await self._start(effect, host)
            case CallOff(host=host):
                facts = await self._call(SESSION_CALL_OFF, WhichSession(session_id=session_id), host)
                self._saw(facts)
                if facts.status != ContainerStatus.GONE:
                    raise fault(FaultCode.CONFLICT, f"session {session_id} has begun: it is {facts.status}")
            case StopContainer(host=host, timeout_s=timeout_s):
                stop = StopSession(session_id=session_id, timeout_s=timeout_s)
                self._saw(await self._call(SESSION_STOP, stop, host))
            case KillContainer(host=host):
                self._saw(await self._call(SESSION_KILL, WhichSession(session_id=session_id), host))
            case RemoveContainer(host=host):
                await self._call(SESSION_REMOVE, WhichSession(session_id=session_id), host)
                self._sightings.forget_container(session_id)
            case CommandStop():
                return await self._command_stop(effect)
            case CommandBrake(brake=brake):
                put = SetBrake(session_id=session_id, brake=brake)
                await self._bus.call(COMMAND_BRAKE, put, instance_id=effect.instance_id)
        return False

    async def _command_stop(self, effect: CommandStop) -> bool:
        """Tells the sidecar to stop; whether the engine has taken it, as far as the sidecar knows."""
        left_s = max(1.0, (effect.until - self._clock()).total_seconds())
        command = EngineCommand(session_id=effect.session_id, policy=effect.policy, timeout_s=left_s)
        try:
            answer = await self._bus.call(COMMAND_STOP, command, instance_id=effect.instance_id)
        except FaultError as error:
            if error.fault.code != FaultCode.INVALID:
                raise
            # Its sidecar is from before a stop could say how long it may take: the session's own time holds.
            command = msgspec.structs.replace(command, timeout_s=None)
            answer = await self._bus.call(COMMAND_STOP, command, instance_id=effect.instance_id)
        return answer.is_taken is True

    async def _start(self, effect: StartContainer, host: str) -> None:
        """Has the host start the session, unless it was ordered to end meanwhile."""
        spec = await self._record.spec(effect.session_id)
        if spec is None:
            raise fault(FaultCode.NOT_FOUND, f"session {effect.session_id} is not on record")
        engine = self._fleet.get(effect.instance_id)
        if engine is None or not _is_wanted(engine, effect.session_id):
            log.info("start left out: it is not wanted any more")
            return
        # A brake that was put on since the session is on record holds from its beginning.
        spec = msgspec.structs.replace(spec, brake=engine.brake, losses=engine.losses)
        self._saw(await self._call(SESSION_START, StartSession(spec=spec), host), is_new=True)

    async def _call(self, call: Any, request: Any, host: str) -> ContainerFacts:
        facts: ContainerFacts = await self._bus.call(call, request, host=host)
        return facts

    def _saw(self, facts: ContainerFacts, *, is_new: bool = False) -> None:
        self._sightings.saw_container(facts, self._clock(), is_new=is_new)

    def _failed(self, effect: ContainerEffect, problem: Fault) -> None:
        log.warning(
            "effect failed", effect=type(effect).__name__, code=str(problem.code), error=problem.message
        )
        if problem.code == FaultCode.NOT_FOUND and isinstance(effect, RemoveContainer):
            self._sightings.forget_container(effect.session_id)
        self._report(effect, problem, False)


def _is_wanted(engine: Engine, session_id: str) -> bool:
    """True while the session is to begin: it is its engine's present one, and nobody has ordered its end."""
    session = engine.session
    is_present = session is not None and session.session_id == session_id
    return session is not None and is_present and session.stop is None and not session.is_over
