"""Passwords as PostgreSQL keeps them, so that it is never sent one in plain text, nor logs it."""

import base64
import hashlib
import hmac
import os
from typing import Final

_ROUNDS: Final = 4096


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What `alter role … password` takes for a password of ASCII letters, digits, `-` and `_` (RFC 5803; no SASLprep is needed for those).

    `salt` is random unless it is given.
    """
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    server = _mac(salted, b"Server Key")
    return f"SCRAM-SHA-256${_ROUNDS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
