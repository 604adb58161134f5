"""Asks for one path over connections that are kept, as fast as it is answered: `python -m benchmarks.load ADDRESS PATH CONNECTIONS SECONDS [TOKEN]`.

A process of its own, so that what it costs to ask is not counted to who answers. Prints how many answers came, and how long that took.
"""

import asyncio
import sys
import time


class Asking(asyncio.Protocol):
    """One connection: the next request goes when the answer before it is whole."""

    def __init__(self, request: bytes, until: float) -> None:
        self.answers = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("no stream")
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or all of it."""
        if not self._left:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self.over.set_exception(RuntimeError((head + body)[:500].decode()))
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._left, self._head, data = length, b"", body
        self._left -= len(data)
        if self._left:
            return
        self.answers += 1
        if time.monotonic() < self._until:
            self._transport.write(self._request)
        elif not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed before its time."""
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("closed while asking"))


async def ask(address: str, path: str, connections: int, seconds: float, token: str) -> tuple[int, float]:
    """The answers, and the seconds in which they came."""
    host, port = address.removeprefix("http://").split(":")
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{credential}\r\n".encode()
    loop, began = asyncio.get_running_loop(), time.monotonic()
    asking = [
        (await loop.create_connection(lambda: Asking(request, began + seconds), host, int(port)))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(each.over for each in asking))
    return sum(each.answers for each in asking), time.monotonic() - began


def main(address: str, path: str, connections: str, seconds: str, token: str = "") -> int:
    """Prints both figures."""
    answers, took_s = asyncio.run(ask(address, path, int(connections), float(seconds), token))
    sys.stdout.write(f"{answers} {took_s}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
