"""Sees to containers of ours that no record knows: counts their grace, and acts on each once by the policy of the fleet."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import COMMAND_DESCRIBE
from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.session import ContainerFacts
from flotilla.schemas.states import OrphanPolicy
from flotilla.schemas.strategy import LookIntoEngine
from flotilla.services.orchestrator.engines.actions import Actions, Clock
from flotilla.services.orchestrator.engines.core.effects import ContainerEffect
from flotilla.services.orchestrator.engines.core.orphans import AdoptContainer, Orphan, adopt, step
from flotilla.services.orchestrator.engines.core.outcomes import noted
from flotilla.services.orchestrator.engines.engine_mailboxes import EngineMailboxes
from flotilla.services.orchestrator.engines.ports import AccountHeld

log = get_logger(__name__)

_MAY_PASS = (FaultCode.UNAVAILABLE, FaultCode.OUTCOME_UNKNOWN, FaultCode.BUSY)
_ATTEMPTS = 3
_PAUSE_S = 1.0


class Orphans:
    """The orphans in sight. What is known of each is kept in memory: whoever comes after us counts a grace of his own."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        mailboxes: EngineMailboxes,
        actions: Actions,
        policy: OrphanPolicy,
        grace: timedelta,
        said_before: Callable[[str], Awaitable[None]],
    ) -> None:
        """`said_before` has all that the bus keeps of an engine's events taken again."""
        self._bus = bus
        self._clock = clock
        self._mailboxes = mailboxes
        self._actions = actions
        self._policy = policy
        self._grace = grace
        self._said_before = said_before
        self._known: dict[str, Orphan] = {}
        self._adopting = Tasks()
        self._attempts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def see(self, containers: Iterable[ContainerFacts]) -> None:
        """Takes all the orphans in sight, and does what is due about each."""
        now = self._clock()
        seen = {facts.session_id: facts for facts in containers}
        self._known = {
            session_id: msgspec.structs.replace(known, container=seen[session_id])
            for session_id, known in self._known.items()
            if session_id in seen
        }
        self._attempts = {each: count for each, count in self._attempts.items() if each in seen}
        for session_id, facts in seen.items():
            known = self._known.get(session_id) or Orphan(container=facts, seen_at=now)
            self._known[session_id], effects = step(known, self._policy, self._grace, now)
            for effect in effects:
                if isinstance(effect, AdoptContainer):
                    self._adopt(effect.container)
                else:
                    self._actions.begin(effect)

    def report(self, effect: ContainerEffect, problem: Fault | None) -> None:
        """Takes how an effect on an orphan went."""
        known = self._known.get(effect.session_id)
        if known is not None and known.stopping is not None and problem is None:
            stopping = noted(known.stopping, effect, self._clock())
            self._known[effect.session_id] = msgspec.structs.replace(known, stopping=stopping)

    async def close(self) -> None:
        """Ends what goes on behind."""
        await self._adopting.close()

    def _adopt(self, facts: ContainerFacts) -> None:
        if not len(self._adopting):
            self._adopting.start(self._try_to_adopt(facts), name=f"adopt:{facts.session_id}")

    async def _try_to_adopt(self, facts: ContainerFacts) -> None:
        try:
            question = LookIntoEngine(session_id=facts.session_id)
            spec = await self._bus.call(COMMAND_DESCRIBE, question, instance_id=facts.instance_id)
            await self._mailboxes.turn(
                facts.instance_id, lambda engine: adopt(engine, spec, facts, self._clock())
            )
        except FaultError as error:
            self._failed(facts, error.fault)
        except AccountHeld as error:
            self._refused(facts, str(error))
        else:
            self._known.pop(facts.session_id, None)
            log.info("orphan adopted", session_id=facts.session_id, instance_id=facts.instance_id)
            await self._fetch_events(facts)

    async def _fetch_events(self, facts: ContainerFacts) -> None:
        """What an orphan said was passed over while it was on no record; the bus keeps it."""
        for _ in range(_ATTEMPTS):
            try:
                await self._said_before(facts.instance_id)
            except FaultError as error:
                log.warning("events not fetched", instance_id=facts.instance_id, error=str(error))
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    def _failed(self, facts: ContainerFacts, problem: Fault) -> None:
        """A sidecar that does not answer is asked again before it is given up."""
        self._attempts[facts.session_id] = attempts = self._attempts.get(facts.session_id, 0) + 1
        log.warning("orphan not adopted", session_id=facts.session_id, error=problem.message)
        if problem.code not in _MAY_PASS or attempts >= _ATTEMPTS:
            self._refused(facts, problem.message)

    def _refused(self, facts: ContainerFacts, reason: str) -> None:
        if known := self._known.get(facts.session_id):
            self._known[facts.session_id] = msgspec.structs.replace(known, refusal=reason)
