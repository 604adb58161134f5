"""Who asked for a command, as far as the bus can tell: what is proven by permissions, and what the caller says of itself.

NATS tells a service nothing of who published. Proven is that it was one of those who may publish on the subject. The reply's inbox
names a connection, and nobody else may listen there; what the headers add is that connection's own word. See ADR 0020.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

import msgspec

from flotilla.schemas.audit import Caller

INBOX: Final = "_INBOX"
"""Answers go to inboxes only: a caller may put any subject into the reply field, and would speak there in our name."""
_HEADERS: Final = {"name": "Flotilla-Caller", "origin": "Flotilla-Origin", "via": "Flotilla-Via"}
_LONGEST: Final = 200

Introduction: TypeAlias = Callable[[], Caller | None]
"""What a connection says of whoever it speaks for, at this moment."""


class Asked(msgspec.Struct, frozen=True):
    """The command that is being handled: who asked, and the body as it came."""

    caller: Caller = Caller()
    body: bytes = b""


_ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)


def asked() -> Asked:
    """The command that this task handles; empty outside of one."""
    return _ASKED.get() or Asked()


@contextmanager
def asking(what: Asked) -> Iterator[None]:
    """Within it, and in tasks that are started there, `asked` is this."""
    token = _ASKED.set(what)
    try:
        yield
    finally:
        _ASKED.reset(token)


def headers_of(caller: Caller | None) -> dict[str, str] | None:
    """The headers that introduce whoever a call is made for; None when nobody is named."""
    if caller is None:
        return None
    said = {header: _plain(getattr(caller, field)) for field, header in _HEADERS.items()}
    return {header: text for header, text in said.items() if text} or None


def caller_of(reply: str, headers: Mapping[str, str] | None) -> Caller:
    """Whoever is behind a request: the connection that hears the answer, and what it says."""
    given = {field: _plain((headers or {}).get(header, "")) for field, header in _HEADERS.items()}
    return Caller(credential=_connection(reply), **given)


def _connection(reply: str) -> str:
    """`_INBOX_operator.xyz` is the inbox of the connection `operator`; anything else tells nothing."""
    prefix = reply.partition(".")[0]
    return prefix.removeprefix(f"{INBOX}_") if prefix.startswith(f"{INBOX}_") else ""


def _plain(text: str) -> str:
    """On one line of ASCII, which is all that a header can hold."""
    printable = (char if char.isprintable() and char.isascii() else "?" for char in text[:_LONGEST])
    return "".join(printable)
