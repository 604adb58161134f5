"""The bodies of answers about the audit."""

from datetime import datetime
from typing import Any

import msgspec


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """A change that somebody asked for. `who` is the name of the token when `is_vouched_for`, else what the caller said.

    `credential` is the connection on the bus that heard the answer, `origin` the address or machine it came from. `outcome` is
    `accepted`, or the code of the fault; what an emergency stop came to stands in `message`. `body` is what was sent, with `***` for what may
    be a secret. `hash` is the entry's own in the chain, which `flotilla audit verify` checks.
    """

    number: int
    at: datetime
    request_id: str
    subject: str
    about: str
    host: str | None
    who: str
    is_vouched_for: bool
    credential: str
    origin: str
    via: str
    body: dict[str, Any] | None
    outcome: str
    message: str
    hash: str


class AuditReply(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first; `next` is the `before` of the page after this one."""

    success: bool = True
    entries: tuple[AuditView, ...]
    count: int
    next: int | None
