"""An answer to a request that was carried out."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from flotilla.services.gateway.web.accept import wants_integers_as_text, with_text_integers

_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, kw_only=True)
class Answer[R]:
    """A reply whose status and headers tell something too; a reply without them is 200."""

    reply: R
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoded[R]:
    """A reply that is JSON already: what was made before is not made again for everybody who asks."""

    body: bytes


def response(outcome: Any, accept: Sequence[str]) -> web.StreamResponse:
    """What a handler returned, for aiohttp: a response as it is, anything else as JSON. `accept`: the headers of that name."""
    match outcome:
        case web.StreamResponse():
            return outcome
        case Answer():
            return _json(msgspec.json.encode(outcome.reply), outcome.status, outcome.headers, accept)
        case Encoded():
            return _json(outcome.body, 200, _NONE, accept)
    return _json(msgspec.json.encode(outcome), 200, _NONE, accept)


def tagged(whole: web.Response, if_none_match: Sequence[str]) -> web.Response:
    """A whole answer with an entity tag, made of its bytes; 304 without them for who has them already."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    # Kept by the reader alone, and asked for again each time: its rights may have changed.
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, X-API-Key"}
    held = {one.strip().removeprefix("W/") for one in ",".join(if_none_match).split(",")}
    if held & {tag, "*"}:
        return web.Response(status=304, headers=headers)
    whole.headers.update(headers)
    return whole


def _json(body: bytes, status: int, headers: Mapping[str, str], accept: Sequence[str]) -> web.Response:
    if wants_integers_as_text(accept):
        body = msgspec.json.encode(with_text_integers(msgspec.json.decode(body)))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
