"""Removes containers of ours that nothing runs in any more; with force it stops what runs first. Foreign ones are never seen."""

import asyncio
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import CONTAINER_CLEANUP, SESSION_REMOVE, SESSION_STOP
from flotilla.schemas.engine import StopEngine
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import (
    Cleanup,
    CleanupError,
    CleanupReport,
    ContainerFacts,
    StopSession,
    WhichSession,
)
from flotilla.services.orchestrator.engines.actions import Clock
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.cleanup import CleanupStep, Verb, judge
from flotilla.services.orchestrator.engines.core.decision import Decision
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes, Stamp
from flotilla.services.orchestrator.engines.ledger import Ledger
from flotilla.services.orchestrator.engines.listing import list_containers
from flotilla.services.orchestrator.engines.ports import Record

_LIST_TIMEOUT_S: Final = 5.0
_PATIENCE_S: Final = 45.0
"""How long a forced cleanup waits for engines to stop; the caller's own patience is 60 s."""
_POLL_S: Final = 0.5

type _Outcome = ContainerFacts | CleanupError | None


class Cleaner:
    """Cleanups, each the same whether it comes once or again: what is gone is not found a second time."""

    def __init__(
        self,
        bus: Bus,
        record: Record,
        sightings: FleetSightings,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        ledger: Ledger,
    ) -> None:
        self._bus = bus
        self._record = record
        self._sightings = sightings
        self._clock = clock
        self._mailboxes = mailboxes
        self._ledger = ledger

    async def clean(self, request: Cleanup) -> CleanupReport:
        """Removes what may be removed on every host in sight, and lists what was not, and the hosts that could not be asked."""

        async def run(stamp: Stamp) -> CleanupReport:
            report = await self._clean(request, stamp)
            if not request.dry_run:
                await self._ledger.note_done(stamp, "all", report)
            return report

        return await self._ledger.once(CONTAINER_CLEANUP, request, run)

    async def _clean(self, request: Cleanup, stamp: Stamp) -> CleanupReport:
        containers, errors = await list_containers(
            self._bus, self._sightings, self._clock, timeout_s=_LIST_TIMEOUT_S
        )
        on_record = await self._record.sessions_named([facts.session_id for facts in containers])
        steps = [judge(facts, on_record, force=request.force) for facts in containers]
        errors += [_error(each.container, each.reason) for each in steps if each.verb == Verb.REFUSE]
        chosen = [each for each in steps if each.is_cleaned]
        if request.dry_run:
            cleaned = tuple(each.container for each in chosen)
            return CleanupReport(cleaned=cleaned, errors=tuple(errors), is_dry_run=True)
        outcomes = await asyncio.gather(*(self._clear(each, stamp) for each in chosen))
        errors += [each for each in outcomes if isinstance(each, CleanupError)]
        gone = tuple(each for each in outcomes if isinstance(each, ContainerFacts))
        return CleanupReport(cleaned=gone, errors=tuple(errors))

    async def _clear(self, step: CleanupStep, stamp: Stamp) -> _Outcome:
        facts = step.container
        try:
            if step.verb == Verb.STOP_ENGINE:
                await self._stop_engine(facts, stamp)
            elif step.verb == Verb.STOP_CONTAINER:
                await self._bus.call(SESSION_STOP, StopSession(session_id=facts.session_id), host=facts.host)
            is_ours = await self._remove(facts, is_stopping=step.verb != Verb.REMOVE)
        except FaultError as error:
            return _error(facts, error.fault.message)
        return facts if is_ours else None

    async def _stop_engine(self, facts: ContainerFacts, stamp: Stamp) -> None:
        """Stops the engine by its policy, unless another session took the place of this one meanwhile."""

        def decide(engine: Engine | None) -> Decision | None:
            session = engine.session if engine else None
            if engine is None or session is None or session.session_id != facts.session_id:
                return None
            return lifecycle.stop(engine, StopEngine(), request_id=stamp.request_id, now=self._clock())

        await self._mailboxes.turn(facts.instance_id, decide)

    async def _remove(self, facts: ContainerFacts, *, is_stopping: bool) -> bool:
        """Removes a container, one that stops as soon as it has; False when it was gone before without our doing.

        Raises FaultError, also when it still runs after all patience.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (_PATIENCE_S if is_stopping else 0.0)
        which = WhichSession(session_id=facts.session_id)
        while True:
            try:
                await self._bus.call(SESSION_REMOVE, which, host=facts.host)
            except FaultError as error:
                if error.fault.code == FaultCode.NOT_FOUND:
                    return is_stopping
                if error.fault.code != FaultCode.CONFLICT or loop.time() >= deadline:
                    raise
            else:
                self._sightings.forget_container(facts.session_id)
                return True
            await asyncio.sleep(_POLL_S)


def _error(facts: ContainerFacts, message: str) -> CleanupError:
    return CleanupError(name=facts.name, message=message)
