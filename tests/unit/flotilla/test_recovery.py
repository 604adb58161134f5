"""A nats-server that cannot store is started again, once there is room and only then."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from bus.credentials import FleetKeys
from flotilla import recovery
from flotilla.embedded.nats import NatsServer

BROKEN = (
    b'{"status":"unavailable","error":"JetStream stream \'A > EVENTS\' write error: no space left on device"}'
)
STARTING = b'{"status":"unavailable","error":"JetStream is not current with the meta leader"}'


class Nats:
    """Says what it is told to, and notes when it is ended."""

    def __init__(self, folder: Path, *answers: str) -> None:
        self.folder, self.child, self._answers = folder, self, list(answers)
        self.stops: list[str] = []
        self.asked = 0

    def write_error(self) -> str:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]

    def stop(self, _: float) -> None:
        self.stops.append(self._answers[self.asked - 1])


class Heard:
    def say(self, text: str) -> None:
        raise AssertionError(text)

    def warn(self, text: str) -> None:
        assert "cannot store" in text


@pytest.mark.parametrize(
    ("answers", "room", "stops"),
    [
        (("", "", ""), True, 0),
        (("", "write error", ""), True, 1),
        (("write error", "write error", ""), False, 0),
    ],
)
async def test_it_is_ended_for_a_write_error_when_there_is_room(
    answers: tuple[str, ...], room: bool, stops: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_S", 0.001)
    monkeypatch.setattr(recovery, "_has_room", lambda _: room)
    nats = Nats(tmp_path, *answers)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(recovery.restart_when_it_cannot_store(cast(Any, nats), Heard()))
        while nats.asked < 6:
            await asyncio.sleep(0.001)
        watching.cancel()
    assert len(nats.stops) == stops


@pytest.fixture
def monitor() -> Iterator[Any]:
    """What answers /healthz; `answer` is status and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = cast(Any, self.server).answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


def test_only_a_write_error_is_one(monitor: Any, tmp_path: Path) -> None:
    nats = NatsServer(tmp_path / "nats", FleetKeys(tmp_path / "keys"))
    assert nats.write_error() == ""  # nobody answers
    nats._monitor_port = monitor.server_address[1]
    for status, body, expected in (
        (200, b'{"status":"ok"}', ""),
        (503, STARTING, ""),
        (503, b"no json", ""),
        (503, b"[]", ""),
        (503, BROKEN, "JetStream stream 'A > EVENTS' write error: no space left on device"),
    ):
        monitor.answer = (status, body)
        assert nats.write_error() == expected
