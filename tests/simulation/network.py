"""A server like nats-server and clients like nats-py's, in memory: bus.Bus runs on them as it is, with faults from a seed.

What is kept from NATS: a request that nobody takes says so; a queue group gets one copy; one connection's messages on one subject stay
in order; a durable message is acknowledged once it is stored, stored once per message id, and handed out until it is acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec
from nats import errors
from nats.js import errors as js_errors

from flotilla.bus.bus import Bus, BusStats
from tests.simulation.loop import Process, SimLoop

EPOCH: Final = datetime(2026, 1, 31, 14, 0, tzinfo=UTC)
"""When each simulation begins, by a wall clock that nobody has set."""
INBOX: Final = "_INBOX"
_LEAST_S: Final = 0.0002
_SPREAD_S: Final = 0.004 - _LEAST_S
"""How long a message is under way, where nothing is wrong."""
BLIND_S: Final = 12.0
"""How long a connection may be cut before its ends notice that."""

type Callback = Callable[["Message"], Awaitable[None]]
type Arrive = Callable[..., None]
"""Told first whether it is all that happens at this moment, then what arrives."""


class Trouble(msgspec.Struct):
    """How likely it is that a message is lost, comes twice, or comes late, and how late at most."""

    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    latest_s: float = 0.0


class Metadata(msgspec.Struct):
    """When a message was stored."""

    timestamp: datetime


class Message:
    """As nats-py's Msg, as far as it is used."""

    def __init__(
        self, subject: str, data: bytes, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self.subject = subject
        self.data = data
        self.reply = reply
        self.headers = headers


class Subscription:
    """Hands messages on one at a time, as nats-py does."""

    def __init__(self, client: "SimClient", pattern: str, queue: str, callback: Callback) -> None:
        self.client = client
        self.number = client.server.next_id()
        self.pattern = pattern
        self.queue = queue
        self._callback = callback
        self._waiting: deque[Message] = deque()
        self._closed = False
        self._is_busy = False

    def take(self, message: Message) -> None:
        """A message has come."""
        self._waiting.append(message)
        if not self._is_busy:
            self._is_busy = True
            self.client.loop.task_at_once(self._hand_on())

    async def _hand_on(self) -> None:
        try:
            while self._waiting:
                await self._callback(self._waiting.popleft())
        finally:
            self._is_busy = False

    async def unsubscribe(self) -> None:
        self._closed = True
        self.client.server.forget(self)

    drain = unsubscribe


class Link:
    """One connection. While it is cut, what is sent waits; after BLIND_S both ends give it up, and with it all that was on its way."""

    def __init__(self) -> None:
        self.is_cut = False
        self.is_lost = False
        self.waiting: list[tuple[Arrive, tuple[Any, ...]]] = []


def _arrive(link: Link, arrive: Arrive, *arguments: Any) -> None:
    if link.is_lost:
        return
    if link.is_cut:
        link.waiting.append((arrive, arguments))
    else:
        arrive(True, *arguments)


class SimClient:
    """A RobustClient of one process."""

    def __init__(self, server: "Server", process: Process, name: str, stats: BusStats) -> None:
        self.server, self.process, self.loop = server, process, server.loop
        self.name, self.stats = name, stats
        self.link = Link()
        self.denied = 0
        self.is_connected = True
        self.is_closed = False
        self._requests: dict[str, asyncio.Future[Message]] = {}
        self._pending: list[tuple[str, bytes, str, Mapping[str, str] | None]] = []
        self._number = 0
        self._sent: dict[str, float] = {}
        self._received: dict[str, float] = {}
        self._id = server.next_id()
        server.clients.append(self)
        process.at_end.append(self.lost)

    # -- what bus.py calls

    async def request(
        self, subject: str, payload: bytes, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        if self.is_closed:
            raise errors.ConnectionClosedError
        self._number += 1
        reply = f"{INBOX}_{self.name}.{self._id}x{self._number}"
        future = self._requests[reply] = self.loop.create_future()
        await self.publish(subject, payload, reply, headers)
        try:
            message = await self.in_time(future, timeout)
        finally:
            self._requests.pop(reply, None)
        if message.headers is not None and message.headers.get("Status") == "503":
            raise errors.NoRespondersError
        return message

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        if self.is_closed:
            raise errors.ConnectionClosedError
        if not self.is_connected:
            self._pending.append((subject, payload, reply, headers))
            return
        self.send(subject, self.server.route, self, subject, payload, reply, headers)

    async def subscribe(
        self, subject: str, queue: str = "", cb: Callback | None = None, **_: Any
    ) -> Subscription:
        assert cb is not None
        subscription = Subscription(self, subject, queue, cb)
        self.server.add(subscription)
        return subscription

    async def flush(self, timeout: float = 10) -> None:
        await self.ask(lambda: None, timeout)

    def jetstream(self, timeout: float = 5) -> "JetStream":
        return JetStream(self, timeout)

    async def close(self) -> None:
        self.is_closed = True
        self.lost()

    # -- the wire

    async def ask[R](self, what: Callable[[], R], timeout: float) -> R:
        """Has the server do something and waits for its answer. Raises nats' TimeoutError."""
        done: asyncio.Future[R] = self.loop.create_future()

        def at_server() -> None:
            try:
                result = what()
            except errors.Error as error:
                self.receive("$answer", self.settle, done, None, error)
            else:
                self.receive("$answer", self.settle, done, result, None)

        if self.is_connected:
            self.send("$ask", at_server)
        return await self.in_time(done, timeout)

    async def in_time[R](self, future: asyncio.Future[R], timeout: float) -> R:
        """What comes of it. Raises nats' TimeoutError when that takes too long, also when both happen while we are suspended."""
        is_late = False

        def be_late() -> None:
            nonlocal is_late
            is_late = True
            if not future.done():
                late: Any = None
                future.set_result(late)

        timer = self.loop.call_later(timeout, be_late) if timeout > 0 else self.loop.call_soon(be_late)
        try:
            result = await future
        finally:
            timer.cancel()
        if is_late:
            raise errors.TimeoutError
        return result

    def settle(self, done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

    def send(self, about: str, what: Callable[..., None], *arguments: Any) -> None:
        """On its way to the server."""
        self._carry(self._sent, about, self._reach_server, what, arguments)

    def receive(self, about: str, do: Callable[..., None], *arguments: Any) -> None:
        """On its way to the client."""
        self._carry(self._received, about, self._reach_client, do, arguments)

    def _reach_server(self, _: bool, what: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self.server.is_up:
            what(*arguments)

    def _reach_client(self, is_all: bool, do: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self.is_closed:
            return
        if is_all:
            self.process.at_once(do, *arguments)
        else:
            self.process.soon(do, *arguments)

    def _carry(self, last: dict[str, float], about: str, arrive: Arrive, *arguments: Any) -> None:
        """`last` is when the last about this arrives, which is never overtaken."""
        loop, trouble = self.loop, self.server.trouble
        random = loop.random.random
        delay = _LEAST_S + _SPREAD_S * random()
        copies = 1
        if trouble.late:
            chance = random()
            if chance < trouble.lost:
                return
            if chance < trouble.lost + trouble.twice:
                copies = 2
            elif chance < trouble.lost + trouble.twice + trouble.late:
                delay += trouble.latest_s * random()
        for _ in range(copies):
            at = last[about] = max(loop.time() + delay, last.get(about, 0.0))
            loop.call_at(at, _arrive, self.link, arrive, *arguments, context=loop.root)
            delay += 0.5 * random()

    def answered(self, message: Message) -> None:
        """An answer to a request of ours has come."""
        future = self._requests.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message)

    # -- trouble

    def cut(self) -> None:
        """Nothing gets through until `mend`."""
        if not self.link.is_cut:
            self.link.is_cut = True
            self.loop.outside(BLIND_S, self._give_up, self.link)

    def mend(self) -> None:
        """What waited on the wire arrives; a connection that was given up is made again."""
        link = self.link
        link.is_cut = False
        waiting, link.waiting = link.waiting, []
        for arrive, arguments in () if link.is_lost else waiting:
            arrive(False, *arguments)
        self._connect_again()

    def drop(self) -> None:
        """The connection is gone, and all that was on its way."""
        if not self.is_closed and self.process.is_alive:
            self.link.is_lost = True
            self.process.soon(self._disconnected)
            self.server.routes.clear()

    def _give_up(self, link: Link) -> None:
        if link is self.link and link.is_cut:
            self.drop()

    def _disconnected(self) -> None:
        self.is_connected = False
        for future in self._requests.values():
            if not future.done():
                future.set_exception(errors.ConnectionReconnectingError())
        self._connect_again()

    def _connect_again(self) -> None:
        self.process.soon(self._try_to_connect, after_s=self.loop.random.uniform(0.1, 0.3))

    def _try_to_connect(self) -> None:
        if self.is_connected or self.is_closed:
            return
        if self.link.is_cut or not self.server.is_up:
            if not self.link.is_cut:
                self._connect_again()
            return
        self.link = Link()
        self.is_connected = True
        self.stats.reconnects += 1
        self.server.routes.clear()
        pending, self._pending = self._pending, []
        for subject, *message in pending:
            self.send(subject, self.server.route, self, subject, *message)

    def lost(self) -> None:
        """The process has ended or hung up: the server knows at once."""
        self.is_closed = True
        self.is_connected = False
        self.server.lose(self)


class Route(msgspec.Struct, frozen=True):
    """Whom a subject is for: the stream that keeps it, who gets it, and the queue groups of which one member does."""

    stream: "Stream | None"
    takers: list[Subscription]
    groups: list[list[Subscription]]


class Server:
    """One nats-server. Its streams are on disk: they outlive `restart`."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.trouble = Trouble()
        self.is_up = True
        self.clients: list[SimClient] = []
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._wild: dict[str, None] = {}
        """The patterns that fit more than one subject."""
        self.routes: dict[str, Route] = {}
        """Whom a subject is for, as it was found out last."""
        self.streams: dict[str, Stream] = {}
        self.heard: Callable[[str, bytes], None] = lambda *_: None
        """Told of every command to an engine that reaches the server."""
        self._ids = 0

    def connect(self, process: Process, name: str) -> Bus:
        """A bus of its own for a process."""
        stats = BusStats()
        client: Any = SimClient(self, process, name, stats)
        return Bus(client, stats)

    def restart(self, away_s: float) -> None:
        """Away for so long; every connection is lost."""
        self.is_up = False
        for client in list(self.clients):
            client.drop()
        self.loop.outside(away_s, self._up)

    def _up(self) -> None:
        self.is_up = True

    def next_id(self) -> int:
        """A number for a connection, or a subscription."""
        self._ids += 1
        return self._ids

    def add(self, subscription: Subscription) -> None:
        """Somebody has subscribed."""
        self._subscriptions.setdefault(subscription.pattern, []).append(subscription)
        if "*" in subscription.pattern or ">" in subscription.pattern:
            self._wild[subscription.pattern] = None
        self._find_anew(subscription.pattern)

    def forget(self, subscription: Subscription) -> None:
        """It was unsubscribed."""
        if subscription in (known := self._subscriptions.get(subscription.pattern, [])):
            known.remove(subscription)
        self._find_anew(subscription.pattern)

    def lose(self, client: SimClient) -> None:
        """It has hung up."""
        if client in self.clients:
            self.clients.remove(client)
        for pattern, known in self._subscriptions.items():
            self._subscriptions[pattern] = [each for each in known if each.client is not client]
        self.routes.clear()

    def _find_anew(self, pattern: str) -> None:
        for subject in [each for each in self.routes if fits(pattern, each)]:
            del self.routes[subject]

    def route(
        self, sender: SimClient, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None
    ) -> None:
        """Hands a message to everybody that it is for."""
        if subject.startswith(INBOX):
            name = subject.partition(".")[0].removeprefix(f"{INBOX}_")
            for client in self.clients:
                if client.name == name:
                    client.receive(subject, client.answered, Message(subject, payload, "", headers))
            return
        if ".command." in subject and subject.startswith("engine."):
            self.heard(subject.rpartition(".")[2], payload)
        route = self.routes.get(subject)
        if route is None:
            route = self.routes[subject] = self._route(subject)
        if route.stream is not None:
            self._store(route.stream, sender, subject, payload, reply, headers)
        found = route.takers
        if route.groups:
            found = found + [self.loop.random.choice(group) for group in route.groups]
        if not found and reply and route.stream is None:
            nobody = Message(reply, b"", "", {"Status": "503"})
            sender.receive(reply, sender.answered, nobody)
        for subscription in found:
            message = Message(subject, payload, reply, headers)
            subscription.client.receive(subject, self._deliver, subscription, message)

    def _deliver(self, subscription: Subscription, message: Message) -> None:
        if not subscription._closed:
            subscription.take(message)

    def _store(
        self,
        stream: "Stream",
        sender: SimClient,
        subject: str,
        payload: bytes,
        reply: str,
        headers: Mapping[str, str] | None,
    ) -> None:
        number = stream.store(subject, payload, (headers or {}).get("Nats-Msg-Id"), self.loop.time())
        if reply:
            sender.receive(reply, sender.answered, Message(reply, b"%d" % number))

    def _route(self, subject: str) -> Route:
        takers: list[Subscription] = []
        groups: dict[str, list[Subscription]] = {}
        patterns = (subject, *(pattern for pattern in self._wild if fits(pattern, subject)))
        found = [
            each
            for pattern in patterns
            for each in self._subscriptions.get(pattern, ())
            if not each.client.link.is_lost
        ]
        for each in sorted(found, key=lambda each: each.number):
            (groups.setdefault(each.queue, []) if each.queue else takers).append(each)
        stream = next((stream for stream in self.streams.values() if stream.takes(subject)), None)
        return Route(stream, takers, list(groups.values()))


@lru_cache(maxsize=20_000)
def fits(pattern: str, subject: str) -> bool:
    """True when the subject matches, with `*` for one part and `>` for the rest."""
    wanted_parts, parts = pattern.split("."), subject.split(".")
    for index, wanted in enumerate(wanted_parts):
        if wanted == ">":
            return len(parts) > index
        if index >= len(parts) or wanted not in ("*", parts[index]):
            return False
    return len(wanted_parts) == len(parts)


class Stored(msgspec.Struct):
    """A message on disk."""

    seq: int
    subject: str
    data: bytes
    at: float


class Stream:
    """Keeps what is published on its subjects."""

    def __init__(self, subjects: list[str]) -> None:
        self._patterns = subjects
        self.messages: list[Stored] = []
        self._ids: dict[str, tuple[int, float]] = {}
        self.consumers: dict[str, Consumer] = {}

    def takes(self, subject: str) -> bool:
        """True when it keeps what is said there."""
        return any(fits(pattern, subject) for pattern in self._patterns)

    def store(self, subject: str, data: bytes, message_id: str | None, at: float) -> int:
        """The number of the message; of the first one where it comes again within two minutes."""
        if message_id is not None:
            known = self._ids.get(message_id)
            if known is not None and at - known[1] < 120.0:
                return known[0]
            self._ids[message_id] = (len(self.messages) + 1, at)
        self.messages.append(Stored(len(self.messages) + 1, subject, data, at))
        for consumer in self.consumers.values():
            consumer.serve()
        return len(self.messages)


class Consumer:
    """A durable place in a stream. What was handed out and not acknowledged in time is handed out again, before anything newer."""

    def __init__(self, stream: Stream, loop: SimLoop, config: Any) -> None:
        self._stream, self._loop = stream, loop
        self.config = config
        self._filters = list(config.filter_subjects or [])
        self._ack_wait_s = config.ack_wait
        self._most = config.max_ack_pending
        self._next = 0
        self._pending: dict[int, float] = {}
        self._again: deque[Stored] = deque()
        self._waiting: deque[tuple[int, float, SimClient, Callable[[list[Stored]], None]]] = deque()

    @property
    def left(self) -> int:
        """How much is not acknowledged, or was never handed out."""
        fresh = sum(self._is_ours(each) for each in self._stream.messages[self._next :])
        return fresh + len(self._pending) + len(self._again)

    def ask(self, count: int, until: float, client: SimClient, give: Callable[[list[Stored]], None]) -> None:
        """Gives up to `count` messages, as soon as there are any, until then."""
        self._waiting.append((count, until, client, give))
        self.serve()

    def serve(self) -> None:
        """Hands out what there is."""
        while self._waiting:
            count, until, client, give = self._waiting[0]
            if until < self._loop.time() or client.is_closed or not client.is_connected:
                self._waiting.popleft()
                continue
            batch = self._batch(count)
            if not batch:
                return
            self._waiting.popleft()
            give(batch)

    def acknowledge(self, seq: int) -> None:
        self._pending.pop(seq, None)
        if self._again:
            self._again = deque(each for each in self._again if each.seq != seq)
        self.serve()

    def keep(self, seq: int) -> None:
        """It is still being worked at."""
        if seq in self._pending:
            self._hand_out(self._stream.messages[seq - 1])

    def _batch(self, count: int) -> list[Stored]:
        batch: list[Stored] = []
        while len(batch) < count and self._again:
            batch.append(self._again.popleft())
        messages = self._stream.messages
        while (
            len(batch) < count and len(self._pending) + len(batch) < self._most and self._next < len(messages)
        ):
            message = messages[self._next]
            self._next += 1
            if self._is_ours(message):
                batch.append(message)
        for message in batch:
            self._hand_out(message)
        return batch

    def _hand_out(self, message: Stored) -> None:
        until = self._pending[message.seq] = self._loop.time() + self._ack_wait_s
        self._loop.outside(self._ack_wait_s, self._overdue, message, until)

    def _overdue(self, message: Stored, until: float) -> None:
        if self._pending.get(message.seq) == until:
            del self._pending[message.seq]
            self._again.append(message)
            self._again = deque(sorted(self._again, key=lambda each: each.seq))
            self.serve()

    def _is_ours(self, message: Stored) -> bool:
        return not self._filters or any(fits(each, message.subject) for each in self._filters)


class Acknowledgement(msgspec.Struct):
    """Where a message was stored."""

    seq: int


class Kept(msgspec.Struct):
    """A message as a stream has it."""

    seq: int
    data: bytes


class Info(msgspec.Struct):
    """How far a consumer is."""

    num_pending: int
    num_ack_pending: int = 0
    config: Any = None


class JetStream:
    """As nats-py's JetStreamContext, as far as it is used."""

    def __init__(self, client: SimClient, timeout: float) -> None:
        self._client, self._timeout = client, timeout
        self._server = client.server

    async def publish(
        self, subject: str, payload: bytes, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Acknowledgement:
        try:
            answer = await self._client.request(subject, payload, timeout, headers)
        except errors.NoRespondersError:
            raise js_errors.NoStreamResponseError from None
        return Acknowledgement(int(answer.data))

    async def add_stream(self, config: Any) -> None:
        def make() -> None:
            self._server.streams.setdefault(config.name, Stream(config.subjects))
            self._server.routes.clear()

        await self._client.ask(make, self._timeout)

    async def get_msg(self, stream: str, *, seq: int, subject: str, next: bool) -> "Kept":
        """The first message of a subject from this number on."""

        def look() -> Kept:
            for stored in self._stream(stream).messages[max(0, seq - 1) :]:
                if stored.subject == subject:
                    return Kept(stored.seq, stored.data)
            raise js_errors.NotFoundError

        return await self._client.ask(look, self._timeout)

    async def get_last_msg(self, stream: str, subject: str) -> "Kept":
        def look() -> Kept:
            for stored in reversed(self._stream(stream).messages):
                if stored.subject == subject:
                    return Kept(stored.seq, stored.data)
            raise js_errors.NotFoundError

        return await self._client.ask(look, self._timeout)

    async def add_consumer(self, stream: str, config: Any) -> None:
        def make() -> None:
            consumers = self._stream(stream).consumers
            consumers.setdefault(
                config.durable_name, Consumer(self._stream(stream), self._server.loop, config)
            )

        await self._client.ask(make, self._timeout)

    async def consumer_info(self, stream: str, consumer: str) -> Info:
        def look() -> Info:
            if (known := self._stream(stream).consumers.get(consumer)) is None:
                raise js_errors.NotFoundError
            return Info(known.left, config=known.config)

        return await self._client.ask(look, self._timeout)

    async def pull_subscribe_bind(self, durable: str, stream: str) -> "Pull":
        return Pull(self._client, self._stream(stream).consumers[durable])

    def _stream(self, name: str) -> Stream:
        if name not in self._server.streams:
            raise js_errors.NotFoundError
        return self._server.streams[name]


class Pull:
    """As nats-py's PullSubscription."""

    def __init__(self, client: SimClient, consumer: Consumer) -> None:
        self._client, self._consumer = client, consumer

    async def fetch(self, batch: int, timeout: float) -> list["Delivered"]:
        client, loop = self._client, self._client.loop
        if not client.is_connected:
            # As nats-py: what is asked for is sent when there is a connection again.
            await asyncio.sleep(timeout)
            raise errors.TimeoutError
        done: asyncio.Future[list[Stored]] = loop.create_future()
        until = loop.time() + timeout

        def give(messages: list[Stored]) -> None:
            client.receive("$fetch", client.settle, done, messages, None)

        client.send("$fetch", self._consumer.ask, batch, until, client, give)
        found = await client.in_time(done, timeout + 0.05)
        return [Delivered(client, self._consumer, each) for each in found]

    async def unsubscribe(self) -> None:
        """Nothing to do."""


class Delivered(Message):
    """A message of a stream."""

    def __init__(self, client: SimClient, consumer: Consumer, stored: Stored) -> None:
        super().__init__(stored.subject, stored.data)
        self._client, self._consumer, self._seq = client, consumer, stored.seq
        self.metadata = Metadata(EPOCH + timedelta(seconds=stored.at))

    async def ack(self) -> None:
        self._tell(self._consumer.acknowledge)

    async def in_progress(self) -> None:
        self._tell(self._consumer.keep)

    def _tell(self, what: Callable[[int], None]) -> None:
        if self._client.is_closed:
            raise errors.ConnectionClosedError
        if self._client.is_connected:
            self._client.send("$ack", what, self._seq)
