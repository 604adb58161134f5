"""All that the notifier knows, changed in turns: what a turn decides is on record before it is true here, told, or sent."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import msgspec

from flotilla.bus.blanking import blanked, blanked_text
from flotilla.bus.endpoint import Witnessed, asked
from flotilla.bus.logs import get_logger
from flotilla.schemas.alerting import AlertChange, Channel, Mute
from flotilla.schemas.audit import Caller, NotifierCommand
from flotilla.schemas.contract import ALERT_CHANGE, NOTIFIER_COMMAND, Call
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.ids import new_request_id
from flotilla.services.notifier.core import book, deliveries
from flotilla.services.notifier.core.book import AlertRecord, Step
from flotilla.services.notifier.core.deliveries import Delivery
from flotilla.services.notifier.core.engines import EngineMemory
from flotilla.services.notifier.core.fleet import HostMemory, QueueMemory
from flotilla.services.notifier.core.signals import Signal, Thresholds
from flotilla.services.notifier.ports import Batch, Command, Kept, Note, RepeatedCommand, Store

log = get_logger(__name__)

Clock = Callable[[], datetime]
Key = tuple[str, str, str]
_LONGEST_FIELD: Final = 2_000


class Turn:
    """What one turn has decided so far; nothing of it is so before it is committed."""

    def __init__(self, ledger: "Ledger", now: datetime, *, is_silent: bool = False) -> None:
        self.now = now
        self.batch = Batch()
        self._ledger = ledger
        self._is_silent = is_silent
        self._happened: list[Signal] = []
        self.records: dict[Key, AlertRecord] = {}
        self.waiting: dict[str, Delivery] = {}
        self.engines: dict[str, EngineMemory] = {}
        self.hosts: dict[str, HostMemory] = {}
        self.queue: QueueMemory | None = None

    def engine(self, instance_id: str) -> EngineMemory:
        """What is known of it."""
        known = self.engines.get(instance_id) or self._ledger.engines.get(instance_id)
        return known or EngineMemory(instance_id=instance_id)

    def keep(self, memory: EngineMemory) -> None:
        """Of an engine, from now on. One that the orchestrator never spoke of is a worker, or not there yet."""
        if memory.state is None and memory.instance_id not in self._ledger.engines:
            return
        self.engines[memory.instance_id] = memory

    def say(self, signals: Iterable[Signal]) -> None:
        """Takes what was seen; of what happened before there was a notifier nothing."""
        if self._is_silent:
            return
        for signal in signals:
            if signal.happened:
                self._happened.append(signal)
                continue
            current = self.record(signal.key)
            if step := book.take(signal, current, self._ledger.thresholds, self.now, new_request_id()):
                self.make(step)

    def record(self, key: Key) -> AlertRecord | None:
        """The alert of this key that is open or was lately."""
        return self.records.get(key) or self._ledger.records.get(key)

    def make(self, step: Step) -> None:
        """Has an alert changed, and told."""
        record = step.record
        if step.change is not None:
            change = AlertChange(change=step.change, at=self.now, alert=record.view)
            self.batch.notes.append(Note(feed=ALERT_CHANGE.subject, body=msgspec.json.encode(change)))
            names = book.hearers(change, record, self._ledger.channels.values(), self._ledger.mutes)
            for name in names:
                self._tell(name, change)
            record = msgspec.structs.replace(record, told=tuple(sorted({*record.told, *names})))
        self.records[record.key] = record
        self.batch.records.append(record)

    async def settle(self) -> None:
        """Takes what happened once: what is on record already was told."""
        if not self._happened:
            return
        made = {_id_of(signal): signal for signal in self._happened}
        known = await self._ledger.store.known(list(made))
        for alert_id, signal in made.items():
            if alert_id in known:
                continue
            if step := book.take(signal, None, self._ledger.thresholds, self.now, alert_id):
                self.make(step)

    def _tell(self, channel: str, change: AlertChange) -> None:
        waiting = self.waiting.get(channel) or self._ledger.gathering(channel)
        self.waiting[channel] = deliveries.gathered(
            change, waiting, channel, self._ledger.last_sent.get(channel), new_request_id()
        )

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to be written but what may be written later."""
        batch = self.batch
        return not (
            batch.records
            or batch.notes
            or batch.command
            or batch.deliveries
            or batch.sent
            or batch.given_up
            or self.waiting
            or batch.settings is not None
            or batch.channels is not None
            or batch.mutes is not None
        )


class Ledger:
    """The state, and the lock under which it is changed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.is_loaded = False
        self.first_start = clock()
        self.records: dict[Key, AlertRecord] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.last_sent: dict[str, datetime] = {}
        self.thresholds = Thresholds()
        self.channels: dict[str, Channel] = {}
        self.mutes: tuple[Mute, ...] = ()
        self.engines: dict[str, EngineMemory] = {}
        self.hosts: dict[str, HostMemory] = {}
        self.queue = QueueMemory()
        self.has_notes = asyncio.Event()
        self.problem = ""
        """Why the store took nothing, the last time; "" when it did."""
        self._lock = asyncio.Lock()
        self._unwritten: set[str] = set()

    async def load(self) -> None:
        """Reads what is kept."""
        await self.store.migrate()
        now = self.clock()
        kept = await self.store.load(now, now - book.BACK_WITHIN)
        self._adopt_kept(kept, now)
        self.is_loaded = True
        self.has_notes.set()

    def _adopt_kept(self, kept: Kept, now: datetime) -> None:
        self.first_start = kept.first_start
        self.records = {one.key: one for one in kept.records}
        self.deliveries = {one.delivery_id: one for one in kept.deliveries}
        self.last_sent = dict(kept.last_sent)
        self.thresholds = Thresholds(kept.settings)
        self.channels = {one.name: one for one in kept.channels}
        self.mutes = kept.mutes
        # What was not heard while nobody listened was perhaps said.
        self.engines = {one.instance_id: msgspec.structs.replace(one, heard_at=now) for one in kept.engines}
        self.hosts = {one.host: msgspec.structs.replace(one, heard_at=now) for one in kept.hosts}
        self.queue = kept.queue

    def gathering(self, channel: str) -> Delivery | None:
        """The delivery of a channel that was not tried yet."""
        found = (one for one in self.deliveries.values() if one.channel == channel and one.attempts == 0)
        return next(found, None)

    @asynccontextmanager
    async def turn(self, *, is_silent: bool = False, is_whole: bool = False) -> AsyncIterator[Turn]:
        """One after the other. What it has decided is committed at its end; raises FaultError when that cannot be, and nothing is changed then.

        What is known of engines and hosts waits for a turn that writes anyway, unless it `is_whole`.
        """
        if not self.is_loaded:
            raise fault(FaultCode.UNAVAILABLE, "the record has not been read yet", retry_after_s=2.0)
        async with self._lock:
            turn = Turn(self, self.clock(), is_silent=is_silent)
            yield turn
            await self._commit(turn, is_whole=is_whole)

    async def _commit(self, turn: Turn, *, is_whole: bool) -> None:
        await self._guarded(turn.settle())
        turn.batch.deliveries.extend(turn.waiting.values())
        if is_whole or not turn.is_empty:
            self._add_memories(turn)
            await self._guarded(self.store.commit(turn.batch))
            self._unwritten.clear()
        else:
            self._unwritten |= turn.engines.keys()
        self._adopt(turn)

    def _add_memories(self, turn: Turn) -> None:
        engines = {name: self.engines[name] for name in self._unwritten if name in self.engines}
        turn.batch.engines = list({**engines, **turn.engines}.values())
        turn.batch.hosts = [one for name, one in turn.hosts.items() if name not in self.hosts]
        turn.batch.queue = turn.queue

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except FaultError as error:
            self.problem = error.fault.message
            raise
        self.problem = ""

    def _adopt(self, turn: Turn) -> None:
        batch = turn.batch
        self.records.update(turn.records)
        self.deliveries.update((one.delivery_id, one) for one in batch.deliveries)
        for delivery_id, at in batch.sent:
            gone = self.deliveries.pop(delivery_id, None)
            if gone is not None:
                self.last_sent[gone.channel] = at
        for delivery_id in batch.given_up:
            self.deliveries.pop(delivery_id, None)
        if batch.settings is not None:
            self.thresholds = Thresholds(batch.settings)
        if batch.channels is not None:
            self.channels = {one.name: one for one in batch.channels}
        if batch.mutes is not None:
            self.mutes = batch.mutes
        self.engines.update(turn.engines)
        self.hosts.update(turn.hosts)
        self.queue = turn.queue or self.queue
        for key in [key for key, one in self.records.items() if book.is_done_with(one, turn.now)]:
            del self.records[key]
        if batch.notes:
            self.has_notes.set()

    async def once[R](
        self, call: Call[Any, R], request: Any, about: str, run: Callable[[Turn], Awaitable[R]]
    ) -> R:
        """Carries a command out unless one of its request id was; it is on record, and for the audit, with its effect."""
        digest = _digest(request)
        request_id = request.request_id or new_request_id()
        if earlier := await self.store.command(request_id):
            return _repeated(call, earlier, digest)
        try:
            async with self.turn() as turn:
                reply = await run(turn)
                turn.batch.command = Command(
                    request_id=request_id,
                    subject=call.subject,
                    body_hash=digest,
                    reply=msgspec.json.encode(reply),
                    at=turn.now,
                )
                turn.batch.notes.append(_audited(call, request_id, about, turn.now))
        except RepeatedCommand:
            # The same one came at the same time and was quicker.
            if (earlier := await self.store.command(request_id)) is None:
                raise
            return _repeated(call, earlier, digest)
        return reply

    async def saw(self, seen: Witnessed) -> None:
        """Has a command that was refused told to the audit. Raises FaultError."""
        if seen.problem is None:
            return
        body = blanked(seen.body)
        said = msgspec.json.decode(body) if body is not None else None
        request_id = said.get("request_id") if said else None
        told = NotifierCommand(
            at=self.clock(),
            request_id=request_id[:100] if isinstance(request_id, str) else new_request_id(),
            subject=seen.call.subject,
            caller=seen.caller,
            body=said,
            code=seen.problem.code,
            message=blanked_text(seen.problem.message, seen.body)[:_LONGEST_FIELD],
        )
        async with self.turn() as turn:
            turn.batch.notes.append(Note(feed=NOTIFIER_COMMAND.subject, body=msgspec.json.encode(told)))


def who(caller: Caller) -> str:
    """A name, with a question mark behind it where nobody vouches for it."""
    name = caller.name or caller.credential or "somebody"
    return name if caller.is_vouched_for else f"{name}?"


def _id_of(signal: Signal) -> str:
    """The same for the same happening, so that it is told of once."""
    text = "\0".join((*signal.key, signal.happened))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _digest(request: Any) -> bytes:
    meant = msgspec.structs.replace(request, request_id=None)
    return hashlib.sha256(msgspec.json.encode(meant, order="deterministic")).digest()


def _audited(call: Call[Any, Any], request_id: str, about: str, now: datetime) -> Note:
    body = blanked(asked().body)
    told = NotifierCommand(
        at=now,
        request_id=request_id,
        subject=call.subject,
        about=about,
        caller=asked().caller,
        body=msgspec.json.decode(body) if body is not None else None,
    )
    return Note(feed=NOTIFIER_COMMAND.subject, body=msgspec.json.encode(told))


def _repeated[R](call: Call[Any, R], earlier: Command, digest: bytes) -> R:
    if (earlier.subject, earlier.body_hash) != (call.subject, digest):
        text = f"request id {earlier.request_id} was used for another command"
        raise fault(FaultCode.CONFLICT, text)
    return msgspec.json.decode(earlier.reply, type=call.reply)
