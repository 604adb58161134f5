"""The audit: every change that somebody asked for, who that was, and what came of it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from flotilla.schemas.fault import FaultCode
from flotilla.schemas.ids import HostId


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked. `credential` names the connection that hears the answer: `gateway`, `operator`, `orchestrator`, `engine_<id>`.

    `name`, `origin` and `via` (rest, cli, python) are what that connection says: for the gateway the name of the token that it
    checked and the address of its client, for the operator the account and machine of whoever typed.
    """

    credential: str = ""
    name: str = ""
    origin: str = ""
    via: str = ""

    @property
    def is_vouched_for(self) -> bool:
        """True when the gateway answered for the name: it checked a token. Any other name is a claim."""
        return self.credential == "gateway" and self.name != ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was asked for. `code` is null when it was accepted, else the fault it was refused or failed with.

    `subject` is the call, `about` the engine, backtest or study, `all` for every engine. `host` is the host that was asked directly.
    `body` is what was sent, with what may be a secret blanked; null when it was none, or is too long to be kept. `message` says in
    words what an emergency stop came to, or is the fault's. `hash` is its own in the chain (see `schemas/audit_chain.py`), in hex.
    """

    number: int
    at: datetime
    request_id: str
    subject: str
    about: str = ""
    host: HostId | None = None
    caller: Caller = Caller()
    body: dict[str, Any] | None = None
    code: FaultCode | None = None
    message: str = ""
    hash: str = ""


class ReadAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the newest entries: of one engine, backtest or study, or of all; `before` is the number of the last one that was seen."""

    about: Annotated[str, Meta(max_length=100)] | None = None
    before: Annotated[int, Meta(ge=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class AuditList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first."""

    entries: tuple[AuditEntry, ...]


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is hashed: each text as it is on record, `at` in UTC to the microsecond, `body` the text of a JSON object.

    `hash` is its own, `prev` that of the entry before it: SHA-256 in hex, see `schemas/audit_chain.py`. `caller` is the caller's name.
    """

    seq: int
    at: str
    request_id: str
    subject: str
    about: str
    host: str | None
    credential: str
    caller: str
    origin: str
    via: str
    body: str | None
    code: str | None
    message: str
    prev: str
    hash: str


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last entry: its number, 0 where there has been none, and its hash, which stands for all before it."""

    seq: int
    hash: str


class AuditPruned(msgspec.Struct, frozen=True, kw_only=True):
    """Entries up to `seq`, which had `hash`, were deleted because of their age: the last of them at `at`, by `rule`."""

    seq: int
    hash: str
    at: datetime
    rule: str


class ReadAuditChain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for entries as they are hashed, oldest first: those after the number of the last one that was seen."""

    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class AuditChain(msgspec.Struct, frozen=True, kw_only=True):
    """Entries up to `head`, as many as an answer holds: there are more while the last one is not the head.

    All of it is of one moment. `stray` is the first row beyond the head, where there is one: nothing of ours put it in. `head` is null
    when there is none on record. `unprotected` says how the orchestrator is connected where that lets it change entries, else "".
    """

    rows: tuple[AuditRow, ...]
    head: AuditHead | None
    pruned: AuditPruned | None = None
    stray: int | None = None
    unprotected: str = ""


class GatewayRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that the gateway turned away itself: the first of a kind at once, what follows from the same address in a minute as one.

    `subject` is method and path of the route, `count` how many there were since the one before.
    """

    at: datetime
    request_id: str
    subject: str
    about: str = ""
    caller: Caller = Caller()
    code: FaultCode
    message: str = ""
    count: int = 1


class WaitingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that the orchestrator has still to put on record: itself in JSON, a refusal or else a command."""

    is_refusal: bool
    text: str


class HostCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a host's supervisor was asked for by somebody else than the orchestrator, and what came of it."""

    host: HostId
    at: datetime
    request_id: str
    subject: str
    about: str = ""
    caller: Caller = Caller()
    body: dict[str, Any] | None = None
    code: FaultCode | None = None
    message: str = ""


class NotifierCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the notifier was asked for, and what came of it; what was done is put here with its effect."""

    at: datetime
    request_id: str
    subject: str
    about: str = ""
    caller: Caller = Caller()
    body: dict[str, Any] | None = None
    code: FaultCode | None = None
    message: str = ""
