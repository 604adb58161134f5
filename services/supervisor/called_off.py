"""Starts that were called off: a session that is ordered to end before it begins never begins, however late its start comes."""

import asyncio
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerStatus
from flotilla.services.supervisor.ports import CalledOffStore, ContainerRuntime

log = get_logger(__name__)

KEPT: Final = 1_000
"""A start comes seconds after it was called off, or never; the oldest are forgotten beyond this many."""


class CalledOff:
    """The sessions of this host that must not be started any more, on disk too: a start may come after the next supervisor."""

    def __init__(self, store: CalledOffStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._sessions = self._load()

    async def add(self, session_id: str) -> None:
        """The session is not started from now on. Should it not be stored, that holds as long as this supervisor lives."""
        async with self._turn:
            if session_id in self._sessions:
                return
            kept = (*list(self._sessions)[1 - KEPT :], session_id)
            self._sessions = dict.fromkeys(kept)
            try:
                await asyncio.to_thread(self._store.save, kept)
            except OSError:
                log.exception("call-off not stored", session_id=session_id)

    def refuse(self, session_id: str) -> None:
        """Raises FaultError `conflict` for a session that was called off; also from threads."""
        if session_id in self._sessions:
            raise fault(FaultCode.CONFLICT, f"the start of session {session_id} was called off")

    async def sweep(self, runtime: ContainerRuntime) -> None:
        """Removes what an earlier supervisor created for them and did not live to start or to remove.

        Whatever else is only created is left alone: its start may be asked for again.
        """
        try:
            for facts in await runtime.list():
                if facts.status == ContainerStatus.CREATED and facts.session_id in self._sessions:
                    await runtime.remove(facts.session_id)
                    log.info("remnant of a start that was called off removed", session_id=facts.session_id)
        except FaultError as error:
            # Who called it off is told of it like of any container, and has it removed.
            log.warning("no look for starts that were called off", fault=error.fault.message)

    def _load(self) -> dict[str, None]:
        try:
            return dict.fromkeys(self._store.load())
        except (OSError, ValueError):
            # What comes up although it was called off is stopped by the orchestrator; that nothing starts would be worse.
            log.exception("call-offs cannot be read")
            return {}
