"""What engines need from outside: the record of intent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from flotilla.schemas.audit import AuditChain, AuditEntry, Caller, ReadAudit
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.session import SessionSpec, VenueAccount
from flotilla.services.orchestrator.core.record_time import KeptTime
from flotilla.services.orchestrator.engines.core.ends import Exposure
from flotilla.services.orchestrator.engines.core.events import StoredEvent
from flotilla.services.orchestrator.engines.core.leases import Lease, held_text
from flotilla.services.orchestrator.engines.core.model import Engine, Session


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was accepted: repeated with the same body (by its hash) it gets the same reply and has no effect.

    `caller` asked for it, of `host` where a host was asked directly, and sent `body`, which is here without secrets. `message`
    says what an emergency stop came to.
    """

    request_id: str
    subject: str
    body_hash: bytes
    instance_id: str
    reply: bytes
    created_at: datetime
    caller: Caller = Caller()
    host: str | None = None
    body: bytes | None = None
    message: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was refused, or failed, and why; it changed nothing, as far as is known."""

    request_id: str
    subject: str
    instance_id: str
    created_at: datetime
    code: FaultCode
    message: str
    caller: Caller = Caller()
    host: str | None = None
    body: bytes | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded in one transaction.

    `engine` is one version ahead of what is on record. `spec` is that of its session when that is new, and `ended` is then the
    session before it.
    """

    engine: Engine
    ended: Session | None = None
    spec: SessionSpec | None = None
    command: Command | None = None
    events: Sequence[StoredEvent] = ()


class StaleChange(Exception):
    """Somebody else changed the engine since it was read: read it again and decide anew."""


class RepeatedCommand(Exception):
    """A command with this request id is on record already."""


class AccountHeld(Exception):
    """Another session holds the lease on an account that the new one needs."""

    def __init__(self, lease: Lease, now: datetime) -> None:
        super().__init__(held_text(lease, now))
        self.lease = lease


class Unstorable(Exception):
    """The store refuses a value in this whatever we do; trying again makes no sense."""


class Record(Protocol):
    """The record of intent. Every method raises FaultError `unavailable` while it cannot be reached."""

    async def migrate(self) -> None:
        """Brings it to its present form."""

    async def save(self, change: Change) -> None:
        """Records all of it or nothing.

        A session that begins takes the lease that its spec asks for, with a token of its own. Raises StaleChange, AccountHeld,
        RepeatedCommand, Unstorable, and FaultError `outcome_unknown` when the connection broke while it was being committed.
        """

    async def engines(self) -> list[Engine]:
        """Every engine with its present session."""

    async def engine(self, instance_id: str) -> Engine | None:
        """One engine with its present session."""

    async def add_command(self, command: Command) -> None:
        """Records a command that changed nothing. Raises RepeatedCommand."""

    async def complete_command(self, request_id: str, reply: bytes) -> bytes | None:
        """Puts `reply` in the place of an answer without `is_taken`; returns the answer on record, None when there is no such command."""

    async def add_refusal(self, refusal: Refusal) -> None:
        """Records a command that was refused; recorded twice it stands there once."""

    async def audit(self, question: ReadAudit) -> list[AuditEntry]:
        """Commands and refusals, newest first."""

    async def audit_chain(self, after: int, limit: int) -> AuditChain:
        """At most so many entries after this number as they are hashed, oldest first, with the head; all of one moment."""

    async def audit_guard(self) -> str:
        """How we are connected where that lets us change entries that are on record: "as …", "with …"; "" when we cannot."""

    async def forget_audit(self, before: datetime) -> int:
        """Deletes the oldest commands and entries of the audit from before this moment, some thousands at a time.

        Of entries only those that nothing younger stands before, and none that the record's owner has us keep. Says how many, 0 when
        there is nothing left to do.
        """

    async def command(self, request_id: str) -> Command | None:
        """The command on record under this id."""

    async def spec(self, session_id: str) -> SessionSpec | None:
        """What a session was told to run."""

    async def last_live(self, instance_id: str) -> SessionSpec | None:
        """What the engine ran when it last traded money: of the newest session that got so far."""

    async def sessions(self, instance_id: str, limit: int) -> list[Session]:
        """The sessions of an engine, newest first."""

    async def sessions_named(self, session_ids: Sequence[str]) -> dict[str, Session]:
        """Those of these sessions that are on record, by id."""

    async def add_events(self, events: Sequence[StoredEvent]) -> None:
        """Records events of sessions that are on record; one that is there already stays as it is. Raises Unstorable."""

    async def contradicted(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """Those of these events whose number is on record with another body."""

    async def events(self, session_id: str, after_seq: int, kind: str | None, limit: int) -> list[bytes]:
        """Events of a session as they were published, in the order of their numbers."""

    async def gaps(self, session_id: str) -> list[tuple[int, int]]:
        """The numbers missing in a session's events, as (first, last), lowest first.

        Of a session that has ended, up to the highest that it is known to have reached.
        """

    async def pruned_to(self, session_id: str) -> int:
        """Up to which number events of a session were deleted that are not needed any more; 0 where none was."""

    async def exposure(self, session_id: str) -> Exposure:
        """What was open by the last events of a session, at most 50 positions and orders by name, and the alerts that it did not take back."""

    async def exposures(self, session_ids: Sequence[str]) -> dict[str, Exposure]:
        """The positions and orders of many sessions in one question each; one that had nothing open is not in it."""

    async def held_leases(self) -> list[Lease]:
        """The leases of sessions that have not ended."""

    async def leases_on(self, accounts: Sequence[VenueAccount]) -> list[Lease]:
        """Who holds or held these accounts last; nothing for one that was never leased."""

    async def kept_time(self) -> KeptTime | None:
        """The point of the record's time that was kept last; None in a record that has none yet."""

    async def keep_time(self, kept: KeptTime) -> None:
        """Keeps a point of the record's time, unless a later one is kept. It writes, so that it tells whether that is possible."""
