"""The JetStream side: makes the streams of the contract, follows durable feeds, reads back what a stream keeps."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import STREAMS, Durability, Feed, Stream
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.subjects import subject, wildcard

log = get_logger(__name__)

ACK_WAIT_S: Final = 5.0
"""How soon what a killed consumer had taken is handed out again."""
DUPLICATE_WINDOW_S: Final = 120.0
_STEP: Final = 256
_LEAST_STEP: Final = 16
"""How many numbers of a stream are looked through at a time, backwards: less where they hold more than this many bytes."""
_STEP_BYTES: Final = 8 << 20


class Delivery(msgspec.Struct, frozen=True):
    """One message of a stream; `seq` is its number there, where that was asked for."""

    subject: str
    data: bytes
    at: datetime
    seq: int = 0


class StreamSpan(msgspec.Struct, frozen=True):
    """The numbers of the first and the last message that a stream keeps; `first` is one more than `last` when there is none."""

    epoch: str
    first: int
    last: int


class StreamPlace(msgspec.Struct, frozen=True):
    """A place in a stream. `epoch` names the stream from its making on: one that was made anew counts anew."""

    epoch: str
    seq: int


async def ensure_streams(bus: Bus) -> None:
    """Makes every stream of the contract, or brings it to its present settings."""
    js = bus.client.jetstream(timeout=10)
    for stream in STREAMS:
        config = _config(stream)
        try:
            await js.add_stream(config)
        except js_errors.BadRequestError:
            await js.update_stream(config)


def _config(stream: Stream) -> api.StreamConfig:
    return api.StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.OLD,
        max_age=stream.max_age_s,
        max_bytes=stream.max_bytes,
        max_msgs_per_subject=stream.max_per_subject,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        deny_delete=stream.is_append_only,
        deny_purge=stream.is_append_only,
    )


class Follower:
    """Hands every message of some durable feeds to `handler` in batches, each at least once, in the order of the stream.

    A batch is acknowledged after the handler returned. When it raises, the same batch is tried again until it succeeds, so that
    nothing is passed over while a dependency of the handler is away. `durable` names the consumer: its place survives us.
    """

    def __init__(
        self,
        bus: Bus,
        feeds: Sequence[Feed[Any]],
        handler: Callable[[Sequence[Delivery]], Awaitable[None]],
        *,
        durable: str,
        batch: int = 256,
    ) -> None:
        self._js = bus.client.jetstream(timeout=5)
        self._subjects = [wildcard(feed.subject) for feed in feeds]
        self._stream = str(feeds[0].durability)
        self._handler = handler
        self._durable = durable
        self._batch = batch

    async def run(self) -> None:
        """Follows until it is cancelled; survives the server's restarts."""
        while True:
            try:
                subscription = await self._subscribe()
                while True:
                    await self._step(subscription)
            except (errors.Error, js_errors.Error) as error:
                log.warning("follower starts again", durable=self._durable, error=repr(error))
                await asyncio.sleep(0.5)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        config = api.ConsumerConfig(
            durable_name=self._durable,
            filter_subjects=self._subjects,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            deliver_policy=api.DeliverPolicy.ALL,
            # One batch at a time: what a killed consumer had taken comes again before anything newer.
            max_ack_pending=self._batch,
        )
        try:
            known = (await self._js.consumer_info(self._stream, self._durable)).config
            # Where it began cannot be changed: a restore has it begin somewhere else.
            config.deliver_policy, config.opt_start_seq = known.deliver_policy, known.opt_start_seq
        except js_errors.NotFoundError:
            pass
        await self._js.add_consumer(self._stream, config)
        return await self._js.pull_subscribe_bind(self._durable, self._stream)

    async def _step(self, subscription: JetStreamContext.PullSubscription) -> None:
        try:
            messages = await subscription.fetch(self._batch, timeout=1)
        except (errors.TimeoutError, TimeoutError):
            return
        await self._handle(messages)
        for message in messages:
            await message.ack()

    async def _handle(self, messages: list[Msg]) -> None:
        batch = [Delivery(message.subject, message.data, message.metadata.timestamp) for message in messages]
        pause, told = 0.1, ""
        while True:
            try:
                await self._handler(batch)
            except Exception as error:  # tried again until it works: see the class
                if repr(error) != told:
                    told = repr(error)
                    log.exception("batch failed", durable=self._durable, messages=len(batch))
            else:
                return
            for message in messages:
                await message.in_progress()
            await asyncio.sleep(pause)
            pause = min(pause * 2, ACK_WAIT_S / 3)


async def end_of(bus: Bus, stream: Durability, *, timeout_s: float = 5.0) -> StreamPlace:
    """Where a stream ends now. Raises FaultError `unavailable`, also when there is no such stream."""
    span = await span_of(bus, stream, timeout_s=timeout_s)
    return StreamPlace(span.epoch, span.last)


async def span_of(bus: Bus, stream: Durability, *, timeout_s: float = 5.0) -> StreamSpan:
    """What a stream keeps now. Raises FaultError `unavailable`, also when there is no such stream."""
    try:
        info = await bus.client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=timeout_s)
        found = msgspec.json.decode(info.data, type=_StreamInfo)
    except (errors.Error, TimeoutError, msgspec.ValidationError) as error:
        text = f"where {stream} ends cannot be read: {error!r}"
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from error
    return StreamSpan(f"{found.created.timestamp():.0f}", found.state.first_seq, found.state.last_seq)


class _StreamState(msgspec.Struct):
    first_seq: int
    last_seq: int


class _StreamInfo(msgspec.Struct):
    created: datetime
    state: _StreamState


async def read_on(
    bus: Bus, stream: Durability, after: int, *, subjects: str = ">", limit: int = 256, timeout_s: float = 5.0
) -> list[Delivery]:
    """The messages of these subjects that a stream keeps after a number, at most `limit` and 4 MB of them, oldest first; none when there
    are none yet.

    They are read without a consumer: it needs no right but to read (NATS ADR 31, batched direct get). Raises FaultError `unavailable`.
    """
    asked = {"seq": after + 1, "next_by_subj": subjects, "batch": limit, "max_bytes": 4 << 20}
    return await _read(bus, stream, asked, timeout_s)


async def first_since(
    bus: Bus, stream: Durability, moment: datetime, *, timeout_s: float = 5.0
) -> int | None:
    """The number of the first message that a stream stored at this moment or after it; None when there is none. Raises FaultError `unavailable`."""
    asked = {"start_time": moment.astimezone(UTC).isoformat(), "next_by_subj": ">", "batch": 1}
    found = await _read(bus, stream, asked, timeout_s)
    return found[0].seq if found else None


async def read_back(
    bus: Bus, stream: Durability, span: tuple[int, int], subjects: str
) -> AsyncIterator[tuple[int, list[Delivery]]]:
    """The messages of these subjects in a span of numbers (the first, and the one after the last), its end first: in runs that are each
    oldest first and end where the one before began, with the number that a run begins at.

    NATS reads forward only, so a run is a step back whose width goes by how many messages the last one had. Raises FaultError `unavailable`.
    """
    first, before = span
    width = _STEP
    while before > first:
        begin = max(first, before - width)
        found = await _between(bus, stream, begin, before, subjects)
        if found is None:
            width = max(_LEAST_STEP, width // 8)
            continue
        yield begin, found
        before = begin
        width = width * 2 if len(found) < _STEP // 4 else _STEP


async def _between(
    bus: Bus, stream: Durability, begin: int, before: int, subjects: str
) -> list[Delivery] | None:
    """None when there is more than should be held at a time, unless the step is as small as it can be."""
    found: list[Delivery] = []
    after = begin - 1
    while after < before - 1:
        batch = await read_on(bus, stream, after, subjects=subjects, limit=min(64, before - 1 - after))
        inside = [one for one in batch if one.seq < before]
        found += inside
        if len(inside) < len(batch) or not batch:
            break
        after = batch[-1].seq
        if sum(len(one.data) for one in found) > _STEP_BYTES and before - begin > _LEAST_STEP:
            return None
    return found


async def _read(bus: Bus, stream: Durability, asked: dict[str, Any], timeout_s: float) -> list[Delivery]:
    inbox = bus.client.new_inbox()
    try:
        replies = await bus.client.subscribe(inbox)
        try:
            await bus.client.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(asked), reply=inbox)
            return await _batch(replies, timeout_s)
        finally:
            await replies.unsubscribe()
    except (errors.Error, TimeoutError) as error:
        text = f"what {stream} keeps cannot be read: {error!r}"
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from error


async def _batch(replies: Subscription, timeout_s: float) -> list[Delivery]:
    found: list[Delivery] = []
    while True:
        message = await replies.next_msg(timeout=timeout_s)
        headers = message.headers or {}
        match headers.get("Status"):
            case None:
                found.append(_direct(message, headers))
            case "204" | "404":  # the end of the batch, and nothing after that number
                return found
            case status:
                raise errors.Error(f"{status} {headers.get('Description', '')}")


def _direct(message: Msg, headers: Mapping[str, str]) -> Delivery:
    # Its fraction has nine digits, of which datetime takes six.
    at = datetime.fromisoformat(headers["Nats-Time-Stamp"])
    return Delivery(headers["Nats-Subject"], message.data, at, int(headers["Nats-Sequence"]))


async def next_kept(bus: Bus, feed: Feed[Any], after: int, *, timeout_s: float) -> tuple[int, bytes] | None:
    """The first message of a feed without ids that its stream keeps after this sequence, with its own; None when there is none,
    or no such stream. Raises FaultError `unavailable` when that cannot be told.
    """
    js = bus.client.jetstream(timeout=timeout_s)
    try:
        kept = await js.get_msg(str(feed.durability), seq=after + 1, subject=feed.subject, next=True)
    except js_errors.NotFoundError:
        return None
    except (errors.Error, js_errors.Error, TimeoutError) as error:
        text = f"what {feed.durability} keeps cannot be read: {error!r}"
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from error
    return int(kept.seq or 0), kept.data or b""


async def last_kept(bus: Bus, feed: Feed[Any], *, timeout_s: float, **ids: str) -> bytes | None:
    """The last message of a feed for these ids that its stream keeps; None when there is none. Raises FaultError `unavailable`."""
    js = bus.client.jetstream(timeout=timeout_s)
    try:
        kept = await js.get_last_msg(str(feed.durability), subject(feed.subject, **ids))
    except js_errors.NotFoundError:
        return None
    except (errors.Error, js_errors.Error, TimeoutError) as error:
        text = f"what {feed.durability} keeps cannot be read: {error!r}"
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from error
    return kept.data or b""


async def history(
    bus: Bus, feed: Feed[Any], *, limit: int, is_strict: bool = False, **ids: str
) -> list[Delivery]:
    """The last `limit` messages that the feed's stream keeps for these ids, oldest first.

    When the server does not give all of them in time it is those that it gave; when that `is_strict`, raises FaultError `unavailable`,
    as it does when there is no such stream.
    """
    if feed.durability == Durability.LOSSY:
        raise ValueError(f"{feed.subject} is kept nowhere")
    js = bus.client.jetstream(timeout=5)
    try:
        subscription = await js.pull_subscribe(
            subject(feed.subject, **ids),
            stream=str(feed.durability),
            config=api.ConsumerConfig(ack_policy=api.AckPolicy.NONE, inactive_threshold=30.0),
        )
    except js_errors.Error as error:
        text = f"what {feed.durability} keeps cannot be read: {error!r}"
        raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from error
    kept: deque[Delivery] = deque(maxlen=limit)
    try:
        left = (await subscription.consumer_info()).num_pending or 0
        while left > 0:
            messages = await subscription.fetch(min(left, 256), timeout=2)
            kept.extend(
                Delivery(message.subject, message.data, message.metadata.timestamp) for message in messages
            )
            left -= len(messages)
    except (errors.TimeoutError, TimeoutError):
        if is_strict:
            text = f"what {feed.durability} keeps cannot be read: {left} messages are missing"
            raise fault(FaultCode.UNAVAILABLE, text, retry_after_s=1.0) from None
        log.warning("history is short", subject=feed.subject, missing=left)
    finally:
        await subscription.unsubscribe()
    return list(kept)
