"""Answers that are sent in pieces, as they are read."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from flotilla.bus.logs import get_logger
from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.connection import abort
from flotilla.services.gateway.web.inputs import Ask

log = get_logger(__name__)


async def send[Q](
    gateway: Gateway, ask: Ask[Q, None], pieces: AsyncIterator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    """Sends all pieces. A fault of the first one is raised; after a later one the connection is cut, so nobody takes it for whole."""
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers=dict(headers))
    try:
        await response.prepare(ask.http)
        if ask.http.method != "HEAD":
            await _write(gateway, response, first)
            async for piece in pieces:
                await _write(gateway, response, piece)
        await response.write_eof()
    except (FaultError, TimeoutError) as error:
        log.warning("answer cut short", path=ask.http.path, error=str(error) or "the client reads nothing")
        abort(ask.http)
    except ConnectionError:
        log.debug("client left before the end", path=ask.http.path)
    return response


async def _write(gateway: Gateway, response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(gateway.settings.stream_write_timeout_s):
        await response.write(piece)
