"""One at a time per key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class KeyedLocks[K]:
    """A lock per key that exists only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[K, tuple[asyncio.Lock, int]] = {}

    @property
    def waiting(self) -> int:
        """How many keys somebody holds or waits for."""
        return len(self._locks)

    def __contains__(self, key: K) -> bool:
        """True while somebody holds the key's turn or waits for it."""
        return key in self._locks

    @asynccontextmanager
    async def take(self, key: K) -> AsyncIterator[None]:
        """Waits until nobody else has this key's turn."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users > 1:
                self._locks[key] = (lock, users - 1)
            else:
                del self._locks[key]
