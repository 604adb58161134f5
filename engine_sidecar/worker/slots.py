"""Which trials of a worker run side by side: most do, and one that may be poison has the worker for itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """Those that share go in whenever nobody is alone or waits to be; one that is to be alone waits for all others to leave."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @asynccontextmanager
    async def enter(self, *, alone: bool) -> AsyncIterator[None]:
        """Inside the block the trial may run."""
        if alone:
            async with self._door:
                await self._is_empty.wait()
                yield
            return
        async with self._door:
            self._inside += 1
            self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if self._inside == 0:
                self._is_empty.set()
