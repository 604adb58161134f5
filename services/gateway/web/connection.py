"""The connection of a client: how an answer that cannot be finished ends."""

from aiohttp import web


def abort(request: web.Request) -> None:
    """Cuts the connection, so that what was sent does not look whole. Not close(): that waits for what the client does not read."""
    if request.transport is not None:
        request.transport.abort()
