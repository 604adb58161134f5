"""Answers the supervisor's calls: most are a verb of the runtime, and the answer is facts about containers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bus.bus import Bus
from bus.logs import get_logger
from bus.tasks import Tasks
from schemas.contract import (
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    PLAN_CHECK,
    SESSION_CALL_OFF,
    SESSION_INSPECT,
    SESSION_KILL,
    SESSION_LIST,
    SESSION_REMOVE,
    SESSION_START,
    SESSION_STOP,
    Call,
)
from schemas.fault import FaultCode, FaultError, fault
from schemas.session import (
    ContainerFacts,
    ContainerList,
    ContainerStatus,
    ListContainers,
    StartSession,
    StopSession,
    WhichSession,
)
from services.supervisor.called_off import CalledOff
from services.supervisor.checks import PlanChecks
from services.supervisor.core.facts import is_running
from services.supervisor.emergency import EmergencyStops
from services.supervisor.launching import Launches
from services.supervisor.ports import ContainerRuntime
from services.supervisor.stop_orders import StopOrders
from services.supervisor.turns import Turns

log = get_logger(__name__)

START_PATIENCE_S: Final = 2.0
"""How long a call-off waits for a start that is under way; then it is asked again."""
SILENT_S: Final = 12.0
"""A sidecar that has not turned its loop for so long after SIGTERM will not obey it."""
PULSE_S: Final = 3.0
_NOT_BEGUN: Final = (ContainerStatus.CREATED, ContainerStatus.GONE)

type _Handler = Callable[[Any], Awaitable[Any]]


class Handlers:
    """What the supervisor of one host answers. Stops go on in the background; `close` lets go of them, not of the engines."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        launches: Launches,
        *,
        orders: StopOrders,
        called_off: CalledOff,
        emergency: EmergencyStops,
        checks: PlanChecks,
    ) -> None:
        self._runtime = runtime
        self._launches = launches
        self._orders = orders
        self._called_off = called_off
        self._starts: Turns[str] = Turns()
        self._emergency = emergency
        self._checks = checks
        self._stops = Tasks()
        self._stop_by: dict[str, float] = {}

    async def serve(self, bus: Bus, host: str) -> None:
        """Answers on `engine.*` together with the other hosts, and on `host.<host>.engine.*` alone.

        Some things are for a host that was named, never for whichever comes first: an emergency stop, and the promise that a
        session never begins.
        """
        for call, handler in self._table():
            await bus.serve(call, handler)
            await bus.serve(call, handler, host=host)
        await bus.serve(SESSION_CALL_OFF, self.call_off, host=host)
        await bus.serve(HOST_EMERGENCY_STOP, self._emergency.stop, host=host)
        await bus.serve(HOST_LIFT_STOP, self._emergency.lift, host=host)

    async def start(self, request: StartSession) -> ContainerFacts:
        """Makes the session run, with credentials of its own; not one that was called off, nor while a stop flag names its engine."""
        spec = request.spec
        async with self._orders.starting(spec) as start, self._starts.take(spec.session_id):

            def go_on() -> None:
                self._called_off.refuse(spec.session_id)
                start.refuse_caught()

            self._called_off.refuse(spec.session_id)
            facts = await self._runtime.ensure(spec, await self._launches.line(spec), go_on)
            if start.is_caught:
                await self._runtime.kill(spec.session_id)
                start.refuse_caught()
        log.info("session ensured", **_ids(facts), status=str(facts.status))
        return facts

    async def call_off(self, request: WhichSession) -> ContainerFacts:
        """A session that has not begun never will: `gone`. One that runs or has ended is left alone and reported.

        Raises FaultError `unavailable` while its start is under way; it is called off all the same.
        """
        facts = await self._look(request.session_id)
        if facts is not None and facts.status not in _NOT_BEGUN:
            return facts
        await self._called_off.add(request.session_id)
        try:
            async with asyncio.timeout(START_PATIENCE_S), self._starts.take(request.session_id):
                facts = await self._look(request.session_id)
        except TimeoutError:
            raise fault(
                FaultCode.UNAVAILABLE, "its start is under way and is called off", retry_after_s=1.0
            ) from None
        if facts is None or facts.status in _NOT_BEGUN:
            facts = await self._runtime.remove(request.session_id)
            log.info("start called off", session_id=request.session_id)
        return facts

    async def stop(self, request: StopSession) -> ContainerFacts:
        """Begins to stop, or calls off the start, and answers at once. Asked again, the earlier end of patience holds."""
        facts = await self._begun(request.session_id)
        stop_by = asyncio.get_running_loop().time() + request.timeout_s
        if is_running(facts) and stop_by < self._stop_by.get(request.session_id, float("inf")):
            self._stop_by[request.session_id] = stop_by
            log.info("session stopping", **_ids(facts), timeout_s=request.timeout_s)
            self._stops.start(
                self._stop(request.session_id, request.timeout_s), name=f"stop:{request.session_id}"
            )
        return facts

    async def kill(self, request: WhichSession) -> ContainerFacts:
        """Kills the session, or calls off its start."""
        facts = await self._begun(request.session_id)
        if not is_running(facts):
            return facts
        facts = await self._runtime.kill(request.session_id)
        log.info("session killed", **_ids(facts), exit_code=facts.exit_code)
        return facts

    async def remove(self, request: WhichSession) -> ContainerFacts:
        """Deletes what is left of the session, which never starts again.

        Raises FaultError `busy` while an emergency stop still has to see how it ended.
        """
        if self._emergency.is_ending(request.session_id):
            raise fault(FaultCode.BUSY, "an emergency stop is looking at how it ended", retry_after_s=1.0)
        await self._called_off.add(request.session_id)
        facts = await self._runtime.remove(request.session_id)
        await self._launches.forget(request.session_id)
        return facts

    async def inspect(self, request: WhichSession) -> ContainerFacts:
        """What the runtime says of the session."""
        return await self._runtime.inspect(request.session_id)

    async def list(self, _: ListContainers) -> ContainerList:
        """All sessions of this host."""
        return ContainerList(containers=await self._runtime.list())

    async def close(self) -> None:
        """Forgets the stops under way; runtime or next supervisor keep their deadlines."""
        await self._stops.close()
        await self._emergency.close()

    async def _stop(self, session_id: str, timeout_s: float) -> None:
        try:
            stopping = self._stops.start(
                self._runtime.stop(session_id, timeout_s), name=f"stopping:{session_id}"
            )
            await self._kill_if_silent(session_id, stopping)
            facts = await stopping
            log.info("session stopped", **_ids(facts), exit_code=facts.exit_code)
        finally:
            self._stop_by.pop(session_id, None)

    async def _kill_if_silent(self, session_id: str, stopping: asyncio.Task[ContainerFacts]) -> None:
        """Ends the wait for a sidecar that is known not to obey; one that turns has all of its time."""
        pulse = await self._pulse(session_id)
        await asyncio.wait({stopping}, timeout=SILENT_S)
        if not stopping.done() and pulse is not None and pulse == await self._pulse(session_id):
            log.warning("sidecar is silent and is killed", session_id=session_id, silent_s=SILENT_S)
            await self._runtime.kill(session_id)

    async def _pulse(self, session_id: str) -> str | None:
        try:
            async with asyncio.timeout(PULSE_S):
                return await self._runtime.pulse(session_id)
        except TimeoutError:
            return None

    async def _begun(self, session_id: str) -> ContainerFacts:
        """The session's facts, its start called off if it has not begun. Raises FaultError `not_found`, which promises nothing."""
        if session_id in self._starts:
            return await self.call_off(WhichSession(session_id=session_id))
        facts = await self._runtime.inspect(session_id)
        if facts.status in _NOT_BEGUN:
            return await self.call_off(WhichSession(session_id=session_id))
        return facts

    async def _look(self, session_id: str) -> ContainerFacts | None:
        """What the runtime says of the session, None when there is none."""
        try:
            return await self._runtime.inspect(session_id)
        except FaultError as error:
            if error.fault.code != FaultCode.NOT_FOUND:
                raise
            return None

    def _table(self) -> tuple[tuple[Call[Any, Any], _Handler], ...]:
        return (
            (SESSION_START, self.start),
            (SESSION_STOP, self.stop),
            (SESSION_KILL, self.kill),
            (SESSION_REMOVE, self.remove),
            (SESSION_INSPECT, self.inspect),
            (SESSION_LIST, self.list),
            (PLAN_CHECK, self._checks.check),
        )


def _ids(facts: ContainerFacts) -> dict[str, str]:
    return {"instance_id": facts.instance_id, "session_id": facts.session_id}
