"""Takes what may be a secret out of a command's body before it is kept. Pure."""

import re
from typing import Any, Final

import msgspec

HIDDEN: Final = "***"
LONGEST: Final = 32 * 1024
"""Bytes of a body that are kept; a longer one is left out as a whole, since half of it is no JSON."""
_SECRET: Final = re.compile(
    r"key|secret|passw|passphrase|token|credential|private|mnemonic|signature|authorization", re.IGNORECASE
)
_USERINFO: Final = re.compile(r"://[^/?#\s]*@")


def blanked(body: bytes) -> bytes | None:
    """The JSON of a body with every text blanked that stands, however deep, under a name that secrets have, or before a URL's host.

    None for what is no JSON object, and for one that is too long to be kept.
    """
    if len(body) > LONGEST:
        return None
    try:
        value = msgspec.json.decode(body)
        return msgspec.json.encode(_without(value, is_secret=False)) if isinstance(value, dict) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _without(value: Any, *, is_secret: bool) -> Any:
    match value:
        case dict():
            return {
                name: _without(one, is_secret=is_secret or _SECRET.search(name) is not None)
                for name, one in value.items()
            }
        case list():
            return [_without(one, is_secret=is_secret) for one in value]
        case str() | int() | float() if is_secret and not isinstance(value, bool):
            return HIDDEN
        case str():
            return _USERINFO.sub(f"://{HIDDEN}@", value)
    return value
