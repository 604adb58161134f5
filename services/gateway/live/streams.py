"""Fans what the bus publishes out to stream clients: each event is encoded once, and a slow client slows nobody but itself."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.contract import (
    ENGINE_EVENT_FEEDS,
    FLEET_ALERT,
    FLEET_BACKTEST,
    FLEET_PROGRESS,
    FLEET_STATE,
    HEARTBEAT,
    METRICS,
    Feed,
)
from flotilla.schemas.fault import FaultCode, fault


class Backlog:
    """Frames waiting for one client. `missed` counts events that were pushed out since the client was last told."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: deque[bytes] = deque()
        self._latest: dict[tuple[str, str], bytes] = {}
        self.missed = 0

    def __len__(self) -> int:
        return len(self._events) + len(self._latest)

    def add_event(self, frame: bytes) -> bool:
        """Queues an event behind the others; False when the oldest had to go for it."""
        self._events.append(frame)
        if len(self._events) <= self._limit:
            return True
        self._events.popleft()
        self.missed += 1
        return False

    def add_latest(self, kind: str, name: str, frame: bytes) -> None:
        """Replaces what was waiting of this kind and engine or backtest."""
        self._latest[kind, name] = frame

    def drop_latest(self, kind: str, name: str) -> None:
        """Forgets what was waiting of this kind: an event said something newer."""
        self._latest.pop((kind, name), None)

    def take(self) -> tuple[int, list[bytes]]:
        """Empties it: how many events are missing before the first of these frames, then the frames in order."""
        missed, self.missed = self.missed, 0
        frames = [*self._events, *self._latest.values()]
        self._events.clear()
        self._latest.clear()
        return missed, frames


_PROGRESS: Final = "backtest_progress"
_TELEMETRY: Final[Mapping[str, Feed[Any]]] = {
    "heartbeat": HEARTBEAT,
    "metrics": METRICS,
    _PROGRESS: FLEET_PROGRESS,
}
_EVENTS: Final[Mapping[str, Feed[Any]]] = {
    **{feed.subject.rpartition(".")[2]: feed for feed in ENGINE_EVENT_FEEDS},
    "fleet": FLEET_STATE,
    "fleet_alert": FLEET_ALERT,
    "backtest": FLEET_BACKTEST,
}

type Subjects = frozenset[tuple[str, str]]
"""What something is about: names of ids, each with its value."""


def frame(event: str, payload: object) -> bytes:
    """One server-sent event. JSON has no raw line break, so its data is one line."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(payload))


def gap(reason: str, missed: int | None = None) -> bytes:
    """Tells a client that events are missing here: how many of its own, null when nobody knows. Read the record for them."""
    return frame("gap", {"reason": reason, "missed": missed})


class Client:
    """One client of the stream: what it wants, and what it has yet to be sent."""

    def __init__(self, kinds: frozenset[str], subjects: Subjects, backlog: Backlog) -> None:
        self._kinds = kinds
        self._subjects = subjects
        self.backlog = backlog
        self.ready = asyncio.Event()
        self.is_ended = False

    def wants(self, kind: str, subjects: Subjects) -> bool:
        """True for the kinds it asked for, about any of what it named; about everything when it named nothing."""
        return kind in self._kinds and (not self._subjects or not self._subjects.isdisjoint(subjects))

    def end(self) -> None:
        """Ends its stream after what is waiting."""
        self.is_ended = True
        self.ready.set()


class HubStats(msgspec.Struct):
    """Counters since the start: frames meant for clients, events that slow ones missed, clients that read nothing."""

    frames: int = 0
    events_missed: int = 0
    clients_dropped: int = 0


class Hub:
    """Listens to every feed of the engines and of the fleet once, for all clients."""

    def __init__(self, bus: Bus, *, max_clients: int, backlog: int) -> None:
        self._bus = bus
        self._max_clients = max_clients
        self._backlog = backlog
        self._clients: set[Client] = set()
        self._disturbances = 0
        self._is_closed = False
        self.stats = HubStats()

    def __len__(self) -> int:
        return len(self._clients)

    async def start(self) -> None:
        """Subscribes; returns when the server knows of it."""
        for kind, feed in _EVENTS.items():
            await self._bus.listen(feed, self._event(kind))
        for kind, feed in _TELEMETRY.items():
            await self._bus.listen(feed, self._telemetry(kind))

    def close(self) -> None:
        """Ends every stream and takes no more. The bus unsubscribes when it drains."""
        self._is_closed = True
        for client in self._clients:
            client.end()

    @contextmanager
    def client(self, kinds: frozenset[str], subjects: Subjects) -> Iterator[Client]:
        """A client while it is connected. Raises FaultError `busy` when there are too many, `unavailable` while closing."""
        if self._is_closed:
            raise fault(FaultCode.UNAVAILABLE, "the gateway is stopping", retry_after_s=1.0)
        if len(self._clients) >= self._max_clients:
            message = f"{len(self._clients)} streams are open, more are not admitted"
            raise fault(FaultCode.BUSY, message, retry_after_s=5.0)
        client = Client(kinds, subjects, Backlog(self._backlog))
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    def _event(self, kind: str) -> Callable[[Any, Mapping[str, str]], Awaitable[None]]:
        async def receive(payload: Any, ids: Mapping[str, str]) -> None:
            self._announce_disturbance()
            if clients := self._wanting(kind, payload, ids):
                encoded = frame(kind, payload)
                for client in clients:
                    if kind == "backtest" and payload.status.is_final:
                        client.backlog.drop_latest(_PROGRESS, payload.backtest_id)
                    self.stats.events_missed += not client.backlog.add_event(encoded)
                    client.ready.set()

        return receive

    def _telemetry(self, kind: str) -> Callable[[Any, Mapping[str, str]], Awaitable[None]]:
        async def receive(payload: Any, ids: Mapping[str, str]) -> None:
            self._announce_disturbance()
            if clients := self._wanting(kind, payload, ids):
                encoded = frame(kind, payload)
                (name,) = ids.values()
                for client in clients:
                    client.backlog.add_latest(kind, name, encoded)
                    client.ready.set()

        return receive

    def _wanting(self, kind: str, payload: Any, ids: Mapping[str, str]) -> list[Client]:
        subjects = _subjects(payload, ids)
        clients = [client for client in self._clients if client.wants(kind, subjects)]
        self.stats.frames += len(clients)
        return clients

    def _announce_disturbance(self) -> None:
        """Subscriptions hear nothing of what was published while the bus was away, nor of what overran them."""
        disturbances = self._bus.stats.reconnects + self._bus.stats.slow_consumer_drops
        if disturbances != self._disturbances:
            self._disturbances = disturbances
            for client in self._clients:
                client.backlog.add_event(gap("bus"))
                client.ready.set()


def _subjects(payload: Any, ids: Mapping[str, str]) -> Subjects:
    # An alert of the fleet names its engine, if any, in its text and not in its subject; so does a backtest its study.
    inside = "study_id" if isinstance(payload, BacktestView) else "instance_id"
    told = getattr(payload, inside)
    return frozenset(ids.items() if told is None else [*ids.items(), (inside, told)])
