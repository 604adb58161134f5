"""A nats-server that cannot store is started again, once there is room and only then."""

import asyncio
import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from flotilla.bus.credentials import FleetKeys
from flotilla.stack import stack as recovery
from flotilla.stack.servers import nats_health
from flotilla.stack.servers.nats import NatsServer
from tests.e2e.stacks import until

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
    monkeypatch.setattr(recovery, "has_room", lambda _: room)
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
            cast(Any, self.server).asked += 1
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cast(Any, server).asked = 0
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


def watched(folder: Path, port: int, *command: str) -> subprocess.Popen[str]:
    """Runs a command as the composed fleet runs nats-server: the file alone, without anything of ours beside it."""
    argv = [sys.executable, "-I", nats_health.__file__, str(folder), str(port), *command]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def test_in_the_composed_fleet_a_server_that_cannot_store_is_ended_so_that_it_is_started_again(
    monitor: Any, tmp_path: Path
) -> None:
    monitor.answer = (503, BROKEN)
    said, script = tmp_path / "said", "trap 'echo ended >said; exit 0' TERM; while :; do sleep 0.05; done"
    with watched(tmp_path, monitor.server_address[1], "sh", "-c", f"cd {tmp_path}; {script}") as running:
        assert running.wait(20) == 75
        assert running.stderr is not None
        assert "write error: no space left on device" in running.stderr.read()
    assert said.read_text() == "ended\n"


def test_a_server_that_stores_or_has_no_room_runs_on_and_gets_its_signals(
    monitor: Any, tmp_path: Path
) -> None:
    port = monitor.server_address[1]
    for answer, folder in (((200, b"{}"), tmp_path), ((503, BROKEN), tmp_path / "absent")):
        monitor.answer, before = answer, monitor.asked
        with watched(folder, port, "sleep", "60") as running:
            until(lambda before=before: monitor.asked >= before + 2, 20, "two looks")
            assert running.poll() is None
            running.terminate()
            assert running.wait(10) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_a_server_that_ends_by_itself_ends_its_watch_with_its_own_code(
    script: str, code: int, tmp_path: Path
) -> None:
    with watched(tmp_path, 9, "sh", "-c", script) as running:
        assert running.wait(20) == code
