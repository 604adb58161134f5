"""A port that can be taken down and put up again while its process lives: connections are then refused by the machine itself."""

import asyncio
import socket

from aiohttp import web


class Port:
    """One application on one port of one address."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        self._host = host
        self.number = port
        self._site: web.SockSite | None = None

    async def open(self) -> None:
        """Listens; on a free port if the number is 0.

        Raises:
            OSError: if the port is taken.
        """
        await self._runner.setup()
        await self.up()

    async def up(self) -> None:
        """Listens again, on the same port."""
        if self._site is not None:
            return
        listening = socket.create_server((self._host, self.number), backlog=128)
        self.number = listening.getsockname()[1]
        self._site = web.SockSite(self._runner, listening)
        await self._site.start()

    async def down(self) -> None:
        """Stops listening, and ends every connection at once."""
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stops for good."""
        self._site = None
        await self._runner.cleanup()
