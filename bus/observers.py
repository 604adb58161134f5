"""Observers on the bus: each lives in an account of its own, which hears what engines do and in which nothing else can be reached (ADR 32).

The account's key and the one that signed the credential are forgotten as soon as that is made: who may be in follows from the tokens file
alone, and any of the fleet's accounts can be signed anew with the operator's key, or with the one that its claims list.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from flotilla.bus.accounts import observer_exchange
from flotilla.bus.jwt import ACCOUNT, USER, Key, credentials, encode
from flotilla.bus.permissions import observer_permissions
from flotilla.schemas.access import BusKeys, TokenRecord

CONNECTIONS: Final = 4
"""How many an observer may have: what one does not read waits in the server's memory, up to 64 MB each."""
_SUBSCRIPTIONS: Final = 100
_PAYLOAD: Final = 1024
"""Bytes of a message of its own that the server reads before it refuses it."""
_PREFIX: Final = "observer "
"""Of the names of their accounts; nobody else's has a blank in it."""
_NOTHING: Final = {
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer", "exports", "leaf"), 0),
    **dict.fromkeys(("subs", "data", "payload", "imports"), -1),
    "wildcards": True,
}
CLOSED: Final = {"type": "account", "limits": {**_NOTHING, "conn": 0}, "version": 2}
"""The claims of an account in which nobody may be any more."""


class AccountClaims(msgspec.Struct, frozen=True):
    """What an account is to be: `claims` is the `nats` part of its JWT."""

    account: str
    name: str
    claims: dict[str, Any]


WantedAccounts: TypeAlias = Mapping[str, AccountClaims]
"""By public key."""


class NewObserver(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a credentials file, which is kept nowhere, and what is kept."""

    creds: str
    keys: BusKeys


def new_observer(name: str, now: datetime, ends_at: datetime | None) -> NewObserver:
    """Credentials of a new account, good until `ends_at`, once the server knows of the account."""
    account, signing, user = Key.new(ACCOUNT), Key.new(ACCOUNT), Key.new(USER)
    token = encode(
        signing,
        user.public,
        name,
        {"type": "user", "issuer_account": account.public},
        issued_at=int(now.timestamp()),
        expires_at=int(ends_at.timestamp()) if ends_at else None,
    )
    keys = BusKeys(account=account.public, signing_key=signing.public)
    return NewObserver(creds=credentials(token, user), keys=keys)


def accounts_of(records: Iterable[TokenRecord], now: datetime, *, fleet: str, engines: str) -> WantedAccounts:
    """The accounts of the observers that may be in now. `fleet` and `engines` are those of the other two accounts."""
    return {
        record.bus.account: AccountClaims(
            record.bus.account, f"{_PREFIX}{record.name}", _claims(record.bus, fleet, engines)
        )
        for record in records
        if record.bus is not None and not record.is_expired(now)
    }


def is_observer(name: str) -> bool:
    """Whether an account of this name is an observer's."""
    return name.startswith(_PREFIX)


def to_tell(wanted: WantedAccounts, known: Iterable[AccountClaims]) -> Iterator[AccountClaims]:
    """What the server has yet to be told, which knows these accounts of observers: first of those that are not wanted any more."""
    told = {each.account: each for each in known}
    for account, each in told.items():
        if account not in wanted and each.claims != CLOSED:
            yield AccountClaims(account, each.name, CLOSED)
    yield from (each for account, each in wanted.items() if told.get(account) != each)


def _claims(keys: BusKeys, fleet: str, engines: str) -> dict[str, Any]:
    template = {**observer_permissions(), "subs": _SUBSCRIPTIONS, "data": -1, "payload": _PAYLOAD}
    return {
        "type": "account",
        "limits": {**_NOTHING, "conn": CONNECTIONS},
        "signing_keys": [
            {"kind": "user_scope", "key": keys.signing_key, "role": "observer", "template": template}
        ],
        **observer_exchange(fleet, engines),
        "version": 2,
    }
