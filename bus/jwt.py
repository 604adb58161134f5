"""NATS JWTs: signing the claims of operators, accounts and users. Format: github.com/nats-io/jwt, version 2."""

import base64
import hashlib
import os
from typing import Any, Final

import msgspec
import nkeys

_HEADER: Final = msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"})

OPERATOR: Final = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT: Final = nkeys.PREFIX_BYTE_ACCOUNT
USER: Final = nkeys.PREFIX_BYTE_USER


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
