"""A scripted Trader Workstation: answers what NautilusTrader asks of it until it trades, in the text protocol of server version 176."""

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_SERVER_VERSION: Final = "176"
_NET_WORTH: Final = "100000.00"
# Requests by their number, then answers by theirs, each with its message version.
_START, _SUMMARY, _POSITIONS, _OPEN_ORDERS, _EXECUTIONS, _IDS = "71", "62", "61", "5", "7", "8"


class FakeTws(socketserver.ThreadingTCPServer):
    """Holds one account. `clients` are the ids that connected, in order; `requests` what each asked, as (client id, fields)."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, account: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.account = account
        self.clients: list[int] = []
        self.requests: list[tuple[int, list[str]]] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Connection(socketserver.StreamRequestHandler):
    server: FakeTws

    def handle(self) -> None:
        with suppress(ConnectionError, struct.error):
            self.rfile.read(len(b"API\0"))
            self._receive()  # the versions that it speaks
            self._send(_SERVER_VERSION, "20261122 12:00:00 UTC")
            while fields := self._receive():
                self._answer(fields)

    def _answer(self, fields: list[str]) -> None:
        if fields[0] == _START:
            self._client = int(fields[2])
            self.server.clients.append(self._client)
            self._send("15", "1", self.server.account)
            self._send("9", "1", "1")
            return
        self.server.requests.append((self._client, fields))
        answers: dict[str, Callable[[list[str]], None]] = {
            _SUMMARY: self._summary,
            _POSITIONS: lambda _: self._send("62", "1"),
            _OPEN_ORDERS: lambda _: self._send("53", "1"),
            _EXECUTIONS: lambda asked: self._send("55", "1", asked[2]),
            _IDS: lambda _: self._send("9", "1", "1"),
        }
        if answer := answers.get(fields[0]):
            answer(fields)

    def _summary(self, asked: list[str]) -> None:
        for tag in asked[4].split(","):
            value = "0.00" if "Margin" in tag else _NET_WORTH
            self._send("63", "1", asked[2], self.server.account, tag, value, "USD")
        self._send("64", "1", asked[2])

    def _receive(self) -> list[str]:
        (length,) = struct.unpack(">I", self.rfile.read(4))
        return self.rfile.read(length).decode().rstrip("\0").split("\0")

    def _send(self, *fields: str) -> None:
        body = "".join(f"{field}\0" for field in fields).encode()
        self.wfile.write(struct.pack(">I", len(body)) + body)


@contextmanager
def fake_tws(account: str) -> Iterator[FakeTws]:
    server = FakeTws(account)
    thread = threading.Thread(target=server.serve_forever, name="fake TWS", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
