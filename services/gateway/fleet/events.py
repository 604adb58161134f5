"""Writes one client's stream of server-sent events: at most ten writes a second, and an end to clients that read nothing."""

import asyncio
from typing import Final

from aiohttp import web

from flotilla.bus.logs import get_logger
from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.place import Place
from flotilla.services.gateway.live.scope import scope_of
from flotilla.services.gateway.live.streams import BACKTEST_KINDS, Client, Subjects, Wish
from flotilla.services.gateway.web.errors import abort
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import STREAM_KINDS, StreamQuery

log = get_logger(__name__)

PACE_S: Final = 0.1
"""Between two writes to one client; telemetry that comes faster is conflated."""
_TRY_AGAIN_S: Final = 0.5
_KEEPALIVE: Final = b": keepalive\n\n"


async def stream_events(gateway: Gateway, ask: Ask[StreamQuery, None]) -> web.StreamResponse:
    """Streams until the client leaves, stops reading, or the gateway stops."""
    left_off = ask.http.headers.get("Last-Event-ID") or ask.query.after
    with gateway.hub.client(_wish(ask), lambda: abort(ask.http), left_off) as client:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        await gateway.hub.learn(scope_of(ask))
        try:
            await response.prepare(ask.http)
            await _write_all(gateway, response, client)
        except TimeoutError:
            gateway.hub.stats.clients_dropped += 1
            log.info("stream client dropped, it reads nothing", waiting=len(client.backlog))
            abort(ask.http)
        except ConnectionError:
            log.debug("stream client left")
    return response


async def _write_all(gateway: Gateway, response: web.StreamResponse, client: Client) -> None:
    settings = gateway.settings
    data = _hello(gateway.hub.place if not client.backlog.is_behind else None)
    while True:
        async with asyncio.timeout(settings.stream_write_timeout_s):
            await response.write(data)
        if client.is_ended and not len(client.backlog):
            return
        if not client.backlog.is_behind:
            await asyncio.sleep(PACE_S)
        data = await _next(gateway, client, settings.keepalive_s)


async def _next(gateway: Gateway, client: Client, keepalive_s: float) -> bytes:
    if not client.backlog.is_behind and not len(client.backlog):
        try:
            async with asyncio.timeout(keepalive_s):
                await client.ready.wait()
        except TimeoutError:
            return _KEEPALIVE
    client.ready.clear()
    try:
        return b"".join(await gateway.hub.next_frames(client))
    except FaultError:  # the bus is away: what it missed is read when it is back
        await asyncio.sleep(_TRY_AGAIN_S)
        return _KEEPALIVE


def _hello(place: Place | None) -> bytes:
    """With the place where it begins, so that a reader who is cut off before the first event goes on there."""
    return b"retry: 2000\n%b: connected\n\n" % (f"id: {place.text}\n".encode() if place else b"")


def _wish(ask: Ask[StreamQuery, None]) -> Wish:
    """What the client asked for. Raises FaultError `forbidden` for a kind that its role does not see."""
    if ask.token is None:
        raise RuntimeError("a stream without a token")
    kinds, sees = ask.query.kinds, kinds_for(ask.token)
    if unseen := [kind for kind in kinds if kind not in sees]:
        raise fault(FaultCode.FORBIDDEN, f"kinds: {ask.token.name} does not see {', '.join(unseen)}")
    return Wish(token=ask.token, kinds=frozenset(kinds) or sees, subjects=_subjects(ask.query))


def kinds_for(token: TokenRecord) -> frozenset[str]:
    """The kinds that a token sees: all, but no backtests for an observer, nor for a token with labels, which backtests have not."""
    sees_all = token.role.includes(Role.VIEWER) and not token.labels
    return frozenset(STREAM_KINDS if sees_all else set(STREAM_KINDS) - BACKTEST_KINDS)


def _subjects(query: StreamQuery) -> Subjects:
    ids = {
        "instance_id": query.instance_id,
        "backtest_id": query.backtest_id,
        "study_id": query.study_id,
    }
    return frozenset((name, value) for name, value in ids.items() if value is not None)
