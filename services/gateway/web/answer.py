"""An answer to a request that was carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

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


def response(outcome: Any) -> web.StreamResponse:
    """What a handler returned, for aiohttp: a response as it is, anything else as JSON."""
    match outcome:
        case web.StreamResponse():
            return outcome
        case Answer():
            return _json(msgspec.json.encode(outcome.reply), outcome.status, outcome.headers)
        case Encoded():
            return _json(outcome.body, 200, _NONE)
    return _json(msgspec.json.encode(outcome), 200, _NONE)


def _json(body: bytes, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
