"""The form of a secret's file, and its cipher: XChaCha20-Poly1305 by libsodium, which vouches for the name and the binding too.

A file is JSON: what may be shown as it is, and in `box`, base64, one byte that names the key and what PyNaCl's Aead made of the values.
"""

import base64
import binascii
import secrets
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import Aead

from flotilla.schemas.ids import Name
from flotilla.schemas.secrets import BoundSecret, SecretBinding

_FORMAT: Final = "flotilla_secret"
_IDS: Final = range(1, 256)
_KEY_LINES: Final = (
    "must have a key a line, the one that encrypts first: a number from 1 to 255, a blank, 32 bytes in base64"
)


class SecretError(Exception):
    """What is wrong with a secret's file or with the keys: never with a piece of what stands there."""


class UnknownKeyError(SecretError):
    """The file was encrypted with a key that is not among ours."""


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What stands in a file for everybody who may read it, and what the cipher vouches for."""

    flotilla_secret: Literal[1] = 1
    name: Name
    binding: SecretBinding | None = None

    @property
    def canonical(self) -> bytes:
        """The text that a box is bound to. Fields that have their default are left out: one that is added later changes no older file."""
        return b"flotilla secret 1 " + msgspec.json.encode(self)


class _File(_Header, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    box: str


class SecretKeys:
    """The keys of a store by their numbers, the one that encrypts first."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._keys = dict(keys)

    @classmethod
    def parsed(cls, text: bytes) -> "SecretKeys":
        """Those of a key file. Raises SecretError, which shows nothing of it."""
        keys: dict[int, bytes] = {}
        try:
            for line in text.decode("ascii").splitlines():
                if line.strip():
                    number, key = line.split()
                    if int(number) in keys:
                        raise SecretError(f"has the number {int(number)} twice")
                    keys[int(number)] = base64.b64decode(key, validate=True)
        except (ValueError, binascii.Error):
            raise SecretError(_KEY_LINES) from None
        if (
            not keys
            or any(len(key) != Aead.KEY_SIZE for key in keys.values())
            or not keys.keys() <= set(_IDS)
        ):
            raise SecretError(_KEY_LINES)
        return cls(keys)

    @property
    def text(self) -> bytes:
        """What stands in a key file."""
        lines = (f"{number} {base64.b64encode(key).decode()}\n" for number, key in self._keys.items())
        return "".join(lines).encode()

    @property
    def current(self) -> int:
        """The number of the key that encrypts."""
        return next(iter(self._keys))

    def with_new(self, taken: Collection[int] = ()) -> "SecretKeys":
        """These behind a new one, whose number is neither one of them nor `taken`. Raises SecretError when none is left."""
        free = [number for number in _IDS if number not in self._keys and number not in taken]
        if not free:
            raise SecretError("has no number left for a new key")
        # Not the number of a key that was dropped lately, so that what was encrypted with that one says so.
        number = next((number for number in free if number > max(self._keys, default=0)), free[0])
        return SecretKeys({number: secrets.token_bytes(Aead.KEY_SIZE), **self._keys})

    def only_current(self) -> "SecretKeys":
        """Without those that are there for older files only."""
        return SecretKeys({self.current: self._keys[self.current]})

    def sealed(self, name: str, secret: BoundSecret) -> bytes:
        """The file of a secret."""
        header = _Header(name=name, binding=secret.binding)
        box = Aead(self._keys[self.current]).encrypt(msgspec.json.encode(secret.values), header.canonical)
        text = base64.b64encode(bytes([self.current]) + box).decode()
        file = _File(name=name, binding=secret.binding, box=text)
        # Left out as any default is, and what tells the file from one of an earlier release.
        body = {_FORMAT: 1, **msgspec.to_builtins(file)}
        return msgspec.json.format(msgspec.json.encode(body)) + b"\n"

    def opened(self, name: str, data: bytes) -> BoundSecret:
        """The secret of that name from its file. Raises SecretError: UnknownKeyError when its key is not among these."""
        file = _file(data)
        box = _box(file)
        if file.name != name:
            raise SecretError("is another one's file, renamed or copied")
        if box[0] not in self._keys:
            raise UnknownKeyError(
                f"was encrypted with key {box[0]}, which is not among the keys of this host"
            )
        try:
            plain = Aead(self._keys[box[0]]).decrypt(
                box[1:], _Header(name=file.name, binding=file.binding).canonical
            )
        except (CryptoError, ValueError, TypeError):
            raise SecretError(
                "was edited, or encrypted with other keys: store it again with `flotilla secret set`"
            ) from None
        return BoundSecret(values=msgspec.json.decode(plain, type=dict[str, Any]), binding=file.binding)


NO_KEYS: Final = SecretKeys({})
"""Of a host on which nothing was encrypted yet."""


def is_sealed(data: bytes) -> bool:
    """True for the file of a secret, whether it can be opened or not; False for one of an earlier release, and for anything else."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and _FORMAT in found


def key_of(data: bytes) -> int:
    """The number of the key that a file was encrypted with. Raises SecretError."""
    return _box(_file(data))[0]


def plain_values(data: bytes) -> dict[str, Any]:
    """The values in a file of an earlier release, which encrypted nothing. Raises SecretError."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Without its cause, which may show a piece of the file.
        raise SecretError("is not valid JSON") from None
    if not isinstance(found, dict):
        raise SecretError("is not a JSON object")
    if not found or any(value in ("", None) for value in found.values()):
        raise SecretError("is empty, or has an empty value")
    return found


def _file(data: bytes) -> _File:
    if not is_sealed(data):
        plain_values(data)
        raise SecretError(
            "is not encrypted yet: the supervisor does that at its start, `flotilla secret set` at once"
        )
    try:
        return msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SecretError("was edited, or stored by a newer release") from None


def _box(file: _File) -> bytes:
    try:
        box = base64.b64decode(file.box, validate=True)
    except (ValueError, binascii.Error):
        box = b""
    if not box:
        raise SecretError("was edited: its box is no base64")
    return box
