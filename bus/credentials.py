"""Keys of a fleet: an operator, one account, signing keys that can only mint engines and workers; made once, kept in files.

A leaked engine credential can speak for that engine only; the signing keys, which the supervisor holds, can only mint such
credentials, because the server applies the scope's permissions whatever the user's JWT says.
"""

import base64
import hashlib
import os
import time
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import nkeys

from flotilla.bus.files import write_whole
from flotilla.schemas.contract import (
    CALLS,
    EMERGENCY_TIMEOUT_S,
    FEEDS,
    FLEET_STOP_ORDER,
    HEALTH,
    TRIAL_CLAIM,
    TRIAL_CONSUMER,
    Actor,
    Durability,
    on_host,
)
from flotilla.schemas.ids import is_id
from flotilla.schemas.subjects import wildcard

_HEADER: Final = msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"})

OPERATOR: Final = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT: Final = nkeys.PREFIX_BYTE_ACCOUNT
USER: Final = nkeys.PREFIX_BYTE_USER
RESPONSE_TTL_S: Final = round(EMERGENCY_TIMEOUT_S) + 30
"""The slowest answers are those of an emergency stop."""
_JETSTREAM: Final = ("$JS.API.>", "$JS.ACK.>")
_DISCOVERY: Final = ("$SRV.PING.>", "$SRV.INFO.>", "$SRV.STATS.>", "$SRV.PING", "$SRV.INFO", "$SRV.STATS")
_QUEUE: Final = (
    f"$JS.API.CONSUMER.MSG.NEXT.{Durability.TRIALS}.{TRIAL_CONSUMER}",
    f"$JS.ACK.{Durability.TRIALS}.{TRIAL_CONSUMER}.>",
)
_STOPS: Final = f"$JS.API.STREAM.MSG.GET.{Durability.STOPS}"
_LISTENERS: Final = (Actor.ORCHESTRATOR, Actor.GATEWAY)
ENGINE_KEY_FILE: Final = "engine-signing.nk"
WORKER_KEY_FILE: Final = "worker-signing.nk"
_KINDS: Final = {"operator": OPERATOR, "system": ACCOUNT, "account": ACCOUNT}
_UNLIMITED: Final = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1),
    "wildcards": True,
}
_SYSTEM_LIMITS: Final = {
    **_UNLIMITED,
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0),
}


class Key:
    """An nkey pair. `seed` is the secret."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._pair = nkeys.from_seed(bytearray(seed))
        self.public: str = self._pair.public_key.decode()

    @classmethod
    def new(cls, kind: int) -> "Key":
        """A fresh key of a kind, from the system's randomness."""
        return cls(bytes(nkeys.encode_seed(os.urandom(32), kind)))

    def sign(self, text: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""
        return bytes(self._pair.sign(text))


def encode(issuer: Key, subject: str, name: str, claims: dict[str, Any], *, issued_at: int) -> str:
    """A signed JWT. `claims` is its `nats` part; `issued_at` is in UNIX seconds."""
    body = {
        "iat": issued_at,
        "iss": issuer.public,
        "name": name,
        "sub": subject,
        "nats": {**claims, "version": 2},
    }
    digest = hashlib.new("sha512_256", msgspec.json.encode(body)).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signed = f"{_b64(_HEADER)}.{_b64(msgspec.json.encode(body))}"
    return f"{signed}.{_b64(issuer.sign(signed.encode()))}"


def credentials(jwt: str, user: Key) -> str:
    """The text of a NATS credentials file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def actor_permissions(actor: Actor) -> dict[str, Any]:
    """The publish and subscribe lists of one service; an operator may do everything."""
    if actor == Actor.OPERATOR:
        return {"pub": {"allow": [">"]}, "sub": {"allow": [">"]}}
    said = [subject for call in CALLS if actor in call.callers for subject in _subjects(call)]
    said += [wildcard(feed.subject) for feed in FEEDS if feed.owner == actor]
    heard = [subject for call in CALLS if call.owner == actor for subject in _subjects(call)]
    if actor in _LISTENERS:
        heard += [wildcard(feed.subject) for feed in FEEDS]
    if actor == Actor.ORCHESTRATOR:
        said += _JETSTREAM
    if actor == Actor.GATEWAY:
        said.append(FLEET_STOP_ORDER.subject)
    if actor == Actor.SUPERVISOR:
        said.append(_STOPS)
    return _allow(said, [*heard, *_DISCOVERY, f"{inbox(actor)}.>"])


def worker_permissions() -> dict[str, Any]:
    """The template of a worker's permissions: those of an engine, and to take trials from the queue."""
    return _engine_permissions(TRIAL_CLAIM.subject, *_QUEUE)


def engine_permissions() -> dict[str, Any]:
    """The template of an engine's permissions: its own subjects only. `{{name()}}` is the instance id in its credential."""
    return _engine_permissions()


def _engine_permissions(*more: str) -> dict[str, Any]:
    own = "engine.{{name()}}"
    said = [f"{own}.{feed.subject.rsplit('.', 1)[1]}" for feed in FEEDS if feed.owner == Actor.SIDECAR]
    heard = [f"{own}.command.*", "_INBOX_engine_{{name()}}.>"]
    return _allow([*said, *more], heard)


def inbox(name: str) -> str:
    """The inbox prefix of a connection's name: nobody else may subscribe below it."""
    return f"_INBOX_{name}"


def _allow(said: list[str], heard: list[str]) -> dict[str, Any]:
    return {
        "pub": {"allow": sorted(set(said))},
        "sub": {"allow": sorted(set(heard))},
        # Answers go to whatever inbox asked, once each.
        "resp": {"max": 1, "ttl": RESPONSE_TTL_S * 1_000_000_000},
    }


def _subjects(call: Any) -> list[str]:
    plain = wildcard(call.subject)
    is_host_call = call.owner == Actor.SUPERVISOR and call is not HEALTH[Actor.SUPERVISOR]
    return [plain, wildcard(on_host(call))] if is_host_call else [plain]


class FleetKeys:
    """The keys of one fleet, in files that only their owner can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = {name: _load(folder / f"{name}.nk", kind) for name, kind in _KINDS.items()}
        self._engine = _load(folder / ENGINE_KEY_FILE, ACCOUNT)
        self._worker = _load(folder / WORKER_KEY_FILE, ACCOUNT)

    @property
    def engine_key_file(self) -> Path:
        """The signing key that a supervisor needs; that of workers lies beside it."""
        return self._folder / ENGINE_KEY_FILE

    @property
    def account(self) -> str:
        """The public key of the fleet's account."""
        return self._keys["account"].public

    def server_config(self) -> str:
        """The authentication part of a nats-server configuration: nobody without a credential of this fleet gets in."""
        operator, system = self._keys["operator"], self._keys["system"]
        preload = {
            self.account: self._account_jwt(),
            system.public: self._sign(system.public, "SYS", {"type": "account", "limits": _SYSTEM_LIMITS}),
        }
        claims = {"type": "operator", "system_account": system.public}
        lines = "\n".join(f'  {key}: "{token}"' for key, token in preload.items())
        return (
            f'operator: "{self._sign(operator.public, "flotilla", claims)}"\n'
            f"system_account: {system.public}\nresolver: MEMORY\nresolver_preload: {{\n{lines}\n}}\n"
        )

    def actor_credentials(self, actor: Actor) -> str:
        """The text of a credentials file for a service or a person, signed by the account itself."""
        user = Key.new(USER)
        limits = {"subs": -1, "data": -1, "payload": -1}
        claims = {"type": "user", **actor_permissions(actor), **limits}
        token = encode(self._keys["account"], user.public, actor, claims, issued_at=int(time.time()))
        return credentials(token, user)

    def write_credentials(self, actor: Actor) -> Path:
        """The credentials file of an actor, made anew so that it has the permissions of this version."""
        path = self._folder / f"{actor}.creds"
        write_whole(path, self.actor_credentials(actor).encode())
        return path

    def mint(self) -> "EngineMint":
        """The mint that a supervisor uses."""
        return EngineMint(self._engine, self._worker, self.account)

    def _account_jwt(self) -> str:
        scopes = [
            _scope("engine", self._engine, engine_permissions()),
            _scope("worker", self._worker, worker_permissions()),
        ]
        claims = {"type": "account", "limits": _UNLIMITED, "signing_keys": scopes}
        return self._sign(self.account, "fleet", claims)

    def _sign(self, subject: str, name: str, claims: dict[str, Any]) -> str:
        return encode(self._keys["operator"], subject, name, claims, issued_at=int(time.time()))


class EngineMint:
    """Mints credentials for engines and workers: each good for the subjects of one instance only."""

    def __init__(self, engine: Key, worker: Key, account: str) -> None:
        self._engine, self._worker = engine, worker
        self._account = account

    @classmethod
    def from_file(cls, path: Path, account: str) -> Self:
        """From the signing keys' files, `path` and the workers' beside it, and the account's public key. Raises OSError."""
        engine, worker = (Key(file.read_bytes().strip()) for file in (path, path.with_name(WORKER_KEY_FILE)))
        return cls(engine, worker, account)

    def mint(self, instance_id: str, *, is_worker: bool = False) -> str:
        """The text of a credentials file for this engine. Raises ValueError when the id is none (it goes into subjects)."""
        if not is_id(instance_id):
            raise ValueError(f"{instance_id!r} is no instance id")
        user = Key.new(USER)
        claims = {"type": "user", "issuer_account": self._account}
        key = self._worker if is_worker else self._engine
        token = encode(key, user.public, instance_id, claims, issued_at=int(time.time()))
        return credentials(token, user)


def _scope(role: str, key: Key, permissions: dict[str, Any]) -> dict[str, Any]:
    template = {**permissions, "subs": 64, "data": -1, "payload": 1 << 20}
    return {"kind": "user_scope", "key": key.public, "role": role, "template": template}


def _load(path: Path, kind: int) -> Key:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, Key.new(kind).seed)
    return Key(path.read_bytes().strip())
