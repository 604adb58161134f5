"""Fans what the bus publishes out to stream clients: each event is encoded once, and a slow client slows nobody but itself."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.contract import (
    ENGINE_EVENT_FEEDS,
    ENGINE_LIST,
    FLEET_ALERT,
    FLEET_BACKTEST,
    FLEET_PROGRESS,
    FLEET_STATE,
    HEARTBEAT,
    METRICS,
    Feed,
)
from flotilla.schemas.engine import EngineView, ListEngines
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.labels import Labels, text_of
from flotilla.services.gateway.live.labels import KnownLabels
from flotilla.services.gateway.web.auth import Ending

log = get_logger(__name__)

LAST_WORDS_S: Final = 0.5
"""How long a stream whose token is no longer good may take to be sent its end."""


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

BACKTEST_KINDS: Final = frozenset({"backtest", _PROGRESS})
"""The kinds that are about no engine."""

type Subjects = frozenset[tuple[str, str]]
"""What something is about: names of ids, each with its value."""


def frame(event: str, payload: object) -> bytes:
    """One server-sent event. JSON has no raw line break, so its data is one line."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(payload))


def gap(reason: str, missed: int | None = None) -> bytes:
    """Tells a client that events are missing here: how many of its own, null when nobody knows. Read the record for them."""
    return frame("gap", {"reason": reason, "missed": missed})


def ended(ending: Ending) -> bytes:
    """The last event of a stream whose token is no longer good."""
    return frame("end", {"reason": str(ending)})


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Whose stream it is, and what it wants: of these kinds, about any of these subjects; about everything without any.

    The labels of its token say which engines it may hear of at all.
    """

    token: TokenRecord
    kinds: frozenset[str]
    subjects: Subjects


class Client:
    """One client of the stream: what it wants, and what it has yet to be sent. `cut` ends its connection at once."""

    def __init__(self, wish: Wish, backlog: Backlog, cut: Callable[[], None]) -> None:
        self._wish = wish
        self.cut = cut
        self.backlog = backlog
        self.ready = asyncio.Event()
        self.is_ended = False

    @property
    def token(self) -> TokenRecord:
        """Whose stream it is."""
        return self._wish.token

    def wants(self, kind: str, subjects: Subjects, labels: KnownLabels) -> bool:
        """True for the kinds it asked for, about any of what it named; about everything when it named nothing.

        To a token with labels everything is what engines do that are known to carry them.
        """
        wish = self._wish
        if self.is_ended or kind not in wish.kinds or (wish.subjects and wish.subjects.isdisjoint(subjects)):
            return False
        scope = wish.token.labels
        return not scope or any(
            name == "instance_id" and labels.has(value, scope) for name, value in subjects
        )

    def end(self) -> None:
        """Ends its stream after what is waiting."""
        self.is_ended = True
        self.ready.set()

    def revoke(self, ending: Ending) -> None:
        """Ends its stream with the reason, and without what is waiting: it may no longer see that."""
        self.backlog.take()
        self.backlog.add_event(ended(ending))
        self.end()


class HubStats(msgspec.Struct):
    """Counters since the start: frames meant for clients, events that slow ones missed, clients that read nothing."""

    frames: int = 0
    events_missed: int = 0
    clients_dropped: int = 0


class Hub:
    """Listens to every feed of the engines and of the fleet once, for all clients."""

    def __init__(self, bus: Bus, labels: KnownLabels, *, max_clients: int, backlog: int) -> None:
        self._bus = bus
        self._labels = labels
        self._learned: set[str] = set()
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

    def revoke(self, ending: Callable[[TokenRecord], Ending | None]) -> None:
        """Ends the streams whose token is no longer good; what does not read its end soon is cut."""
        loop = asyncio.get_running_loop()
        for client in self._clients:
            if not client.is_ended and (why := ending(client.token)) is not None:
                log.info("stream ended", caller=client.token.name, reason=str(why))
                client.revoke(why)
                loop.call_later(LAST_WORDS_S, self._cut, client)

    def unlearned(self) -> list[Labels]:
        """The labels of streams whose engines were not asked for since something may have been missed."""
        scopes = {text_of(client.token.labels): client.token.labels for client in self._clients}
        return [scope for text, scope in scopes.items() if text and text not in self._learned]

    async def learn(self, scope: Labels) -> None:
        """Asks for the engines that carry these labels, at most a thousand; of others is known what the fleet tells of them.

        Raises FaultError.
        """
        if not scope or text_of(scope) in self._learned:
            return
        self._announce_disturbance()
        before = self._disturbances
        with self._labels.asking() as learn:
            found = await self._bus.call(ENGINE_LIST, ListEngines(active=True, limit=1000, labels=scope))
            learn(found.engines)
        self._announce_disturbance()
        if before == self._disturbances:
            self._learned.add(text_of(scope))

    def _cut(self, client: Client) -> None:
        if client in self._clients:
            client.cut()

    @contextmanager
    def client(self, wish: Wish, cut: Callable[[], None]) -> Iterator[Client]:
        """A client while it is connected. Raises FaultError `busy` when there are too many, `unavailable` while closing."""
        if self._is_closed:
            raise fault(FaultCode.UNAVAILABLE, "the gateway is stopping", retry_after_s=1.0)
        if len(self._clients) >= self._max_clients:
            message = f"{len(self._clients)} streams are open, more are not admitted"
            raise fault(FaultCode.BUSY, message, retry_after_s=5.0)
        client = Client(wish, Backlog(self._backlog), cut)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    def _event(self, kind: str) -> Callable[[Any, Mapping[str, str]], Awaitable[None]]:
        async def receive(payload: Any, ids: Mapping[str, str]) -> None:
            self._announce_disturbance()
            if isinstance(payload, EngineView):
                self._labels.saw(payload)
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
        clients = [client for client in self._clients if client.wants(kind, subjects, self._labels)]
        self.stats.frames += len(clients)
        return clients

    def _announce_disturbance(self) -> None:
        """Subscriptions hear nothing of what was published while the bus was away, nor of what overran them."""
        disturbances = self._bus.stats.reconnects + self._bus.stats.slow_consumer_drops
        if disturbances != self._disturbances:
            self._disturbances = disturbances
            self._labels.forget()
            self._learned.clear()
            for client in self._clients:
                client.backlog.add_event(gap("bus"))
                client.ready.set()


def _subjects(payload: Any, ids: Mapping[str, str]) -> Subjects:
    # An alert of the fleet names its engine, if any, in its text and not in its subject; so does a backtest its study.
    inside = "study_id" if isinstance(payload, BacktestView) else "instance_id"
    told = getattr(payload, inside)
    return frozenset(ids.items() if told is None else [*ids.items(), (inside, told)])
