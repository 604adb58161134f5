"""The record in memory: tests/contract/test_record.py holds it to what PostgreSQL does."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import msgspec

from flotilla.schemas.audit import AuditChain, AuditEntry, AuditHead, AuditPruned, AuditRow, Caller, ReadAudit
from flotilla.schemas.audit_chain import NOTHING, moment_text, row_hash
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.session import SessionSpec, VenueAccount
from flotilla.schemas.telemetry import EngineEvent, OrderUpdate, PositionUpdate
from flotilla.services.orchestrator.core.record_time import KeptTime
from flotilla.services.orchestrator.engines.core import leases
from flotilla.services.orchestrator.engines.core.ends import CLOSED_BY, Exposure
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.core.leases import Lease
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.ports import (
    AccountHeld,
    Change,
    Command,
    Refusal,
    RepeatedCommand,
    StaleChange,
    Unstorable,
)

_OVER = ("INITIALIZED", "EMULATED", "RELEASED", "DENIED", "REJECTED", "CANCELED", "EXPIRED", "FILLED")
_MOST = 50


class Store:
    """What is on disk. It outlives every record that is opened on it."""

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {}
        self.sessions: dict[str, Session] = {}
        self.specs: dict[str, SessionSpec] = {}
        self.events: dict[str, dict[int, StoredEvent]] = {}
        self.last_seq: dict[str, int] = {}
        self.commands: dict[str, Command] = {}
        self.refusals: list[Refusal] = []
        self.audit: list[AuditRow] = []
        self.pruned: AuditPruned | None = None
        self.leases: dict[VenueAccount, Lease] = {}
        self.time: KeptTime | None = None

    def session(self, session_id: str) -> Session:
        """A session with the number of its last event."""
        last_seq = self.last_seq.get(session_id, 0)
        return msgspec.structs.replace(self.sessions[session_id], last_seq=last_seq)

    def engine(self, instance_id: str) -> Engine | None:
        """An engine with its present session."""
        engine = self.engines.get(instance_id)
        if engine is None or engine.session is None:
            return engine
        return msgspec.structs.replace(engine, session=self.session(engine.session.session_id))

    def save(self, change: Change) -> None:
        """All of it or nothing, see Record.save."""
        engine, session = change.engine, change.engine.session
        known = self.engines.get(engine.instance_id)
        if known is not None and known.version != engine.version - 1:
            raise StaleChange(engine.instance_id)
        changed = [each for each in (change.ended, session) if each is not None]
        held, spec = self._leases_after(changed, change.spec, engine.updated_at)
        for each in changed:
            if each.exit_code is not None and abs(each.exit_code) >= 2**31:
                raise Unstorable(f"exit code {each.exit_code}")
        new = {session.session_id} if session is not None and spec is not None else set()
        self._check_events(change.events, new)
        if change.command is not None and change.command.request_id in self.commands:
            raise RepeatedCommand(change.command.request_id)
        self.engines[engine.instance_id] = _kept(engine)
        for each in changed:
            self.sessions[each.session_id] = _kept(each)
        if spec is not None:
            self.specs[spec.session_id] = spec
        self.leases = held
        self._put_events(change.events)
        if change.command is not None:
            self.add_command(change.command)

    def add_command(self, command: Command) -> None:
        """See Record.add_command."""
        if command.request_id in self.commands:
            raise RepeatedCommand(command.request_id)
        self.commands[command.request_id] = command
        self._chain(command)

    def add_refusal(self, refusal: Refusal) -> None:
        """See Record.add_refusal."""
        key = (refusal.request_id, refusal.created_at)
        if key not in [(each.request_id, each.created_at) for each in self.refusals]:
            self.refusals.append(refusal)
            self._chain(refusal)

    @property
    def head(self) -> AuditHead:
        """The last entry, or the last that was deleted."""
        last = self.audit[-1] if self.audit else self.pruned
        return AuditHead(seq=last.seq, hash=last.hash) if last else AuditHead(seq=0, hash=NOTHING)

    def _chain(self, entry: Command | Refusal) -> None:
        row = AuditRow(
            seq=self.head.seq + 1,
            at=moment_text(entry.created_at),
            request_id=entry.request_id,
            subject=entry.subject,
            about=entry.instance_id,
            host=entry.host,
            credential=entry.caller.credential,
            caller=entry.caller.name,
            origin=entry.caller.origin,
            via=entry.caller.via,
            body=None if entry.body is None else entry.body.decode(),
            code=str(entry.code) if isinstance(entry, Refusal) else None,
            message=entry.message,
            prev=self.head.hash,
            hash="",
        )
        self.audit.append(msgspec.structs.replace(row, hash=row_hash(row)))

    def forget_audit(self, before: datetime) -> int:
        """See Record.forget_audit."""
        for name in [name for name, each in self.commands.items() if each.created_at < before]:
            del self.commands[name]
        self.refusals = [each for each in self.refusals if each.created_at >= before]
        old = list(takewhile(lambda row: row.at < moment_text(before), self.audit))
        if old:
            rule = f"older than {moment_text(before)}"
            self.pruned = AuditPruned(seq=old[-1].seq, hash=old[-1].hash, at=before, rule=rule)
            del self.audit[: len(old)]
        return len(old)

    def add_events(self, events: Sequence[StoredEvent]) -> None:
        """See Record.add_events."""
        self._check_events(events, set())
        self._put_events(events)

    def _check_events(self, events: Sequence[StoredEvent], new: set[str]) -> None:
        for event in events:
            if event.session_id not in self.sessions and event.session_id not in new:
                raise Unstorable(f"session {event.session_id} is not on record")

    def _put_events(self, events: Sequence[StoredEvent]) -> None:
        for event in events:
            self.events.setdefault(event.session_id, {}).setdefault(event.seq, event)
            self.last_seq[event.session_id] = max(self.last_seq.get(event.session_id, 0), event.seq)

    def _leases_after(
        self, changed: Sequence[Session], spec: SessionSpec | None, now: datetime
    ) -> tuple[dict[VenueAccount, Lease], SessionSpec | None]:
        held = dict(self.leases)
        for session in changed:
            if session.is_over:
                for account, lease in held.items():
                    if lease.session_id == session.session_id and lease.free_at is None:
                        at = _utc(leases.free_at(session, lease.ttl_s, now))
                        held[account] = msgspec.structs.replace(lease, free_at=at)
        if spec is None or spec.lease is None:
            return held, spec
        wanted = [
            held.get(each) or Lease(venue=each.venue, account=each.account) for each in spec.lease.accounts
        ]
        for lease in wanted:
            if not lease.is_free(now):
                raise AccountHeld(lease, now)
        token = leases.next_token(wanted, spec.lease.token)
        for account in spec.lease.accounts:
            held[account] = Lease(
                venue=account.venue,
                account=account.account,
                token=token,
                instance_id=spec.instance_id,
                session_id=spec.session_id,
                ttl_s=spec.lease.ttl_s,
                taken_at=_utc(now),
            )
        return held, msgspec.structs.replace(spec, lease=msgspec.structs.replace(spec.lease, token=token))


class MemoryRecord:
    """A Record on a store. `reach` is the way there and, after a change, back: it may take time, and raise."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def reach(self) -> None:
        """On the way to the store."""

    async def change(self, do: Callable[[], None]) -> None:
        """A change of the store, all or nothing."""
        await self.reach()
        do()

    async def close(self) -> None:
        """Nothing is held."""

    async def migrate(self) -> None:
        await self.reach()

    async def save(self, change: Change) -> None:
        await self.change(lambda: self.store.save(change))

    async def engines(self) -> list[Engine]:
        await self.reach()
        return [engine for each in self.store.engines if (engine := self.store.engine(each))]

    async def engine(self, instance_id: str) -> Engine | None:
        await self.reach()
        return self.store.engine(instance_id)

    async def add_command(self, command: Command) -> None:
        await self.change(lambda: self.store.add_command(command))

    async def complete_command(self, request_id: str, reply: bytes) -> bytes | None:
        def complete() -> None:
            known = self.store.commands.get(request_id)
            if known is not None and msgspec.json.decode(known.reply).get("is_taken") is None:
                self.store.commands[request_id] = msgspec.structs.replace(known, reply=reply)

        await self.change(complete)
        known = self.store.commands.get(request_id)
        return known.reply if known else None

    async def add_refusal(self, refusal: Refusal) -> None:
        await self.change(lambda: self.store.add_refusal(refusal))

    async def forget_audit(self, before: datetime) -> int:
        await self.reach()
        return self.store.forget_audit(before)

    async def audit(self, question: ReadAudit) -> list[AuditEntry]:
        await self.reach()
        found = [
            _entry(row)
            for row in reversed(self.store.audit)
            if question.about in (None, row.about)
            if question.before is None or row.seq < question.before
        ]
        return found[: question.limit]

    async def audit_chain(self, after: int, limit: int) -> AuditChain:
        await self.reach()
        rows = [row for row in self.store.audit if row.seq > after]
        return AuditChain(rows=tuple(rows[:limit]), head=self.store.head, pruned=self.store.pruned)

    async def audit_guard(self) -> str:
        await self.reach()
        return ""

    async def command(self, request_id: str) -> Command | None:
        await self.reach()
        known = self.store.commands.get(request_id)
        # Who asked stands in the audit, not in what a repetition is compared with.
        return known and Command(
            **{
                name: getattr(known, name)
                for name in ("request_id", "subject", "body_hash", "instance_id", "reply")
            },
            created_at=known.created_at,
        )

    async def spec(self, session_id: str) -> SessionSpec | None:
        await self.reach()
        return self.store.specs.get(session_id)

    async def last_live(self, instance_id: str) -> SessionSpec | None:
        for session in await self.sessions(instance_id, 1_000_000):
            spec = self.store.specs[session.session_id]
            if session.trading_at is not None and (spec.engine_type, spec.trading_mode) == ("live", "live"):
                return spec
        return None

    async def sessions(self, instance_id: str, limit: int) -> list[Session]:
        await self.reach()
        store = self.store
        found = [
            store.session(name) for name, each in store.sessions.items() if each.instance_id == instance_id
        ]
        return sorted(found, key=lambda each: -each.generation)[:limit]

    async def sessions_named(self, session_ids: Sequence[str]) -> dict[str, Session]:
        await self.reach()
        return {each: self.store.session(each) for each in session_ids if each in self.store.sessions}

    async def add_events(self, events: Sequence[StoredEvent]) -> None:
        await self.change(lambda: self.store.add_events(events))

    async def contradicted(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        await self.reach()
        kept = [self.store.events.get(each.session_id, {}).get(each.seq) for each in events]
        return [
            each
            for each, first in zip(events, kept, strict=True)
            if first is not None and first.body != each.body
        ]

    async def events(self, session_id: str, after_seq: int, kind: str | None, limit: int) -> list[bytes]:
        await self.reach()
        kept = self.store.events.get(session_id, {})
        found = [kept[seq] for seq in sorted(kept) if seq > after_seq]
        return [each.body.encode() for each in found if kind in (None, each.kind)][:limit]

    async def gaps(self, session_id: str) -> list[tuple[int, int]]:
        await self.reach()
        seqs = sorted(self.store.events.get(session_id, {}))
        session = self.store.sessions.get(session_id)
        if session is not None and session.told_seq >= (seqs[-1] if seqs else 1):
            seqs.append(session.told_seq + 1)
        pairs = zip([0, *seqs], seqs, strict=False)
        return [(before + 1, seq - 1) for before, seq in pairs if seq > before + 1]

    async def pruned_to(self, _: str) -> int:
        await self.reach()
        return 0  # nothing is ever deleted from it

    async def exposure(self, session_id: str) -> Exposure:
        await self.reach()
        held = self._open_of(session_id)
        codes = [
            msgspec.json.decode(event.body)["data"]["code"]
            for _, event in sorted(self.store.events.get(session_id, {}).items())
            if event.kind == "alert"
        ]
        last = {
            opened: [code for code in codes if code in (opened, CLOSED_BY[opened])] for opened in CLOSED_BY
        }
        left = sorted(opened for opened, told in last.items() if told[-1:] == [opened])
        return msgspec.structs.replace(held, open_alerts=tuple(left))

    async def exposures(self, session_ids: Sequence[str]) -> dict[str, Exposure]:
        await self.reach()
        found = {each: self._open_of(each) for each in session_ids}
        return {each: held for each, held in found.items() if held != Exposure()}

    def _open_of(self, session_id: str) -> Exposure:
        positions: dict[str, PositionUpdate] = {}
        orders: dict[str, OrderUpdate] = {}
        for _, event in sorted(self.store.events.get(session_id, {}).items()):
            # What changes goes to the end: the lists are in the order of the last changes.
            if event.kind == "position":
                position = _payload(event.body, PositionUpdate)
                positions.pop(position.position_id, None)
                positions[position.position_id] = position
            elif event.kind == "order":
                order = _payload(event.body, OrderUpdate)
                orders.pop(order.client_order_id, None)
                orders[order.client_order_id] = order
        held = [each for each in positions.values() if each.side != "FLAT"]
        live = [each for each in orders.values() if each.status not in _OVER]
        return Exposure(
            positions=tuple(held[-_MOST:]),
            orders=tuple(live[-_MOST:]),
            more_positions=len(held[:-_MOST]),
            more_orders=len(live[:-_MOST]),
        )

    async def held_leases(self) -> list[Lease]:
        await self.reach()
        found = [each for each in self.store.leases.values() if each.session_id and each.free_at is None]
        return sorted(found, key=lambda each: (each.venue, each.account))

    async def leases_on(self, accounts: Sequence[VenueAccount]) -> list[Lease]:
        await self.reach()
        return [self.store.leases[each] for each in sorted(accounts) if each in self.store.leases]

    async def kept_time(self) -> KeptTime | None:
        await self.reach()
        return self.store.time

    async def keep_time(self, kept: KeptTime) -> None:
        def keep() -> None:
            known = self.store.time
            if known is None or known.at <= kept.at:
                self.store.time = KeptTime(
                    at=_utc(kept.at), boot_id=kept.boot_id, monotonic_s=kept.monotonic_s
                )

        await self.change(keep)


def _kept[T](value: T) -> T:
    """As it comes back from a store: nothing of it is shared, and times are plain."""
    kept: T = msgspec.json.decode(msgspec.json.encode(value), type=type(value))
    return kept


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _payload[T](body: str, kind: type[T]) -> T:
    return msgspec.convert(msgspec.json.decode(body, type=EngineEvent[dict[str, Any]]).data, kind)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        number=row.seq,
        at=datetime.fromisoformat(row.at),
        request_id=row.request_id,
        subject=row.subject,
        about=row.about,
        host=row.host,
        caller=Caller(credential=row.credential, name=row.caller, origin=row.origin, via=row.via),
        body=None if row.body is None else msgspec.json.decode(row.body),
        code=None if row.code is None else FaultCode(row.code),
        message=row.message,
        hash=row.hash,
    )
