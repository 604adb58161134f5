"""A live view of what engines publish: several feeds as one stream of updates."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, Self

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.client import Listener
from flotilla.schemas import contract
from flotilla.schemas.contract import Feed

QUEUE: Final = 65_536

FEEDS: Final[Mapping[str, Feed[Any]]] = {
    "heartbeat": contract.HEARTBEAT,
    "metrics": contract.METRICS,
    "state": contract.STATE,
    "order": contract.ORDER,
    "fill": contract.FILL,
    "position": contract.POSITION,
    "account": contract.ACCOUNT,
    "alert": contract.ALERT,
    "log": contract.LOG,
    "engine": contract.FLEET_STATE,
    "fleet_alert": contract.FLEET_ALERT,
}
"""What can be watched, by name; `engine` is the fleet's record of an engine after each change, `fleet_alert` what the fleet
itself has to say, of one engine or of all."""
EVENTS: Final = ("state", "order", "fill", "position", "account", "alert")
"""The durable events of an engine."""


class Update(msgspec.Struct, frozen=True):
    """One thing that was published: `kind` is a key of FEEDS and tells the type of `payload`."""

    kind: str
    instance_id: str
    payload: Any


class Watch:
    """An async context manager and iterator. Everything published after it was entered comes out, in order per feed.

    Nothing is lost unless the reader falls more than QUEUE updates behind; `dropped` counts what was.
    """

    def __init__(self, bus: Bus, kinds: Iterable[str], instance_id: str | None) -> None:
        self.dropped = 0
        self._bus = bus
        self._kinds = tuple(kinds)
        self._ids = {"instance_id": instance_id} if instance_id else {}
        self._queue: asyncio.Queue[Update] = asyncio.Queue(QUEUE)
        self._listeners: list[Listener] = []

    async def __aenter__(self) -> Self:
        for kind in self._kinds:
            self._listeners.append(await self._bus.listen(FEEDS[kind], self._receiver(kind), **self._ids))
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self._listeners:
            await listener.close()

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        return await self._queue.get()

    async def next(self, timeout_s: float) -> Update | None:
        """The next update, or None when none came in time."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def _receiver(self, kind: str) -> Any:
        async def receive(payload: Any, ids: Mapping[str, str]) -> None:
            # The fleet's own feed has no engine in its subject.
            about = ids.get("instance_id") or getattr(payload, "instance_id", None) or ""
            if about not in (self._ids.get("instance_id", about), ""):
                return
            try:
                self._queue.put_nowait(Update(kind, about, payload))
            except asyncio.QueueFull:
                self.dropped += 1

        return receive
