"""Browsers that have signed in: a cookie that stands for a token, as long as that is good and for half a day at most."""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.tokens import codes_file, digest, read_codes, read_tokens
from flotilla.schemas.access import SignInCode, TokenRecord
from flotilla.schemas.fault import FaultCode, fault

COOKIE: Final = "flotilla_session"
CSRF_HEADER: Final = "X-CSRF-Token"
LONGEST: Final = timedelta(hours=12)
MOST: Final = 1_000
"""Browsers that may be signed in at the same time; with more, the one that signed in first has to do so again."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that has signed in. `csrf` must be sent with every change: a page of another site cannot read it."""

    token: TokenRecord
    csrf: str
    expires_at: datetime


class Sessions:
    """Kept in memory, by a digest of the cookie: who stops the gateway signs everybody out.

    A code is good once. Which were used is known from our own start on only, so no code from before that is taken.
    """

    def __init__(self, tokens_file: Path, now: Callable[[], datetime]) -> None:
        self._tokens_file = tokens_file
        self._now = now
        self._began = now()
        self._used: dict[str, datetime] = {}
        self._open: dict[str, Session] = {}

    def open(self, code: str) -> tuple[str, Session]:
        """Takes a code for a cookie. Raises FaultError `unauthenticated` for one that is not good, or no longer."""
        found = self._take(digest(code.strip().upper()))
        tokens = read_tokens(self._tokens_file)
        record = next((one for one in tokens if found is not None and one.name == found.name), None)
        now = self._now()
        if record is None or record.is_expired(now):
            raise fault(
                FaultCode.UNAUTHENTICATED,
                "the code is not good, or no longer: `flotilla access code` makes one",
            )
        cookie = secrets.token_urlsafe(32)
        until = min(now + LONGEST, record.expires_at or now + LONGEST)
        session = Session(token=record, csrf=secrets.token_urlsafe(32), expires_at=until)
        if len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        self._open[digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, unless it is over."""
        key = digest(cookie)
        session = self._open.get(key)
        if session is not None and self._now() >= session.expires_at:
            del self._open[key]
            return None
        return session

    def close(self, cookie: str) -> None:
        """Signs out; once more is fine."""
        self._open.pop(digest(cookie), None)

    def _take(self, presented: str) -> SignInCode | None:
        now = self._now()
        self._used = {used: until for used, until in self._used.items() if until > now}
        found = None
        for code in read_codes(codes_file(self._tokens_file)):
            is_good = (
                self._began <= code.created_at and now < code.expires_at and code.sha256 not in self._used
            )
            if hmac.compare_digest(code.sha256, presented) and is_good:
                found = code
        if found is not None:
            self._used[found.sha256] = found.expires_at
        return found


def check_csrf(session: Session, given: list[str]) -> None:
    """Raises FaultError `forbidden` for a change that a page of ours did not ask for."""
    presented = given[0].encode(errors="surrogateescape") if len(given) == 1 else b""
    if not hmac.compare_digest(presented, session.csrf.encode()):
        raise fault(FaultCode.FORBIDDEN, f"a change by cookie needs the header {CSRF_HEADER} of its session")
