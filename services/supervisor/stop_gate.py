"""The gate before every start: the stop flags of this host, and the starts that went through before one was set."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import EmergencyStop, SessionSpec, StopOrder
from flotilla.schemas.telemetry import StopFlag, is_meant
from flotilla.services.supervisor.core.fleet_orders import OrderBook
from flotilla.services.supervisor.core.stop_flags import (
    Flags,
    followed,
    refuse_stopped,
    unreadable,
    with_doubts,
    with_flag,
    without_flag,
)
from flotilla.services.supervisor.ports import FlagStore

log = get_logger(__name__)


class Starting:
    """A start under way; `done` is set when it has ended, however it did.

    `is_caught`: an emergency stop came meanwhile, and what is being started must not live.
    """

    def __init__(self, spec: SessionSpec) -> None:
        self.spec = spec
        self.is_caught = False
        self.done = asyncio.Event()

    def refuse_caught(self) -> None:
        """Raises FaultError `conflict` once it is caught; also from threads."""
        if self.is_caught:
            raise fault(FaultCode.CONFLICT, "an emergency stop came while it was being started")


class StopGate:
    """Flags that cannot be read count as one on every engine; `is_readable` is False then.

    `changed` tells others of a change, before whoever asked for it has an answer. `be_current` returns when all flags that the
    fleet has in force are set here.
    """

    def __init__(
        self,
        store: FlagStore,
        now: Callable[[], datetime],
        *,
        changed: Callable[[], Awaitable[object]] | None = None,
        be_current: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._changed = changed
        self._be_current = be_current
        self._turn = asyncio.Lock()
        self._starts: dict[Starting, None] = {}
        self._problem = ""
        self._taken: set[str] = set()
        self.lifts = 0
        """How often something was lifted here since we began."""
        self.is_readable = True
        self._flags = self._stored = self._flags_tried = self._load()

    @property
    def flags(self) -> Flags:
        """Those in force; one that could not be stored says so."""
        return with_doubts(self._flags, self._stored, self._problem) if self._problem else self._flags

    async def set_flag(self, instance_id: str | None, reason: str, order_id: str | None = None) -> None:
        """Sets a flag; it is in force at once and stored on return. One that cannot be stored holds all the same, and says so."""
        async with self._turn:
            flag = StopFlag(since=self._now(), instance_id=instance_id, reason=reason, order_id=order_id)
            self._flags = with_flag(self._flags, flag)
            await self._save()
            await self._tell()

    async def take_left(self) -> tuple[EmergencyStop, ...]:
        """Sets the flags of the new orders that somebody left in the store, and returns these orders.

        Each is taken away once its flag is stored; one that could not be stays for the next time, and sets no flag again that
        was lifted meanwhile. What could not be stored before is stored now, if that works again.
        """
        async with self._turn:
            left = await asyncio.to_thread(self._store.left)
            fresh = tuple(order for order in left if order.name not in self._taken)
            self._taken |= {order.name for order in fresh}
            for order in fresh:
                asked = order.request
                flag = StopFlag(
                    since=self._now(),
                    instance_id=asked.instance_id,
                    reason=asked.reason,
                    order_id=asked.request_id,
                )
                self._flags = with_flag(self._flags, flag)
            if fresh or self._problem:
                await self._save()
            if fresh:
                await self._tell()
            if not self._problem:
                for order in left:
                    await asyncio.to_thread(self._store.settle, order)
        return tuple(order.request for order in fresh)

    async def follow(self, book: OrderBook, *, as_of: int) -> tuple[StopOrder, ...] | None:
        """Lifts the flags that the fleet has lifted and sets those of its stops in force; returns the stops that had none.

        None when something was lifted here since `as_of`, the count of lifts before the book was read: it may not have that.
        """
        async with self._turn:
            if self.lifts != as_of:
                return None
            flags, missed = followed(self._flags, book, self._now())
            if flags != self._flags:
                self._flags = flags
                await self._save()
                await self._tell()
            return missed

    async def lift(self, instance_id: str | None) -> Flags:
        """Lifts one engine's flag, or all, and returns what is still in force. Raises OSError, and then nothing is lifted."""
        async with self._turn:
            flags = without_flag(self._flags, instance_id)
            await asyncio.to_thread(self._store.save, flags)
            self._flags = self._stored = flags
            self._problem, self.is_readable = "", True
            self.lifts += 1
            await self._tell()
            return flags

    @asynccontextmanager
    async def starting(self, spec: SessionSpec) -> AsyncIterator[Starting]:
        """A start belongs in here. Raises FaultError `conflict` for an engine that a flag names, `unavailable` while that cannot be told."""
        if self._be_current is not None:
            await self._be_current()
        self.refuse(spec)
        start = Starting(spec)
        self._starts[start] = None
        try:
            yield start
        finally:
            del self._starts[start]
            start.done.set()

    def refuse(self, spec: SessionSpec) -> None:
        """Raises FaultError `conflict` for an engine that a flag names; also from threads."""
        refuse_stopped(self._flags, spec.instance_id, is_worker=spec.worker is not None)

    def under_way(self, instance_id: str | None) -> tuple[Starting, ...]:
        """The starts of one engine, or of all, that are not done."""
        return tuple(
            start
            for start in self._starts
            if is_meant(instance_id, start.spec.instance_id, is_worker=start.spec.worker is not None)
        )

    async def _tell(self) -> None:
        if self._changed is not None:
            await self._changed()

    async def _save(self) -> None:
        """Keeps what cannot be stored in `_problem`; it is tried again twice a second, so that only what is new is logged."""
        flags, before = self._flags, (self._flags_tried, self._problem)
        try:
            await asyncio.to_thread(self._store.save, flags)
        except OSError as error:
            self._problem = str(error)
        else:
            self._stored, self._problem = flags, ""
        self._flags_tried = flags
        if self._problem and before != (flags, self._problem):
            log.error("stop flags not stored", count=len(flags), error=self._problem)
        elif before[1] and not self._problem:
            log.info("stop flags are stored again", count=len(flags))

    def _load(self) -> Flags:
        try:
            flags = self._store.load()
        except (OSError, ValueError) as error:
            log.exception("stop flags cannot be read: nothing starts")
            self.is_readable = False
            return unreadable(self._now(), str(error))
        if flags:
            log.warning("stop flags in force", count=len(flags))
        return flags
