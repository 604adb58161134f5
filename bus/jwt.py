"""Keys and signed claims as NATS has them: nkeys, JWTs, and files of credentials. The format is NATS' own (JWT version 2)."""

import base64
import hashlib
import hmac
import os
from typing import Any, Final

import msgspec
import nkeys

OPERATOR: Final = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT: Final = nkeys.PREFIX_BYTE_ACCOUNT
USER: Final = nkeys.PREFIX_BYTE_USER
_HEADER: Final = msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"})
_JWT: Final = ("-----BEGIN NATS USER JWT-----", "------END NATS USER JWT------")
_NO_CREDS: Final = "is no file of NATS credentials"
_SEED: Final = ("-----BEGIN USER NKEY SEED-----", "------END USER NKEY SEED------")


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

    def derived(self, kind: int, name: str) -> "Key":
        """The key of a kind that belongs to a name: the same each time, and nobody's to tell who has not this one's seed."""
        return Key(bytes(nkeys.encode_seed(hmac.digest(self.seed, name.encode(), "sha256"), kind)))

    def sign(self, text: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""
        return bytes(self._pair.sign(text))


def encode(
    issuer: Key,
    subject: str,
    name: str,
    claims: dict[str, Any],
    *,
    issued_at: int,
    expires_at: int | None = None,
) -> str:
    """A signed JWT. `claims` is its `nats` part; times are in UNIX seconds, and without an end it is good for ever."""
    body: dict[str, Any] = {
        "iat": issued_at,
        "iss": issuer.public,
        "name": name,
        "sub": subject,
        "nats": {**claims, "version": 2},
    }
    if expires_at is not None:
        body["exp"] = expires_at
    digest = hashlib.new("sha512_256", msgspec.json.encode(body)).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signed = f"{_b64(_HEADER)}.{_b64(msgspec.json.encode(body))}"
    return f"{signed}.{_b64(issuer.sign(signed.encode()))}"


def credentials(jwt: str, user: Key) -> str:
    """The text of a NATS credentials file."""
    return f"{_JWT[0]}\n{jwt}\n{_JWT[1]}\n\n{_SEED[0]}\n{user.seed.decode()}\n{_SEED[1]}\n"


def with_claims(creds: str, jwt: str) -> str:
    """The text of a credentials file with other claims for the same user."""
    return creds.replace(_between(creds, _JWT), jwt)


class Login:
    """What a connection shows at each (re)connect: a JWT, which may be renewed meanwhile, and the proof that it is its own."""

    def __init__(self, creds: str) -> None:
        """From the text of a credentials file. Raises ValueError, with nothing of it, when it is none."""
        self.jwt = _between(creds, _JWT)
        try:
            self._key = Key(_between(creds, _SEED).encode())
        except nkeys.NkeysError:
            raise ValueError(_NO_CREDS) from None

    def show(self) -> bytes:
        """The JWT of this moment."""
        return self.jwt.encode()

    def prove(self, nonce: str) -> bytes:
        """The signature that the server asks for, in base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))

    def unguessable(self, text: str) -> str:
        """The same name for the same text each time, and whoever connects with the same key; nobody else can tell it."""
        return hmac.digest(self._key.seed, text.encode(), "sha256").hex()


def claims_of(jwt: str) -> dict[str, Any]:
    """What a JWT says; whether it is true, its issuer's signature would have to tell. Raises ValueError when it is none."""
    try:
        body = jwt.split(".")[1]
        text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        return msgspec.json.decode(text, type=dict[str, Any])
    except (IndexError, ValueError, msgspec.MsgspecError) as error:
        raise ValueError("not a JWT") from error


def _between(text: str, ends: tuple[str, str]) -> str:
    """Raises ValueError when it is no file of credentials."""
    _, _, rest = text.partition(ends[0])
    if not rest:
        raise ValueError(_NO_CREDS)
    return rest.partition(ends[1])[0].strip()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
