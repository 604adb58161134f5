"""A unix socket before another one, to take a daemon away from its clients and give it back."""

import asyncio
from pathlib import Path


class UnixProxy:
    """Forwards connections to `target` while it is up. Down, it refuses new ones and has cut the old."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def up(self) -> None:
        """Accepts connections."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def down(self) -> None:
        """Cuts all connections, and refuses new ones."""
        server, self._server = self._server, None
        self.path.unlink(missing_ok=True)
        # asyncio loses a connection that it is just accepting when its server closes.
        for _ in range(5):
            await asyncio.sleep(0)
        if server is not None:
            server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # What was accepted just before it went down arrives here after.
            if self._server is not None:
                await self._forward(reader, writer)
        except (asyncio.CancelledError, ExceptionGroup):
            pass  # cut, which is what this is for
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, server_writer))
                both.create_task(_copy(server_reader, writer))
        finally:
            server_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
