"""Looks who is on the bus with the credentials of this host's sessions, and tells the fleet of whoever is not their sidecar."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import HOST_STRANGER
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import Stranger
from flotilla.services.supervisor.core.identity import SessionIdentity
from flotilla.services.supervisor.core.strangers import Strangers
from flotilla.services.supervisor.ports import Connections

log = get_logger(__name__)

LOOK_S: Final = 3.0
RETRY_S: Final = 1.0


class StrangerWatch:
    """Sees those too that were connected for a moment only: the server remembers its last connections."""

    def __init__(
        self,
        bus: Bus,
        host: str,
        connections: Connections,
        *,
        sessions: Callable[[], tuple[SessionIdentity, ...]],
        now: Callable[[], datetime],
    ) -> None:
        self._bus = bus
        self._host = host
        self._connections = connections
        self._sessions = sessions
        self._now = now
        self._strangers = Strangers()
        self._problem = ""

    async def run(self) -> None:
        """Looks, also while the server is away, until cancelled."""
        before: tuple[SessionIdentity, ...] = ()
        while True:
            present = self._sessions()
            # Those that have ended since the last look too: the server remembers who was there.
            sessions = {*before, *present}
            if not sessions or await self._look(sessions):
                before = present
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._connections.close()

    async def _look(self, sessions: Collection[SessionIdentity]) -> bool:
        try:
            connections = await self._connections.seen()
        except FaultError as error:
            if str(error) != self._problem:
                log.warning("who uses credentials of engines cannot be seen", error=str(error))
            self._problem = str(error)
            return False
        self._problem = ""
        for session, connection in self._strangers.among(connections, sessions):
            stranger = Stranger(
                host=self._host,
                at=self._now(),
                instance_id=session.instance_id,
                session_id=session.session_id,
                address=connection.address,
                connected_at=connection.since,
            )
            log.error("a stranger has an engine's credential", stranger=stranger)
            await self._tell(stranger, f"{session.session_id}-stranger-{connection.cid}-{connection.since}")
        return True

    async def _tell(self, stranger: Stranger, message_id: str) -> None:
        while True:
            try:
                await self._bus.publish_durable(
                    HOST_STRANGER, stranger, message_id=message_id, host=self._host
                )
            except FaultError as error:
                log.warning("a stranger waits for the bus", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return
