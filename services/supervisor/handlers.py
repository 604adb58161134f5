"""Answers the supervisor's calls: most are a verb of the runtime, and the answer is facts about containers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import (
    CATALOG_CHANGE,
    CATALOG_READ,
    DATA_IMPORT,
    DATA_UPLOAD,
    HOST_EMERGENCY_STOP,
    HOST_LIFT_STOP,
    IMPORT_LIST,
    INSTRUMENT_REMOVE,
    PACKAGE_CHECK,
    PACKAGE_PYTHON,
    PLAN_CHECK,
    RENEW_CREDENTIAL,
    SESSION_CALL_OFF,
    SESSION_INSPECT,
    SESSION_KILL,
    SESSION_LIST,
    SESSION_REMOVE,
    SESSION_START,
    SESSION_STOP,
    Call,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import (
    ContainerFacts,
    ContainerList,
    ContainerStatus,
    ListContainers,
    StartSession,
    StopSession,
    WhichSession,
)
from flotilla.services.supervisor.called_off import CalledOff
from flotilla.services.supervisor.catalog import HostCatalog
from flotilla.services.supervisor.checks import PlanChecks
from flotilla.services.supervisor.core.facts import is_running
from flotilla.services.supervisor.emergency import EmergencyStops
from flotilla.services.supervisor.imports import Imports
from flotilla.services.supervisor.keyed_locks import KeyedLocks
from flotilla.services.supervisor.launching import Launches
from flotilla.services.supervisor.ports import ContainerRuntime
from flotilla.services.supervisor.stop_gate import StopGate
from flotilla.services.supervisor.stops import Stops

log = get_logger(__name__)

START_PATIENCE_S: Final = 2.0
"""How long a call-off waits for a start that is under way; then it is asked again."""
_NOT_BEGUN: Final = (ContainerStatus.CREATED, ContainerStatus.GONE)

type _Handler = Callable[[Any], Awaitable[Any]]


class Handlers:
    """What the supervisor of one host answers."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        launches: Launches,
        *,
        orders: StopGate,
        stops: Stops,
        called_off: CalledOff,
        emergency: EmergencyStops,
        checks: PlanChecks,
        catalog: HostCatalog,
        imports: Imports,
    ) -> None:
        self._runtime = runtime
        self._launches = launches
        self._orders = orders
        self._stops = stops
        self._called_off = called_off
        self._starts: KeyedLocks[str] = KeyedLocks()
        self._emergency = emergency
        self._checks = checks
        self._catalog = catalog
        self._imports = imports

    async def serve(self, bus: Bus, host: str) -> None:
        """Answers on `engine.*` together with the other hosts, and on `host.<host>.engine.*` alone.

        Some things are for a host that was named, never for whichever comes first: an emergency stop, the promise that a session
        never begins, a change of its catalog, and the renewal of a credential that only its own host knows.
        """
        for call, handler in self._table():
            await bus.serve(call, handler)
            await bus.serve(call, handler, host=host)
        await bus.serve(SESSION_CALL_OFF, self.call_off, host=host)
        await bus.serve(CATALOG_CHANGE, self._catalog.remove, host=host)
        await bus.serve(INSTRUMENT_REMOVE, self._catalog.remove_instrument, host=host)
        await bus.serve(DATA_UPLOAD, self._imports.upload, host=host)
        await bus.serve(DATA_IMPORT, self._imports.begin, host=host)
        await bus.serve(IMPORT_LIST, self._imports.list, host=host)
        await bus.serve(RENEW_CREDENTIAL, self._launches.desk.renew, host=host)
        await bus.serve(HOST_EMERGENCY_STOP, self._emergency.stop, host=host)
        await bus.serve(HOST_LIFT_STOP, self._emergency.lift, host=host)

    async def start(self, request: StartSession) -> ContainerFacts:
        """Makes the session run, with credentials of its own; not one that was called off, nor while a stop flag names its engine."""
        spec = request.spec
        async with self._orders.starting(spec) as start, self._starts.take(spec.session_id):

            def go_on() -> None:
                self._called_off.refuse(spec.session_id)
                # From the moment at which a flag is set: the stop catches us only once it knows what runs.
                self._orders.refuse(spec)
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
            await self._launches.forget(request.session_id)
            log.info("start called off", session_id=request.session_id)
        return facts

    async def stop(self, request: StopSession) -> ContainerFacts:
        """Begins to stop, or calls off the start, and answers once that is stored. Asked again, the earlier end of patience holds."""
        facts = await self._begun(request.session_id)
        if is_running(facts):
            await self._stops.begin(request.session_id, request.timeout_s)
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
            (PACKAGE_CHECK, self._checks.check_package),
            (PACKAGE_PYTHON, self._checks.python),
            (CATALOG_READ, self._catalog.read),
        )


def _ids(facts: ContainerFacts) -> dict[str, str]:
    return {"instance_id": facts.instance_id, "session_id": facts.session_id}
