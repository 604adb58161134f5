"""An answer to a request that was carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass(frozen=True, kw_only=True)
class Answer[R]:
    """A reply whose status and headers tell something too; a reply without them is 200."""

    reply: R
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def response(outcome: Any) -> web.StreamResponse:
    """What a handler returned, for aiohttp: a response as it is, anything else as JSON."""
    match outcome:
        case web.StreamResponse():
            return outcome
        case Answer():
            return _json(outcome.reply, outcome.status, outcome.headers)
    return _json(outcome, 200, {})


def _json(reply: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    body = msgspec.json.encode(reply)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
