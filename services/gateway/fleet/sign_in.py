"""Browsers sign in with a code, see who they are, and sign out."""

import time
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.labels import Labels
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.answer import Answer
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery
from flotilla.services.gateway.web.sessions import COOKIE

_PATH: Final = "/api"


class SignInBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that `flotilla access code` has printed."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]


class SessionReply(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what it may. `csrf_token` is to be sent as X-CSRF-Token with every change; null for who has no cookie."""

    success: bool = True
    name: str
    role: Role
    labels: Labels
    csrf_token: str | None = None
    expires_at: datetime | None = None


class SignOutReply(msgspec.Struct, frozen=True, kw_only=True):
    """The cookie is no longer good."""

    success: bool = True
    message: str = "signed out"


async def sign_in(gateway: Gateway, ask: Ask[NoQuery, SignInBody]) -> Answer[SessionReply]:
    """A cookie for a code. Raises FaultError `unauthenticated`, `busy` after too many codes that were not good."""
    try:
        cookie, session = gateway.sessions.open(ask.body.code)
    except FaultError as error:
        wait_s = gateway.limits.failed(ask.http.remote or "", time.monotonic())
        if error.fault.code == FaultCode.UNAUTHENTICATED and wait_s is not None:
            message = "too many codes that are not good came from this address"
            raise fault(FaultCode.BUSY, message, retry_after_s=wait_s) from None
        raise
    reply = _reply(session.token, csrf_token=session.csrf, expires_at=session.expires_at)
    return Answer(reply=reply, status=200, headers={"Set-Cookie": _cookie(ask, cookie)})


async def read_session(gateway: Gateway, ask: Ask[NoQuery, None]) -> SessionReply:
    """Who asks."""
    if ask.token is None:
        raise RuntimeError("a session without a token")
    session = gateway.sessions.find(ask.http.cookies.get(COOKIE, ""))
    if session is None or session.token != ask.token:
        return _reply(ask.token, expires_at=ask.token.expires_at)
    return _reply(session.token, csrf_token=session.csrf, expires_at=session.expires_at)


async def sign_out(gateway: Gateway, ask: Ask[NoQuery, None]) -> Answer[SignOutReply]:
    """The cookie is good no more; its browser is told to forget it."""
    gateway.sessions.close(ask.http.cookies.get(COOKIE, ""))
    return Answer(reply=SignOutReply(), status=200, headers={"Set-Cookie": f"{_cookie(ask, '')}; Max-Age=0"})


def _reply(token: TokenRecord, **more: Any) -> SessionReply:
    return SessionReply(name=token.name, role=token.role, labels=token.labels, **more)


def _cookie(ask: Ask[Any, Any], value: str) -> str:
    """No script reads it, and no page of another site makes a browser send it."""
    is_https = ask.http.secure or ask.http.headers.get("X-Forwarded-Proto", "").lower() == "https"
    return f"{COOKIE}={value}; Path={_PATH}; HttpOnly; SameSite=Strict{'; Secure' if is_https else ''}"
