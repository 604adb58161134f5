"""Answers the supervisor's calls: most are a verb of the runtime, and the answer is facts about containers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bus.bus import Bus
from bus.logs import get_logger
from bus.tasks import Tasks
from schemas.contract import (
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    PLAN_CHECK,
    SESSION_INSPECT,
    SESSION_KILL,
    SESSION_LIST,
    SESSION_REMOVE,
    SESSION_START,
    SESSION_STOP,
    Call,
)
from schemas.fault import FaultCode, fault
from schemas.session import (
    ContainerFacts,
    ContainerList,
    ListContainers,
    StartSession,
    StopSession,
    WhichSession,
)
from services.supervisor.checks import PlanChecks
from services.supervisor.core.facts import is_running
from services.supervisor.emergency import EmergencyStops
from services.supervisor.launching import Launches
from services.supervisor.ports import ContainerRuntime
from services.supervisor.stop_orders import StopOrders

log = get_logger(__name__)

type _Handler = Callable[[Any], Awaitable[Any]]


class Handlers:
    """What the supervisor of one host answers. Stops go on in the background; `close` lets go of them, not of the engines."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        launches: Launches,
        orders: StopOrders,
        emergency: EmergencyStops,
        checks: PlanChecks,
    ) -> None:
        self._runtime = runtime
        self._launches = launches
        self._orders = orders
        self._emergency = emergency
        self._checks = checks
        self._stops = Tasks()
        self._stop_by: dict[str, float] = {}

    async def serve(self, bus: Bus, host: str) -> None:
        """Answers on `engine.*` together with the other hosts, and on `host.<host>.engine.*` alone.

        An emergency stop is for a host that was named, never for whichever comes first.
        """
        for call, handler in self._table():
            await bus.serve(call, handler)
            await bus.serve(call, handler, host=host)
        await bus.serve(HOST_EMERGENCY_STOP, self._emergency.stop, host=host)
        await bus.serve(HOST_LIFT_STOP, self._emergency.lift, host=host)

    async def start(self, request: StartSession) -> ContainerFacts:
        """Makes the session run, with credentials of its own; not while a stop flag names its engine."""
        spec = request.spec
        async with self._orders.starting(spec) as start:
            facts = await self._runtime.ensure(spec, await self._launches.line(spec))
            if start.is_caught:
                await self._runtime.kill(spec.session_id)
                raise fault(FaultCode.CONFLICT, "an emergency stop came while it was being started")
        log.info("session ensured", **_ids(facts), status=str(facts.status))
        return facts

    async def stop(self, request: StopSession) -> ContainerFacts:
        """Begins to stop and answers at once. Asked again, the earlier end of patience holds."""
        facts = await self._runtime.inspect(request.session_id)
        stop_by = asyncio.get_running_loop().time() + request.timeout_s
        if is_running(facts) and stop_by < self._stop_by.get(request.session_id, float("inf")):
            self._stop_by[request.session_id] = stop_by
            log.info("session stopping", **_ids(facts), timeout_s=request.timeout_s)
            self._stops.start(
                self._stop(request.session_id, request.timeout_s), name=f"stop:{request.session_id}"
            )
        return facts

    async def kill(self, request: WhichSession) -> ContainerFacts:
        """Kills the session."""
        facts = await self._runtime.kill(request.session_id)
        log.info("session killed", **_ids(facts), exit_code=facts.exit_code)
        return facts

    async def remove(self, request: WhichSession) -> ContainerFacts:
        """Deletes what is left of the session; `busy` while an emergency stop still has to see how it ended."""
        if self._emergency.is_ending(request.session_id):
            raise fault(FaultCode.BUSY, "an emergency stop is looking at how it ended", retry_after_s=1.0)
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
            facts = await self._runtime.stop(session_id, timeout_s)
            log.info("session stopped", **_ids(facts), exit_code=facts.exit_code)
        finally:
            self._stop_by.pop(session_id, None)

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
