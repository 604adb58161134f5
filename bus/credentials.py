"""Keys of a fleet: an operator, two accounts, signing keys that can only mint engines and workers; made once, kept in files.

Services live in the fleet's account and engines in one of their own, from which nothing comes out but what the two exchange
(bus/accounts.py). A leaked engine credential can speak for that session only; the signing keys, which the supervisor holds, can only mint
such credentials, because the server applies the scope's permissions whatever the user's JWT says. It is good for an hour, renewed in time by
the supervisor of its host, and revoked when the session ends (ADR 30).
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from flotilla.bus.accounts import engines_exchange, fleet_exchange
from flotilla.bus.crossing import session_tag
from flotilla.bus.files import write_whole
from flotilla.bus.jwt import ACCOUNT, OPERATOR, USER, Key, claims_of, credentials, encode
from flotilla.bus.observers import accounts_of, is_observer
from flotilla.bus.permissions import (
    OLDER_INBOX,
    OWN_INBOX,
    actor_permissions,
    engine_permissions,
    inbox,
    renewal_permissions,
    worker_permissions,
)
from flotilla.bus.revoking import LONGEST_LIFE_S, still_revoked
from flotilla.bus.server_accounts import LIST, UPDATE, connections_of, lookup_of
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.contract import Actor
from flotilla.schemas.ids import is_id
from flotilla.schemas.session import RenewedCredential, SessionUsers

ENGINE_KEY_FILE: Final = "engine-signing.nk"
WORKER_KEY_FILE: Final = "worker-signing.nk"
RENEWAL_KEY_FILE: Final = "renewal-signing.nk"
REVOKING_KEY_FILE: Final = "revoking.nk"
SYSTEM_CREDS_FILE: Final = "supervisor-system.creds"
SUPERVISOR_FILES: Final = (
    ENGINE_KEY_FILE,
    WORKER_KEY_FILE,
    RENEWAL_KEY_FILE,
    REVOKING_KEY_FILE,
    SYSTEM_CREDS_FILE,
)
"""What a supervisor needs to let engines onto the bus, and to put them off it; in one folder."""
_OPERATOR, _SYSTEM, _FLEET, _ENGINES = "operator.nk", "system.nk", "account.nk", "engines.nk"
_OLDER: Final = "engines-of-older-releases"
_KINDS: Final = {
    **dict.fromkeys((_OPERATOR, REVOKING_KEY_FILE), OPERATOR),
    **dict.fromkeys((_SYSTEM, _FLEET, _ENGINES), ACCOUNT),
    **dict.fromkeys((ENGINE_KEY_FILE, WORKER_KEY_FILE, RENEWAL_KEY_FILE), ACCOUNT),
}
"""The files of the fleet's keys, and what each is a key of."""
_UNLIMITED: Final = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1),
    "wildcards": True,
}
_NO_STREAMS: Final = {
    **_UNLIMITED,
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0),
}


class FleetKeys:
    """The keys of one fleet, in files that only their owner can read.

    A folder of a release that had one account only gets the second one. Engines that such a release started trade on with the
    credentials that they have, which the fleet's account admits until `retire_older` is called.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if (folder / _FLEET).exists() and not (folder / _ENGINES).exists():
            write_whole(folder / _OLDER, b"")
        self._keys = {name: _load(folder / name, kind) for name, kind in _KINDS.items()}

    @property
    def engine_key_file(self) -> Path:
        """The signing key that a supervisor needs; the other files that it needs lie beside it."""
        return self._folder / ENGINE_KEY_FILE

    @property
    def account(self) -> str:
        """The public key of the fleet's account."""
        return self._keys[_FLEET].public

    @property
    def engines_account(self) -> str:
        """The public key of the engines' account."""
        return self._keys[_ENGINES].public

    def retire_older(self) -> None:
        """No engine of a release that had one account runs any more: the next server admits none."""
        (self._folder / _OLDER).unlink(missing_ok=True)

    def server_config(self, accounts: Path) -> str:
        """The authentication part of a nats-server configuration: nobody without a credential of this fleet gets in.

        `accounts` is the folder of `write_accounts` as the server sees it; it must need no escapes.
        """
        operator, system = self._keys[_OPERATOR], self._keys[_SYSTEM]
        claims = {
            "type": "operator",
            "system_account": system.public,
            "signing_keys": [self._keys[REVOKING_KEY_FILE].public],
        }
        return (
            f'operator: "{self._sign(operator.public, "flotilla", claims)}"\nsystem_account: {system.public}\n'
            f'resolver: {{\n  type: full\n  dir: "{accounts}"\n  allow_delete: false\n  interval: "2m"\n}}\n'
        )

    def write_accounts(self, folder: Path, tokens: Iterable[TokenRecord] = ()) -> None:
        """Writes the accounts of this version where a server that does not run reads them at its start; what was revoked stays so.

        Of observers there are those of the `tokens` that are good now.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        system = self._keys[_SYSTEM].public
        for account, jwt in (
            (self.account, self._fleet_jwt()),
            (self.engines_account, self._engines_jwt(_revoked(folder / f"{self.engines_account}.jwt"))),
            (system, self._sign(system, "SYS", {"type": "account", "limits": _NO_STREAMS})),
        ):
            write_whole(folder / f"{account}.jwt", jwt.encode())
        self._write_observers(folder, tokens)

    def _write_observers(self, folder: Path, tokens: Iterable[TokenRecord]) -> None:
        now = datetime.now(UTC)
        wanted = accounts_of(tokens, now, fleet=self.account, engines=self.engines_account)
        for each in wanted.values():
            jwt = self._sign(each.account, each.name, each.claims)
            write_whole(folder / f"{each.account}.jwt", jwt.encode())
        for file in folder.glob("*.jwt"):
            if file.stem not in wanted and _is_of_observer(file):
                file.unlink()

    def write_system_credentials(self) -> Path:
        """The file with which a supervisor tells the server who is let in, and asks who is connected with credentials of engines."""
        user, path = Key.new(USER), self._folder / SYSTEM_CREDS_FILE
        claims = {
            "type": "user",
            "pub": {"allow": [UPDATE, LIST, lookup_of("*"), connections_of(self.engines_account)]},
            "sub": {"allow": [f"{inbox(Actor.SUPERVISOR)}.>"]},
            **dict.fromkeys(("subs", "data", "payload"), -1),
        }
        token = encode(self._keys[_SYSTEM], user.public, Actor.SUPERVISOR, claims, issued_at=int(time.time()))
        write_whole(path, credentials(token, user).encode())
        return path

    def actor_credentials(self, actor: Actor, *, pushes: bool = False) -> str:
        """The text of a credentials file for a service or a person, signed by the account itself; of the same key each time. `pushes`: it may
        push and remove packages, whoever it is.

        So whoever takes over from a service, after a restart of all of them too, names its messages as that did (see Bus.publish_durable).
        """
        user = self._keys[_FLEET].derived(USER, actor)
        limits = {"subs": -1, "data": -1, "payload": -1}
        claims = {"type": "user", **actor_permissions(actor, pushes=pushes), **limits}
        token = encode(self._keys[_FLEET], user.public, actor, claims, issued_at=int(time.time()))
        return credentials(token, user)

    def write_credentials(self, actor: Actor, *, pushes: bool = False) -> Path:
        """The credentials file of an actor, made anew so that it has the permissions of this version."""
        path = self._folder / f"{actor}.creds"
        write_whole(path, self.actor_credentials(actor, pushes=pushes).encode())
        return path

    def mint(self, life_s: int = 3_600) -> "EngineMint":
        """The mint that a supervisor uses."""
        return EngineMint.from_file(self.engine_key_file, self.engines_account, life_s)

    def _fleet_jwt(self) -> str:
        claims: dict[str, Any] = {
            "type": "account",
            "limits": _UNLIMITED,
            **fleet_exchange(self.engines_account),
        }
        if (self._folder / _OLDER).exists():
            claims["signing_keys"] = self._scopes(OLDER_INBOX)
        return self._sign(self.account, "fleet", claims)

    def _engines_jwt(self, revoked: dict[str, int]) -> str:
        renewal = _scope("renewal", self._keys[RENEWAL_KEY_FILE], renewal_permissions())
        claims = {
            "type": "account",
            "limits": _NO_STREAMS,
            "signing_keys": [*self._scopes(OWN_INBOX), renewal],
            "revocations": revoked,
            **engines_exchange(self.account),
        }
        return self._sign(self.engines_account, "engines", claims)

    def _scopes(self, own_inbox: str) -> list[dict[str, Any]]:
        return [
            _scope("engine", self._keys[ENGINE_KEY_FILE], engine_permissions(own_inbox)),
            _scope("worker", self._keys[WORKER_KEY_FILE], worker_permissions(own_inbox)),
        ]

    def _sign(self, subject: str, name: str, claims: dict[str, Any]) -> str:
        return encode(self._keys[_OPERATOR], subject, name, claims, issued_at=int(time.time()))


class Minted(msgspec.Struct, frozen=True, kw_only=True):
    """Two files of credentials for one session, the second for renewals only."""

    creds: str
    renewal: str
    users: SessionUsers


class EngineMint:
    """Mints credentials for engines and workers: each good for the subjects of one session only, and for `life_s` at a time."""

    def __init__(self, keys: dict[str, Key], account: str, life_s: int) -> None:
        self._keys = keys
        self._account = account
        self.life_s = life_s

    @classmethod
    def from_file(cls, path: Path, account: str, life_s: int) -> Self:
        """From the file of the signing key of engines, beside which the others lie, and the public key of the engines' account.

        Raises OSError.
        """
        keys = {
            role: Key(path.with_name(file).read_bytes().strip())
            for role, file in (
                ("engine", path.name),
                ("worker", WORKER_KEY_FILE),
                ("renewal", RENEWAL_KEY_FILE),
            )
        }
        return cls(keys, account, life_s)

    def mint(self, instance_id: str, session_id: str, *, is_worker: bool = False) -> Minted:
        """Credentials for this session. Raises ValueError for what is no id (both go into subjects)."""
        user, renewal = Key.new(USER), Key.new(USER)
        users = SessionUsers(engine=user.public, renewal=renewal.public, is_worker=is_worker)
        renewed = self.renew(users, instance_id, session_id)
        return Minted(
            creds=credentials(renewed.jwt, user),
            renewal=credentials(renewed.renewal, renewal),
            users=users,
        )

    def renew(self, users: SessionUsers, instance_id: str, session_id: str) -> RenewedCredential:
        """JWTs for users that were minted, good from now on. Raises ValueError for what is no id."""
        role = "worker" if users.is_worker else "engine"
        return RenewedCredential(
            jwt=self._jwt(role, users.engine, instance_id, session_id, life_s=self.life_s),
            # It can do nothing but ask for renewals, and must be able to when nobody could renew for days.
            renewal=self._jwt("renewal", users.renewal, instance_id, session_id, life_s=LONGEST_LIFE_S),
            life_s=self.life_s,
        )

    def _jwt(self, role: str, user: str, instance_id: str, session_id: str, *, life_s: int) -> str:
        for given in (instance_id, session_id):
            if not is_id(given):
                raise ValueError(f"{given!r} is no id")
        claims = {"type": "user", "issuer_account": self._account, "tags": [session_tag(session_id)]}
        now = int(time.time())
        return encode(self._keys[role], user, instance_id, claims, issued_at=now, expires_at=now + life_s)


def _scope(role: str, key: Key, permissions: dict[str, Any]) -> dict[str, Any]:
    template = {**permissions, "subs": 64, "data": -1, "payload": 1 << 20}
    return {"kind": "user_scope", "key": key.public, "role": role, "template": template}


def _load(path: Path, kind: int) -> Key:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, Key.new(kind).seed)
    return Key(path.read_bytes().strip())


def _is_of_observer(jwt: Path) -> bool:
    """Whether a file of the server's has the claims of an observer's account; one that cannot be read, as after a loss of power, lets
    nobody in.
    """
    try:
        return is_observer(str(claims_of(jwt.read_text()).get("name", "")))
    except ValueError:
        return False


def _revoked(jwt: Path) -> dict[str, int]:
    """What an account's file says of revoked users; nothing when there is none."""
    try:
        return still_revoked(claims_of(jwt.read_text()), int(time.time()))
    except FileNotFoundError:
        return {}
