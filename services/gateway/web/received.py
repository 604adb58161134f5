"""Bodies that are larger than memory is to hold, as they come."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from flotilla.schemas.fault import FaultCode, fault


async def pieces(
    request: web.Request, piece_bytes: int, most_bytes: int, within_s: float
) -> AsyncIterator[bytes]:
    """The body in pieces of `piece_bytes`, the last one shorter. Raises FaultError: `too_large` beyond `most_bytes`, `malformed` when nothing
    more came for `within_s` before its end.
    """
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    taken, piece = 0, bytearray()
    while data := await _next(request, within_s):
        taken += len(data)
        if taken > most_bytes:
            raise _too_large(most_bytes)
        piece += data
        while len(piece) >= piece_bytes:
            yield bytes(piece[:piece_bytes])
            del piece[:piece_bytes]
    if piece:
        yield bytes(piece)


async def _next(request: web.Request, within_s: float) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            return await request.content.readany()
    except TimeoutError:
        raise fault(FaultCode.MALFORMED, f"nothing more of the body came within {within_s:g} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise fault(FaultCode.MALFORMED, f"body did not arrive whole: {error}") from None


def _too_large(most_bytes: int) -> Exception:
    return fault(FaultCode.TOO_LARGE, f"body is over {most_bytes:,} bytes")
