"""WebSockets that a venue pushes to: each has a queue and a writer, and can be cut, or left half open."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web


class Connection:
    """One WebSocket. While it is `half_open` nothing is sent and nothing answered, pings neither, though the connection stands."""

    def __init__(self, request: web.Request, name: str) -> None:
        self.name = name
        self.half_open = False
        self._request = request
        self._socket = web.WebSocketResponse(autoping=False)
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Puts a message at the end of what is to be sent."""
        self._queue.put_nowait(text)

    def close(self) -> None:
        """Closes in good form after what is to be sent."""
        self._queue.put_nowait(None)

    def cut(self) -> None:
        """Ends the connection at once, without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def serve(self, hear: Callable[[str], Awaitable[None]]) -> web.WebSocketResponse:
        """Sends and hears until the connection ends. `hear` is given each text message."""
        await self._socket.prepare(self._request)
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write(), name=f"writer of {self.name}")
            try:
                await self._read(hear)
            finally:
                writer.cancel()
        return self._socket

    async def _read(self, hear: Callable[[str], Awaitable[None]]) -> None:
        async for message in self._socket:
            if self.half_open:
                continue
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await hear(message.data)

    async def _write(self) -> None:
        while True:
            text = await self._queue.get()
            if self.half_open:
                continue
            if text is None:
                break
            try:
                await self._socket.send_str(text)
            except ConnectionError:
                return  # the reader ends the connection
        await self._socket.close(code=1001)
