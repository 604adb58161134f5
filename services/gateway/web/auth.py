"""Whose request it is: bearer tokens, by the digests in a file that is read again whenever it changes."""

import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Final

from flotilla.bus.logs import get_logger
from flotilla.bus.tokens import digest, read_lines
from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.fault import FaultCode, fault

log = get_logger(__name__)

NEEDED: Final = "a bearer token is needed: `Authorization: Bearer <token>`, or `X-API-Key: <token>`"
API_KEY: Final = "X-API-Key"
"""What existing clients send their token in."""


class Ending(StrEnum):
    """Why a token that was good no longer is."""

    REMOVED = "token_removed"
    REPLACED = "token_replaced"
    CHANGED = "token_changed"
    EXPIRED = "token_expired"
    UNREADABLE = "tokens_unreadable"


class TokenFile:
    """The tokens that are good now, so that one can be made or withdrawn while we run. A file that cannot be read admits nobody."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._stamp: tuple[int, int, int] | None = None
        self._records: tuple[TokenRecord, ...] = ()
        self._problem = ""
        # Whose the good ones are that came since the file changed, by a digest that nobody can guess and that takes less time.
        self._known: dict[bytes, TokenRecord] = {}
        self._key = secrets.token_bytes(32)

    def find(self, token: str) -> TokenRecord | None:
        """Whose token it is, good or expired. For one that is new every record is compared, in constant time, whichever matches.

        Raises FaultError `unavailable` when the file cannot be read.
        """
        self._refresh()
        if self._problem:
            raise fault(FaultCode.UNAVAILABLE, "the tokens cannot be read", retry_after_s=5.0)
        mark = blake2b(token.encode(errors="surrogateescape"), key=self._key).digest()
        if (known := self._known.get(mark)) is not None:
            return known
        presented, found = digest(token), None
        for record in self._records:
            if hmac.compare_digest(record.sha256, presented):
                found = self._known[mark] = record
        return found

    def is_expired(self, record: TokenRecord) -> bool:
        """True when it has expired by now."""
        return record.is_expired(self._now())

    def ending(self, record: TokenRecord) -> Ending | None:
        """Why a token that was found before is no longer good; None while it is, with the same rights."""
        self._refresh()
        if self._problem:
            return Ending.UNREADABLE
        if record in self._records:
            return Ending.EXPIRED if self.is_expired(record) else None
        if any(record.sha256 == known.sha256 for known in self._records):
            return Ending.CHANGED
        named = any(record.name == known.name for known in self._records)
        return Ending.REPLACED if named else Ending.REMOVED

    def _refresh(self) -> None:
        try:
            info = os.stat(self._path)
            stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
            if stamp != self._stamp:
                self._take(_read(self._path), stamp)
            self._problem = ""
        except FileNotFoundError:
            self._take((), None)
            self._problem = ""
        except OSError as error:
            if not self._problem:
                log.warning("tokens unreadable", path=str(self._path), error=str(error))
            self._take((), None)
            self._problem = str(error)

    def _take(self, records: tuple[TokenRecord, ...], stamp: tuple[int, int, int] | None) -> None:
        self._records, self._stamp = records, stamp
        self._known.clear()


def _read(path: Path) -> tuple[TokenRecord, ...]:
    """The records; a line that is none admits nobody, and is logged."""
    lines = read_lines(path)
    for line in lines:
        if line.record is None:
            log.warning("token line unreadable", path=str(path), line=line.number, error=line.problem)
    return tuple(line.record for line in lines if line.record is not None)


def identify(tokens: TokenFile, headers: Sequence[str], keys: Sequence[str] = ()) -> TokenRecord:
    """Whose token it is, by the `Authorization` headers of a request and its `X-API-Key` headers, of which there must be one in all.

    Raises FaultError `unauthenticated` without a good token, `unavailable` when the tokens cannot be read.
    """
    if len(headers) + len(keys) > 1:
        which = (
            f"{len(headers)} Authorization and {len(keys)} {API_KEY}"
            if keys
            else f"{len(headers)} Authorization"
        )
        raise fault(FaultCode.UNAUTHENTICATED, f"{which} headers; exactly one is needed")
    scheme, _, token = (f"bearer {keys[0]}" if keys else headers[0] if headers else "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise fault(FaultCode.UNAUTHENTICATED, NEEDED)
    record = tokens.find(token.strip())
    if record is None:
        raise fault(FaultCode.UNAUTHENTICATED, f"the {API_KEY if keys else 'bearer token'} is not known")
    if tokens.is_expired(record):
        raise fault(
            FaultCode.UNAUTHENTICATED,
            f"the token of {record.name} expired at {record.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        )
    return record


def permit(record: TokenRecord, needed: Role) -> None:
    """Raises FaultError `forbidden` when the token's role is too low."""
    if not record.role.includes(needed):
        raise fault(FaultCode.FORBIDDEN, f"this needs the role {needed}; {record.name} is a {record.role}")
