"""Fans what the bus publishes out to stream clients: each event is encoded once, and a slow client slows nobody but itself.

Events are read from the stream that keeps them, in its order and with its numbers: what the bus says of them only wakes us. So none is
missed while the bus is away, and a reader goes on where it left off, whichever gateway it comes to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery
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
from flotilla.schemas.telemetry import EngineEvent
from flotilla.services.gateway.live.backlog import Backlog
from flotilla.services.gateway.live.event_tail import EventTail, Told
from flotilla.services.gateway.live.labels import KnownLabels
from flotilla.services.gateway.live.place import Place
from flotilla.services.gateway.web.auth import Ending

log = get_logger(__name__)

_LEARNING_S: Final = 0.1
LAST_WORDS_S: Final = 0.5
"""How long a stream whose token is no longer good may take to be sent its end."""


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


def frame(event: str, payload: object, place: Place | None = None) -> bytes:
    """One server-sent event; with its place, where there is something to go on from. JSON has no raw line break, so its data is one line."""
    at = f"id: {place.text}\n".encode() if place else b""
    return b"event: %b\n%bdata: %b\n\n" % (event.encode(), at, msgspec.json.encode(payload))


def gap(reason: str) -> bytes:
    """Tells a client that events are missing here, nobody knows how many of its own. Read the record for them.

    `expired`: the stream does not keep them any more; `unknown_place`: it left off in another stream, or at nothing that is a place.
    """
    return frame("gap", {"reason": reason, "missed": None})


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
        self.backlog.forget()
        self.backlog.add_notice(ended(ending))
        self.end()


class HubStats(msgspec.Struct):
    """Counters since the start: frames meant for clients, how often one fell behind, clients that read nothing."""

    frames: int = 0
    fell_behind: int = 0
    clients_dropped: int = 0


class Hub:
    """Listens to every feed of the engines and of the fleet once, for all clients."""

    def __init__(
        self,
        bus: Bus,
        labels: KnownLabels,
        memory: Callable[[object], None],
        *,
        max_clients: int,
        backlog: int,
    ) -> None:
        self._bus = bus
        self._labels = labels
        self._memory = memory
        self._learned: set[str] = set()
        self._max_clients = max_clients
        self._backlog = backlog
        self._tail = EventTail(bus, _EVENTS, self._deliver, self._moved, self._skipped)
        self._clients: set[Client] = set()
        self._disturbances = 0
        self._is_closed = False
        self.stats = HubStats()

    def __len__(self) -> int:
        return len(self._clients)

    async def start(self) -> None:
        """Subscribes; returns when the server knows of it."""
        await self._tail.start()
        for kind, feed in _TELEMETRY.items():
            await self._bus.listen(feed, self._telemetry(kind))

    async def run(self) -> None:
        """Reads events as they come, until cancelled."""
        await self._tail.run()

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
        self._check_disturbance()
        before = self._disturbances
        with self._labels.asking() as learn:
            found = await self._bus.call(ENGINE_LIST, ListEngines(active=True, limit=1000, labels=scope))
            learn(found.engines)
        self._check_disturbance()
        if before == self._disturbances:
            self._learned.add(text_of(scope))

    def _cut(self, client: Client) -> None:
        if client in self._clients:
            client.cut()

    async def recent(self) -> list[EngineEvent[Any]]:
        """The last events of engines before now, some hundreds. Raises FaultError `unavailable`."""
        return [told.payload for told in await self._tail.recent() if isinstance(told.payload, EngineEvent)]

    @property
    def place(self) -> Place | None:
        """Where the stream of events is read up to; None while it was never reached."""
        return self._tail.place

    @contextmanager
    def client(self, wish: Wish, cut: Callable[[], None], left_off: str | None) -> Iterator[Client]:
        """A client while it is connected; one that `left_off` at a place is first sent what it has missed since.

        Raises FaultError `busy` when there are too many, `unavailable` while closing, and while the events cannot be reached that it missed.
        """
        if self._is_closed:
            raise fault(FaultCode.UNAVAILABLE, "the gateway is stopping", retry_after_s=1.0)
        if len(self._clients) >= self._max_clients:
            message = f"{len(self._clients)} streams are open, more are not admitted"
            raise fault(FaultCode.BUSY, message, retry_after_s=5.0)
        client = Client(wish, self._backlog_from(left_off), cut)
        self._clients.add(client)
        try:
            yield client
        finally:
            self._clients.discard(client)

    async def next_frames(self, client: Client) -> list[bytes]:
        """What waits for a client; for one that is behind, with what it missed, a page at a time. Raises FaultError `unavailable`."""
        backlog = client.backlog
        if not backlog.is_behind or client.is_ended:
            return backlog.take()
        if client.token.labels and text_of(client.token.labels) not in self._learned:
            await asyncio.sleep(_LEARNING_S)
            return backlog.take()
        page = await self._tail.page(backlog.after)
        frames = [frame_ for delivery in page if (frame_ := self._missed(client, delivery)) is not None]
        if page:
            if page[0].seq > backlog.after + 1:
                frames.insert(0, gap("expired"))
            backlog.after = page[-1].seq
        if not page or (self.place is not None and backlog.after >= self.place.number):
            backlog.is_behind = False
        return [*backlog.take(), *frames]

    def _backlog_from(self, left_off: str | None) -> Backlog:
        here = self.place
        if left_off is None:
            return Backlog(self._backlog, after=here.number if here else 0, is_behind=False)
        if here is None:
            raise fault(FaultCode.UNAVAILABLE, "events cannot be read now", retry_after_s=1.0)
        place = Place.read(left_off)
        if place is None or place.boot != here.boot or place.number > here.number:
            backlog = Backlog(self._backlog, after=here.number, is_behind=False)
            backlog.add_notice(gap("unknown_place"))
            return backlog
        return Backlog(self._backlog, after=place.number, is_behind=place.number < here.number)

    def _missed(self, client: Client, delivery: Delivery) -> bytes | None:
        told = self._tail.told(delivery)
        if told is None or _is_in_anothers_name(told.payload, told.ids):
            return None
        if not client.wants(told.kind, _subjects(told.payload, told.ids), self._labels):
            return None
        self.stats.frames += 1
        return frame(told.kind, told.payload, told.place)

    def _moved(self) -> None:
        """The stream of events is another: what was in the old one and was not read is not known."""
        here = self.place.number if self.place else 0
        for client in self._clients:
            if client.backlog.after:
                client.backlog.add_notice(gap("unknown_place"))
            client.backlog.after, client.backlog.is_behind = here, False
            client.ready.set()

    def _skipped(self) -> None:
        """The stream dropped events before we read them. Who is behind finds that out by itself."""
        for client in self._clients:
            if not client.backlog.is_behind:
                client.backlog.add_notice(gap("expired"))
                client.ready.set()

    def _deliver(self, told: Told) -> None:
        self._check_disturbance()
        if _is_in_anothers_name(told.payload, told.ids):
            return
        if isinstance(told.payload, EngineEvent):
            self._memory(told.payload)  # what the fleet says of itself it hears as it is said
        if isinstance(told.payload, EngineView):
            self._labels.saw(told.payload)
        clients = self._wanting(told.kind, told.payload, told.ids)
        if not clients:
            return
        encoded = frame(told.kind, told.payload, told.place)
        for client in clients:
            backlog = client.backlog
            if told.kind == "backtest" and told.payload.status.is_final:
                backlog.drop_latest(_PROGRESS, told.payload.backtest_id)
            was_behind = backlog.is_behind
            backlog.add_event(told.place.number, encoded)
            self.stats.fell_behind += backlog.is_behind and not was_behind
            client.ready.set()

    def _telemetry(self, kind: str) -> Callable[[Any, Mapping[str, str]], Awaitable[None]]:
        async def receive(payload: Any, ids: Mapping[str, str]) -> None:
            self._check_disturbance()
            if _is_in_anothers_name(payload, ids):
                return
            self._memory(payload)
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

    def _check_disturbance(self) -> None:
        """Of what was published while the bus was away, or overran us, telemetry is lost, and whose an engine is now is not known.

        Who sees by labels reads on once those were asked for anew.
        """
        disturbances = self._bus.stats.reconnects + self._bus.stats.slow_consumer_drops
        if disturbances != self._disturbances:
            self._disturbances = disturbances
            self._labels.forget()
            self._learned.clear()
            for client in self._clients:
                if client.token.labels:
                    client.backlog.fall_behind()


def _is_in_anothers_name(payload: Any, ids: Mapping[str, str]) -> bool:
    """True for what an engine says of another: its credential binds the subject, and not what stands in the message."""
    speaker = ids.get("instance_id")
    return speaker is not None and getattr(payload, "instance_id", speaker) != speaker


def _subjects(payload: Any, ids: Mapping[str, str]) -> Subjects:
    # An alert of the fleet names its engine, if any, in its text and not in its subject; so does a backtest its study.
    inside = "study_id" if isinstance(payload, BacktestView) else "instance_id"
    told = getattr(payload, inside)
    return frozenset(ids.items() if told is None else [*ids.items(), (inside, told)])
