"""Who may use the REST API: the roles, and what is kept of a token."""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ids import ID_PATTERN
from flotilla.schemas.labels import Labels


class Role(StrEnum):
    """What a token may do; each role may do what those before it may.

    An observer sees what engines are and do, live and on record; a viewer reads everything but the audit: logs, containers, hosts,
    backtests, templates; a trader also starts, stops, changes and backtests; an admin may do everything.
    """

    OBSERVER = "observer"
    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"

    def includes(self, needed: "Role") -> bool:
        """True when whoever has this role may do what `needed` may."""
        return _RANKS[self] >= _RANKS[needed]


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}


TokenName: TypeAlias = Annotated[
    str,
    Meta(pattern=ID_PATTERN, description="Whose token it is: lower case letters, digits and '-', 1 to 63."),
]


PublicKey: TypeAlias = Annotated[str, Meta(pattern=r"\AA[A-Z2-7]{55}\Z")]


class BusKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who an observer is on the bus: the public keys of its account, and of what signed its credential. Nobody kept the secret ones."""

    account: PublicKey
    signing_key: PublicKey


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the tokens file: whose token it is, what it may do, and its SHA-256; never the token.

    `labels` are those that an engine must have, all of them, to exist for this token; none: every engine does. `expires_at` null
    never expires. `created_at` is null of tokens that were made before that was kept. `bus` is there when it has bus credentials too.
    """

    name: TokenName
    role: Role
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    labels: Labels = {}
    created_at: Annotated[datetime, Meta(tz=True)] | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    bus: BusKeys | None = None

    def is_expired(self, now: datetime) -> bool:
        """True from the moment on at which it expires."""
        return self.expires_at is not None and now >= self.expires_at


class SignInCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file of codes: whose token a browser may use that has the code, once and until it expires; never the code."""

    name: TokenName
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    created_at: Annotated[datetime, Meta(tz=True)]
    expires_at: Annotated[datetime, Meta(tz=True)]


CODE_GOOD_FOR: Final = timedelta(seconds=60)

_LIFETIME: Final = re.compile(r"\A([1-9][0-9]{0,4})([smhdw])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST: Final = timedelta(days=3650)


def read_lifetime(text: str, field: str) -> timedelta:
    """`30d` as a time: a whole number of s, m, h, d or w. Raises FaultError `invalid` that names `field`."""
    found = _LIFETIME.match(text)
    lifetime = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if lifetime is None or lifetime > LONGEST:
        shown = text[:40]
        why = f"{shown!r} is no number with a unit s, m, h, d or w, such as 30d, of at most {LONGEST.days}d"
        raise invalid(FieldError(field, why))
    return lifetime
