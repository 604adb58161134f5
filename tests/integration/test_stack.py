"""The embedded stack as a process: how it starts, what it survives, and how it ends."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from flotilla.client.client import Flotilla
from tests.e2e.stacks import PROGRAMS, RunningStack, is_running, processes_of, run_flotilla, until

START = ("engine", "start", "one", "--param", "speed=864000")


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    """One that is not started yet; what a test leaves running is stopped."""
    made = RunningStack("process", is_first=getattr(request, "param", False))
    yield made
    made.remove()


first_start = pytest.mark.parametrize("stack", [True], indirect=True, ids=["first"])


def pids(stack: RunningStack) -> dict[str, int]:
    found = {name: stack.pid_of(name) for name in PROGRAMS}
    assert None not in found.values(), found
    return {name: pid for name, pid in found.items() if pid is not None}


def engine_pid(stack: RunningStack) -> int:
    done = stack.json("engine", "watch", "one", "--kind", "heartbeat", "--count", "1")
    return int(done["payload"]["engine_pid"])


async def test_when_it_is_ready_the_orchestrator_knows_the_host(stack: RunningStack) -> None:
    async with Flotilla.connect(await asyncio.to_thread(stack.start)) as fleet:
        (host,) = (await fleet.hosts()).hosts
    assert host.is_in_sight


@first_start
def test_up_tells_where_everything_is_and_keeps_secrets_to_its_owner(stack: RunningStack) -> None:
    connection = stack.start()
    # It is ready for its clients a moment before it says so.
    until(lambda: "engine start" in stack.said(), what="the word that it is ready")
    said = stack.said()
    for part in (connection.http_url, connection.token_file, connection.nats_url, "NOT ISOLATED"):
        assert part in said
    assert "imported 5,031 bars of SPX.SIM-1-DAY-LAST-EXTERNAL" in said
    password = stack.folder.redis / "password"
    for path in (
        stack.folder.token_file,
        stack.folder.connection_file,
        Path(connection.nats_creds),
        password,
    ):
        assert path.stat().st_mode & 0o077 == 0, path
    for folder in (stack.folder.keys, stack.folder.secrets, stack.folder.redis):
        assert folder.stat().st_mode & 0o077 == 0, folder
    assert stack.token not in said
    for log in stack.folder.logs.glob("*.log"):
        assert stack.token not in log.read_text()
        assert password.read_text() not in log.read_text()


@first_start
def test_sigterm_stops_engines_by_their_policy_then_everything_and_they_run_again_with_it(
    stack: RunningStack,
) -> None:
    stack.start()
    stack.json(*START)
    pid, all_pids = engine_pid(stack), pids(stack)
    assert stack.stop() == 0
    assert not is_running(pid)
    assert not any(is_running(one) for one in all_pids.values())
    assert "engine one stopped" in stack.said()
    assert not stack.folder.connection_file.exists()
    assert stack.cli("engine", "ls").returncode == 6
    assert list((stack.folder.root / "sessions").glob("*-*")) == [], (
        "what is left of an ended session is removed"
    )
    stack.start()
    assert "engine one starts again" in stack.said()
    found = stack.json("engine", "inspect", "one")
    assert (found["engine"]["desired"], found["sessions"][1]["state"]) == ("running", "stopped")
    assert stack.cli("engine", "stop", "one").returncode == 0
    shown = stack.cli("engine", "inspect", "one").stdout
    assert " stopped" in shown.partition("last events on record")[2], shown
    assert stack.stop() == 0
    stack.start()
    view = stack.json("engine", "inspect", "one")["engine"]
    assert (view["desired"], view["session"]["state"]) == ("stopped", "stopped"), "a person stopped it"
    assert stack.said().count("importing the sample data") == 1


def test_an_engine_that_waits_for_its_restart_is_stopped_too(stack: RunningStack) -> None:
    stack.start()
    restart = {"max_restarts": 3, "window_s": 3600, "backoff_s": 30, "max_backoff_s": 30}
    config = {"engine_type": "sandbox", "parameters": {"speed": 864_000}, "restart": restart}
    stack.json("engine", "start", "one", "--config", "-", stdin=json.dumps(config))
    os.kill(engine_pid(stack), signal.SIGKILL)

    def waits() -> bool:
        return stack.json("engine", "inspect", "one")["engine"]["restart_at"] is not None

    until(waits, 15, "the wait for its restart")
    assert stack.stop() == 0
    assert "engine one failed" in stack.said()
    stack.start()
    view = stack.json("engine", "inspect", "one")["engine"]
    assert (view["desired"], view["restart_at"]) == ("running", None), (
        "it was wanted when the stack was stopped"
    )


def test_a_stack_that_was_killed_comes_back_and_finds_its_engines(stack: RunningStack) -> None:
    first = stack.start()
    stack.json(*START)
    pid, all_pids = engine_pid(stack), pids(stack)
    session = stack.json("engine", "inspect", "one")["engine"]["session"]["session_id"]
    stack.kill()
    second = stack.start()
    assert second.nats_url == first.nats_url, "engines that outlived the stack look for the bus where it was"
    assert not any(is_running(one) for one in all_pids.values())
    assert is_running(pid)

    def is_trading() -> bool:
        view = stack.json("engine", "inspect", "one")["engine"]
        age = view["heartbeat_age_s"]
        return view["session"]["state"] == "trading" and age is not None and age < 3

    until(is_trading, 15, "the engine in sight")
    assert stack.json("engine", "inspect", "one")["engine"]["session"]["session_id"] == session
    assert engine_pid(stack) == pid


def test_redis_comes_back_with_what_it_knew_where_engines_look_for_it(stack: RunningStack) -> None:
    stack.start()
    port = json.loads(stack.folder.ports_file.read_bytes())["redis"]
    password = (stack.folder.redis / "password").read_text()
    with redis.Redis(port=port, password=password) as client:
        client.set("trader-A:x", "kept")
        old = stack.pid_of("redis")
        assert old is not None
        os.kill(old, signal.SIGKILL)
        until(lambda: stack.pid_of("redis") not in (None, old), 15, "a new server")

        def answers() -> bool:
            try:
                return client.get("trader-A:x") == b"kept"
            except redis.ConnectionError:
                return False

        until(answers, 15, "what it knew")
        assert stack.stop() == 0
        stack.start()
        assert json.loads(stack.folder.ports_file.read_bytes())["redis"] == port
        assert client.get("trader-A:x") == b"kept"


@pytest.mark.parametrize("how", ["up", "down"])
def test_engines_can_be_left_running(stack: RunningStack, how: str) -> None:
    stack.start(*(["--leave-engines"] if how == "up" else []))
    stack.json(*START)
    pid = engine_pid(stack)
    if how == "up":
        assert stack.stop() == 0
    else:
        done = stack.cli("down", "--leave-engines")
        assert done.returncode == 0, done.stderr
        assert stack.wait() == 0
    assert is_running(pid)
    stack.start()
    assert engine_pid(stack) == pid


def test_a_second_ctrl_c_leaves_an_engine_that_does_not_stop(stack: RunningStack) -> None:
    stack.start()
    stack.json(*START)
    pid = engine_pid(stack)
    os.kill(pid, signal.SIGSTOP)
    try:
        stack.send(signal.SIGINT)
        until(lambda: "stopping one" in stack.said(), 10)
        stack.send(signal.SIGINT)
        assert stack.wait(30) == 0
        assert "engines that have not stopped yet are left as they are" in stack.said()
        assert is_running(pid)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_down_stops_what_was_started_detached_and_says_when_there_is_nothing_to_stop(
    stack: RunningStack,
) -> None:
    folder = ("--state", str(stack.folder.root))
    started = run_flotilla(*folder, "--json", "up", "--detach", "--port", "0", "--runtime", "process")
    assert started.returncode == 0, started.stderr
    pid = json.loads(started.stdout)["pid"]
    assert run_flotilla(*folder, "engine", "ls").returncode == 0
    done = run_flotilla(*folder, "down")
    assert (done.returncode, done.stdout) == (0, f"stopped process {pid}\n")
    assert not is_running(pid)
    again = run_flotilla(*folder, "down")
    assert (again.returncode, again.stdout) == (0, f"no stack runs on {stack.folder.root}\n")


@first_start
def test_ctrl_c_while_it_starts_leaves_nothing(stack: RunningStack) -> None:
    stack.begin()
    until(lambda: "nats-server listens" in stack.said(), 30)
    stack.send(signal.SIGINT)
    assert stack.wait() == 130
    assert not stack.folder.connection_file.exists()
    assert processes_of(stack.folder.root) == []


def test_a_port_that_is_taken_is_said_before_anything_starts(stack: RunningStack) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        done = stack.cli("up", "--port", port, "--runtime", "process")
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "--port" in done.stderr
    assert not stack.folder.nats.exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """One with 40 MB left."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("detached", [(), ("--detach",)])
def test_a_full_disk_is_told_in_a_line_before_anything_is_made(
    full_disk: Path, detached: tuple[str, ...]
) -> None:
    done = run_flotilla("--state", str(full_disk / "state"), "up", "--port", "0", *detached)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"error: disk: 0\.0 GiB free at {full_disk}\n +remedy: make room, or choose .*--state\n", done.stderr
    )
    assert list(full_disk.iterdir()) == []


def test_a_state_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = run_flotilla("--state", str(file / "state"), "up")
    assert done.returncode == 1
    assert re.search(
        r"error: state folder: \S+ cannot be used: Not a directory\n +remedy: .*--state", done.stderr
    )
