"""Who may do what: bearer tokens from a file of digests, and three roles that contain one another."""

import hashlib
import hmac
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.ids import ID_PATTERN

log = get_logger(__name__)


class Role(StrEnum):
    """A viewer reads, a trader also starts and stops, an admin may do everything."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"

    def includes(self, needed: "Role") -> bool:
        """True when whoever has this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the tokens file: whose token it is, what it may do, and its SHA-256; never the token."""

    name: Annotated[str, Meta(pattern=ID_PATTERN)]
    role: Role
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


def digest(token: str) -> str:
    """What is kept of a token. Tokens are 256 random bits, so a plain hash cannot be guessed backwards."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def read_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """The records of a tokens file; none when there is no file. A line that cannot be read admits nobody and is logged."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(msgspec.json.decode(line, type=TokenRecord))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if line.strip():
                log.warning("token line unreadable", path=str(path), line=number, error=str(error))
    return tuple(records)


class TokenFile:
    """The tokens that are good now: the file is read again when it changes, so that a token can be added or withdrawn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._records: tuple[TokenRecord, ...] = ()

    def find(self, token: str) -> TokenRecord | None:
        """Whose token it is. Every record is compared, in constant time, whichever matches."""
        self._refresh()
        presented, found = digest(token), None
        for record in self._records:
            if hmac.compare_digest(record.sha256, presented):
                found = record
        return found

    def _refresh(self) -> None:
        try:
            info = os.stat(self._path)
        except FileNotFoundError:
            stamp = None
        else:
            stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
        if stamp is None or stamp != self._stamp:
            self._records = read_tokens(self._path)
        self._stamp = stamp


def authorise(tokens: TokenFile, authorization: str | None, needed: Role) -> TokenRecord:
    """Whose request it is. Raises FaultError: `unauthenticated` without a good token, `forbidden` when the role is too low."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise fault(FaultCode.UNAUTHENTICATED, "a bearer token is needed: `Authorization: Bearer <token>`")
    record = tokens.find(token.strip())
    if record is None:
        raise fault(FaultCode.UNAUTHENTICATED, "the bearer token is not known")
    if not record.role.includes(needed):
        raise fault(FaultCode.FORBIDDEN, f"this needs the role {needed}; {record.name} is a {record.role}")
    return record
