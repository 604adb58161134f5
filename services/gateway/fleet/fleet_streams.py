"""The fleet in memory, to read once or to follow: as server-sent events or over a WebSocket, message for message the same."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, web

from flotilla.bus.logs import get_logger
from flotilla.bus.tasks import Tasks
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.gateway.live.fleet_memory import FleetClient
from flotilla.services.gateway.live.fleet_messages import (
    Encoded,
    FleetSnapshot,
    Viewer,
    visible_topics,
)
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.place import Place
from flotilla.services.gateway.live.rows import Topic
from flotilla.services.gateway.web.errors import abort
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import FleetQuery, FleetStreamQuery

log = get_logger(__name__)

WRITE_S: Final = 5.0
"""How long a client may take nothing at all before it is dropped."""
_LARGEST_WORD: Final = 1_024
"""Bytes of a message from a client: there is nothing for it to say."""


async def read_fleet(gateway: Gateway, ask: Ask[FleetQuery, None]) -> FleetSnapshot:
    """All there is, as it is now."""
    return gateway.fleet.snapshot(_viewer(ask))


async def stream_fleet(gateway: Gateway, ask: Ask[FleetStreamQuery, None]) -> web.StreamResponse:
    """As server-sent events. The header `Last-Event-ID`, which browsers send, comes before `after`."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    with gateway.fleet.client(_viewer(ask), _place(ask)) as client:
        try:
            await response.prepare(ask.http)
            await _write_events(gateway, client, response)
        except TimeoutError:
            _dropped(client)
            abort(ask.http)
        except ConnectionError:
            log.debug("fleet stream client left")
    return response


async def socket_fleet(gateway: Gateway, ask: Ask[FleetStreamQuery, None]) -> web.WebSocketResponse:
    """Over a WebSocket: text messages, each a JSON object whose `kind` says which."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_WORD, timeout=WRITE_S)
    if not socket.can_prepare(ask.http).ok:
        raise fault(FaultCode.MALFORMED, "this is a WebSocket: an upgrade is needed, or /fleet/stream")
    tasks = Tasks()
    with gateway.fleet.client(_viewer(ask), _place(ask)) as client:
        await socket.prepare(ask.http)
        tasks.start(_listen(socket, client), name="what the client says")
        try:
            await _write_messages(gateway, client, socket)
        except TimeoutError:
            _dropped(client)
            abort(ask.http)
        except ConnectionError:
            log.debug("fleet socket client left")
        finally:
            await tasks.close()
    return socket


async def _write_events(gateway: Gateway, client: FleetClient, response: web.StreamResponse) -> None:
    while True:
        message = await gateway.fleet.next_message(client)
        async with asyncio.timeout(WRITE_S):
            await response.write(_event(message))
        if client.reason is not None:
            return


async def _write_messages(gateway: Gateway, client: FleetClient, socket: web.WebSocketResponse) -> None:
    while not socket.closed:
        message = await gateway.fleet.next_message(client)
        async with asyncio.timeout(WRITE_S):
            await socket.send_frame(message.data, web.WSMsgType.TEXT)
        if client.reason is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_S):
                    await socket.close(code=WSCloseCode.GOING_AWAY, message=client.reason.encode())
            return


async def _listen(socket: web.WebSocketResponse, client: FleetClient) -> None:
    """Reads, so that pings are answered and a close is noticed; nothing that a client says means anything here."""
    async for _ in socket:
        pass
    client.end("left")


def _event(message: Encoded) -> bytes:
    # JSON has no raw line break, so its data is one line. A beat leaves the reader's place as it is.
    place = f"id: {message.place.text}\n".encode() if message.place else b""
    return b"event: %b\n%bdata: %b\n\n" % (message.kind.encode(), place, message.data)


def _place(ask: Ask[FleetStreamQuery, None]) -> Place | None:
    text = ask.http.headers.get("Last-Event-ID") or ask.query.after
    return Place.read(text) if text else None


def _viewer(ask: Ask[FleetQuery, None] | Ask[FleetStreamQuery, None]) -> Viewer:
    """Who asks for what. Raises FaultError `forbidden` for a topic that it does not see."""
    if ask.token is None:
        raise RuntimeError("the fleet is shown to nobody without a token")
    wanted, sees = frozenset(map(Topic, ask.query.topics)), visible_topics(ask.token)
    if unseen := sorted(wanted - sees):
        raise fault(FaultCode.FORBIDDEN, f"topics: {ask.token.name} does not see {', '.join(unseen)}")
    return Viewer(token=ask.token, topics=wanted or sees)


def _dropped(client: FleetClient) -> None:
    log.info("fleet client dropped, it reads nothing", caller=client.viewer.token.name)
