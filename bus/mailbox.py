"""A mailbox per key: messages of one key are handled in order, different keys in parallel."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks

K = TypeVar("K")
M = TypeVar("M")

log = get_logger(__name__)


class Mailboxes(Generic[K, M]):
    """Runs `handle(key, message)` for every message posted. A message whose handling fails is logged; the mailbox goes on."""

    def __init__(self, handle: Callable[[K, M], Awaitable[Any]], *, name: str) -> None:
        self._handle = handle
        self._name = name
        self._waiting: dict[K, deque[M]] = {}
        self._tasks = Tasks()

    def post(self, key: K, message: M) -> None:
        """Queues the message behind those of its key."""
        if key in self._waiting:
            self._waiting[key].append(message)
            return
        self._waiting[key] = deque([message])
        self._tasks.start(self._drain(key), name=f"{self._name}:{key}")

    async def join(self, timeout_s: float | None = None) -> bool:
        """Waits until every mailbox is empty; False when `timeout_s` passed first."""
        return await self._tasks.join(timeout_s)

    async def close(self) -> None:
        """Cancels what is being handled and forgets the rest."""
        await self._tasks.close()

    async def _drain(self, key: K) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                message = waiting.popleft()
                try:
                    await self._handle(key, message)
                except Exception:
                    log.exception(
                        "message failed", mailbox=self._name, key=key, message=type(message).__name__
                    )
        finally:
            # No await since the loop saw the deque empty: nothing can have been posted in between.
            del self._waiting[key]
