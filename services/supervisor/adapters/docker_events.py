"""Docker's event stream, read in a thread of its own; it says only *what* to look at again, never what to believe."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

from docker.errors import StreamParseError

from flotilla.bus.logs import get_logger
from flotilla.services.supervisor.adapters.docker_client import open_client
from flotilla.services.supervisor.adapters.docker_errors import FAILURES
from flotilla.services.supervisor.core import names

log = get_logger(__name__)

SILENCE_S: Final = 30.0
"""After so long without an event the stream is opened anew: a daemon that hangs is not told from a quiet one."""
_BACKOFF_S: Final = (0.1, 5.0)
_KINDS: Final = ["create", "start", "die", "oom", "destroy", "health_status", "pause", "unpause"]


class Dirty:
    """What must be looked at again: some sessions, or everything. Marks coalesce, so it never grows."""

    def __init__(self) -> None:
        self._sessions: set[str] = set()
        self._is_all = True
        self._marked = asyncio.Event()
        self._marked.set()

    def mark(self, session_id: str | None) -> None:
        """Marks one session, or everything with None."""
        if session_id is None:
            self._is_all = True
        else:
            self._sessions.add(session_id)
        self._marked.set()

    async def take(self, timeout_s: float) -> frozenset[str] | None:
        """Waits for a mark and returns the sessions marked; None for everything, also when nothing came in `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._marked.wait()
        except TimeoutError:
            self._is_all = True
        self._marked.clear()
        taken = None if self._is_all else frozenset(self._sessions)
        self._sessions.clear()
        self._is_all = False
        return taken


class EventThread:
    """Marks what Docker's events are about; everything, each time that the stream was opened."""

    def __init__(self, url: str, owner: str, mark: Callable[[str | None], None]) -> None:
        self._url = url
        self._filters = {"type": "container", "label": f"{names.OWNER}={owner}", "event": _KINDS}
        self._mark = mark
        self._loop = asyncio.get_running_loop()
        self._is_closing = threading.Event()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)

    def start(self) -> None:
        """Starts reading."""
        self._thread.start()

    async def close(self) -> None:
        """Ends the thread."""
        self._is_closing.set()
        if self._connection is not None:
            # An OSError says that the daemon was faster.
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(self._thread.join, 5.0)

    def _run(self) -> None:
        shortest, longest = _BACKOFF_S
        pause_s = shortest
        while not self._is_closing.is_set():
            try:
                self._read()
                pause_s = shortest
            except (*FAILURES, StreamParseError) as error:
                if not self._is_closing.is_set():
                    log.debug("no event stream", error=repr(error))
                pause_s = min(pause_s * 2, longest)
            self._is_closing.wait(pause_s)

    def _read(self) -> None:
        with closing(open_client(self._url, timeout_s=SILENCE_S)) as client:
            stream = client.events(decode=True, filters=self._filters)
            # The SDK's own close() cuts the connection and leaves the response open.
            with closing(stream._response) as response:
                self._connection = response.raw._fp.fp.raw._sock
                # Only now: what changed before the stream was open is found by looking at everything.
                self._tell(None)
                for event in () if self._is_closing.is_set() else stream:
                    self._tell(event["Actor"]["Attributes"].get(names.SESSION))

    def _tell(self, session_id: str | None) -> None:
        if not self._is_closing.is_set():
            self._loop.call_soon_threadsafe(self._mark, session_id)
