"""Takes what may be a secret out of a command's body, and of what is said about it, before either is kept. Pure."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

HIDDEN: Final = "***"
LONGEST: Final = 32 * 1024
"""Bytes of a body that are kept; a longer one is left out as a whole, since half of it is no JSON."""
_WORDS: Final = "key|secret|passw|passphrase|token|credential|private|mnemonic|signature|authorization"
_SECRET: Final = re.compile(_WORDS, re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"""([\w-]*(?:{_WORDS})[\w-]*)(=|["']\s*:\s*)("[^"]*"|'[^']*'|[^\s"',;&)}}\]]+)""", re.IGNORECASE
)
"""A name that secrets have and its value, as in a URL or a piece of JSON."""
_SHORTEST: Final = 4
"""Characters of a secret that is looked for in a text; a shorter one would be found in any word."""
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


def blanked_text(text: str, body: bytes = b"") -> str:
    """A text without what `blanked` takes out of the body that it is about, and without what is named as a secret in it."""
    try:
        said = _secrets(msgspec.json.decode(body), is_secret=False) if len(body) <= LONGEST else ()
        for secret in sorted(said, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # no JSON names a secret in it
    text = _USERINFO.sub(f"://{HIDDEN}@", text)
    # Most texts have no such word, which is quicker to see than that none is a name.
    return _NAMED.sub(rf"\1\2{HIDDEN}", text) if _SECRET.search(text) else text


def _secrets(value: Any, *, is_secret: bool) -> Iterator[str]:
    match value:
        case dict():
            for name, one in value.items():
                yield from _secrets(one, is_secret=is_secret or _SECRET.search(name) is not None)
        case list():
            for one in value:
                yield from _secrets(one, is_secret=is_secret)
        case str() | int() | float() if is_secret and not isinstance(value, bool):
            if len(str(value)) >= _SHORTEST:
                yield str(value)


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
