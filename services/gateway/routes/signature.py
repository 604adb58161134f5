"""What a handler's signature says of its route: the types of query, body and reply."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.answer import Answer, Encoded
from flotilla.services.gateway.web.inputs import Ask

type Handler = Callable[[Gateway, Ask[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The types of structs. `body` None takes none; `reply` None has no schema: a page, a file or a stream."""

    query: Any
    body: Any
    reply: Any

    @property
    def is_body_optional(self) -> bool:
        """True where all that the body may say has a default: an empty one is then taken for `{}`."""
        return self.body is not None and not any(one.required for one in msgspec.structs.fields(self.body))


def read_signature(handler: Handler) -> Signature:
    """Raises TypeError that names the handler, and what its signature does not say."""
    name = f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', handler)}"
    try:
        hints = get_type_hints(handler)
    except (TypeError, NameError, AttributeError) as error:
        raise TypeError(f"handler {name}: its signature cannot be read: {error}") from error
    asks = [get_args(hint) for hint in hints.values() if get_origin(hint) is Ask]
    if len(asks) != 1:
        raise TypeError(f"handler {name}: needs one parameter of type Ask[query, body]")
    query, body = asks[0]
    if not _is_struct(query):
        raise TypeError(f"handler {name}: its query {_shown(query)} is no msgspec.Struct")
    if body is not NoneType and not _is_struct(body):
        raise TypeError(f"handler {name}: its body {_shown(body)} is no msgspec.Struct, and not None")
    if "return" not in hints:
        raise TypeError(f"handler {name}: does not say what it returns")
    return Signature(
        query=query, body=None if body is NoneType else body, reply=_reply(hints["return"], name)
    )


def _reply(returned: Any, name: str) -> Any:
    (inner,) = get_args(returned) if get_origin(returned) in (Answer, Encoded) else (returned,)
    if _is_struct(inner):
        return inner
    if isinstance(returned, type) and issubclass(returned, web.StreamResponse):
        return None
    raise TypeError(
        f"handler {name}: returns {_shown(returned)}: no msgspec.Struct, Answer, Encoded or response"
    )


def _is_struct(hint: Any) -> bool:
    """A struct, or a generic one with its arguments."""
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _shown(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) else str(hint)
