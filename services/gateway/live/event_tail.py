"""Reads the stream of events as it grows: each once, in its order, with its number there, whatever happens to the bus meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import Delivery, end_of, read_on
from flotilla.schemas.contract import Durability, Feed
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.subjects import parse, wildcard
from flotilla.services.gateway.live.place import Place

log = get_logger(__name__)

PAGE: Final = 256
RECENT: Final = 1_000
PACE_S: Final = 0.01
"""Between two reads while events come: those that came meanwhile are read at once."""
LOOK_S: Final = 1.0
"""Nothing may wake us while the bus is not well, so we look this often."""
_TRY_AGAIN_S: Final = 0.5


class Told(msgspec.Struct, frozen=True):
    """One event: what it says, the ids of its subject, and its place."""

    kind: str
    payload: Any
    ids: Mapping[str, str]
    place: Place


class EventTail:
    """Hands every event of some feeds to `deliver`, from where the stream ends when it is first reached.

    `moved` is called when `place` has moved to where nobody read up to: the stream was made anew. `skipped` is called before events
    that do not follow on from those before: what was between is not kept any more.
    """

    def __init__(
        self,
        bus: Bus,
        feeds: Mapping[str, Feed[Any]],
        deliver: Callable[[Told], None],
        moved: Callable[[], None],
        skipped: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._feeds = feeds
        self._kinds = {wildcard(feed.subject): kind for kind, feed in feeds.items()}
        self._decoders = {kind: msgspec.json.Decoder(feed.payload) for kind, feed in feeds.items()}
        self._deliver = deliver
        self._moved = moved
        self._skipped = skipped
        self._news = asyncio.Event()
        self.place: Place | None = None

    async def start(self) -> None:
        """Subscribes to be woken; returns when the server knows of it."""
        for feed in self._feeds.values():
            await self._bus.notice(feed, self._news.set)

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            try:
                await self._find_end()
                while True:
                    await self._step()
            except FaultError as error:
                log.debug("events are not read", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_S)

    async def page(self, after: int) -> Sequence[Delivery]:
        """The next events after a number, at most PAGE, those of other feeds too. Raises FaultError `unavailable`."""
        return await read_on(self._bus, Durability.EVENTS, after, limit=PAGE)

    async def recent(self) -> list[Told]:
        """The last RECENT events before now. Raises FaultError `unavailable`, also while the stream was never reached."""
        if self.place is None:
            raise fault(FaultCode.UNAVAILABLE, "events cannot be read now", retry_after_s=1.0)
        after = max(0, self.place.number - RECENT)
        found: list[Told] = []
        while page := await self.page(after):
            found += [told for delivery in page if (told := self.told(delivery)) is not None]
            after = page[-1].seq
            if after >= self.place.number:
                break
        return found

    def told(self, delivery: Delivery) -> Told | None:
        """What a message says; None for one of another feed, and for one that cannot be read, which is logged."""
        kind = self._kinds.get(_pattern(delivery.subject))
        if kind is None or self.place is None:
            return None
        try:
            payload = self._decoders[kind].decode(delivery.data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("event passed over", subject=delivery.subject, seq=delivery.seq, error=str(error))
            return None
        ids = parse(self._feeds[kind].subject, delivery.subject) or {}
        return Told(kind, payload, ids, Place(self.place.boot, delivery.seq))

    async def _find_end(self) -> None:
        """Where to go on: behind what was read last, or at the end of a stream that we have not read of."""
        end = await end_of(self._bus, Durability.EVENTS)
        known = self.place
        if known is None or known.boot != end.epoch or known.number > end.seq:
            self.place = Place(end.epoch, end.seq)
            self._moved()

    async def _step(self) -> None:
        self._news.clear()
        after = self.place.number if self.place else 0
        page = await self.page(after)
        if page and page[0].seq > after + 1:
            self._skipped()
        for delivery in page:
            self._take(delivery)
        if len(page) < PAGE:
            await self._wait()
            await asyncio.sleep(PACE_S)

    def _take(self, delivery: Delivery) -> None:
        told = self.told(delivery)
        if self.place is not None:
            self.place = Place(self.place.boot, delivery.seq)
        if told is not None:
            self._deliver(told)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._news.wait()
        except TimeoutError:
            return


def _pattern(subject: str) -> str:
    """A subject with `*` in place of its id, as feeds are known by: an id stands second of an engine's, third of the fleet's."""
    tokens = subject.split(".")
    at = 1 if tokens[0] == "engine" else 2
    if len(tokens) > at + 1:
        tokens[at] = "*"
    return ".".join(tokens)
