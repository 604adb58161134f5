"""The gate before every start: the stop flags of this host, and the starts that went through before one was set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from bus.logs import get_logger
from schemas.session import SessionSpec
from schemas.telemetry import StopFlag
from services.supervisor.core.stop_flags import (
    Flags,
    refuse_stopped,
    unreadable,
    unstored,
    with_flag,
    without_flag,
)
from services.supervisor.ports import FlagStore

log = get_logger(__name__)


class Starting:
    """A start under way; `done` is set when it has ended, however it did.

    `is_caught`: an emergency stop came meanwhile, and what is being started must not live.
    """

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.is_caught = False
        self.done = asyncio.Event()


class StopOrders:
    """Flags that cannot be read count as one on every engine."""

    def __init__(self, store: FlagStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._turn = asyncio.Lock()
        self._starts: set[Starting] = set()
        self._flags = self._load()

    @property
    def flags(self) -> Flags:
        """Those in force."""
        return self._flags

    async def set_flag(self, instance_id: str | None, reason: str) -> None:
        """Sets a flag; it is in force at once and stored on return. One that cannot be stored holds all the same, and says so."""
        async with self._turn:
            flag = StopFlag(since=self._now(), instance_id=instance_id, reason=reason)
            self._flags = flags = with_flag(self._flags, flag)
            try:
                await asyncio.to_thread(self._store.save, flags)
            except OSError as error:
                log.exception("stop flag not stored", instance_id=instance_id)
                if flags[-1] is flag:
                    self._flags = unstored(flags, str(error))

    async def lift(self, instance_id: str | None) -> Flags:
        """Lifts one engine's flag, or all, and returns what is still in force. Raises OSError, and then nothing is lifted."""
        async with self._turn:
            flags = without_flag(self._flags, instance_id)
            await asyncio.to_thread(self._store.save, flags)
            self._flags = flags
            return flags

    @asynccontextmanager
    async def starting(self, spec: SessionSpec) -> AsyncIterator[Starting]:
        """A start belongs in here. Raises FaultError `conflict` for an engine that a flag names."""
        refuse_stopped(self._flags, spec.instance_id)
        start = Starting(spec)
        self._starts.add(start)
        try:
            yield start
        finally:
            self._starts.discard(start)
            start.done.set()

    def under_way(self, instance_id: str | None) -> tuple[Starting, ...]:
        """The starts of one engine, or of all, that are not done."""
        return tuple(start for start in self._starts if instance_id in (None, start.spec.instance_id))

    def _load(self) -> Flags:
        try:
            flags = self._store.load()
        except (OSError, ValueError) as error:
            log.exception("stop flags cannot be read: nothing starts")
            return unreadable(self._now(), str(error))
        if flags:
            log.warning("stop flags in force", count=len(flags))
        return flags
