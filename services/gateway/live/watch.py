"""Sees sessions change, for commands that somebody waits for."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import FLEET_STATE
from flotilla.schemas.engine import EngineView, SessionView


class SeenSessions:
    """The sessions that were seen to change since we began to look, each as it was seen last."""

    def __init__(self) -> None:
        self._sessions: dict[str, SessionView] = {}
        self._changed = asyncio.Event()

    def add(self, session: SessionView) -> None:
        """Notes how a session is now; what has ended stays so, should an older answer arrive later."""
        known = self._sessions.get(session.session_id)
        if known is None or not known.state.is_terminal:
            self._sessions[session.session_id] = session
            self._changed.set()

    def get(self, session_id: str) -> SessionView | None:
        """The session, if it was seen."""
        return self._sessions.get(session_id)

    def before(self, session: SessionView) -> SessionView | None:
        """The session of the same engine before this one, if it was seen."""
        earlier = (session.instance_id, session.generation - 1)
        seen = (one for one in self._sessions.values() if (one.instance_id, one.generation) == earlier)
        return next(seen, None)

    async def change(self, timeout_s: float) -> None:
        """Returns when something was seen since the last time, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()


class FleetWatch:
    """One subscription to the fleet's states, for everybody who waits."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._open: set[SeenSessions] = set()

    async def start(self) -> None:
        """Subscribes; returns when the server knows of it. The bus unsubscribes when it drains."""
        await self._bus.listen(FLEET_STATE, self._receive)

    @contextmanager
    def look(self) -> Iterator[SeenSessions]:
        """What is seen from now on; to be entered before the command is sent."""
        seen = SeenSessions()
        self._open.add(seen)
        try:
            yield seen
        finally:
            self._open.discard(seen)

    async def _receive(self, view: EngineView, _: Mapping[str, str]) -> None:
        if view.session is not None:
            for seen in self._open:
                seen.add(view.session)
