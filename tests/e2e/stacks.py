"""A whole stack as a user starts it: `flotilla up` as a process, on a state folder of its own."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flotilla.schemas.fault import FaultError
from flotilla.stack.servers.child import Child
from flotilla.stack.servers.ports import Ports, is_free
from flotilla.state.folder import StateFolder, owner_of
from flotilla.state.settings import Connection, find_connection
from tests.e2e import first_start

PROGRAMS = {
    "orchestrator": "flotilla.services.orchestrator",
    "supervisor": "flotilla.services.supervisor",
    "gateway": "flotilla.services.gateway",
    "nats-server": "nats-server",
    "postgres": "bin/postgres",
    "redis": "valkey-server",
}


def until(look: Callable[[], object], timeout_s: float = 15.0, what: str = "it") -> None:
    """Waits for a true answer of `look`; fails when none came in time.

    It sleeps as long as a look takes: what is waited for needs the machine that a command of the CLI keeps busy.
    """
    deadline = time.monotonic() + timeout_s
    began = time.monotonic()
    while not look():
        now = time.monotonic()
        assert now < deadline, f"{what} did not come to be within {timeout_s:g} s"
        time.sleep(max(0.02, now - began))
        began = time.monotonic()


def run_flotilla(
    *arguments: str, timeout_s: float = 90.0, env: dict[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one command of the CLI, as a shell would; by an isolated Python at once, which the command itself goes over to."""
    return subprocess.run(
        [sys.executable, "-I", "-m", "flotilla", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        input=stdin,
        env={**os.environ, **(env or {})},
        check=False,
    )


class RunningStack:
    """`flotilla up` on a fresh folder. It ends with the test run, even when that is killed."""

    def __init__(
        self, runtime: str = "process", env: Mapping[str, str] | None = None, *, is_first: bool = False
    ) -> None:
        """`env` is put over the environment of `flotilla up` and of every command; the first start of one that `is_first`
        makes all that it needs, and not only what takes no time.
        """
        root = Path(tempfile.mkdtemp(prefix="flotilla-e2e-"))
        self.root = root
        self.folder = StateFolder(root / "state")
        self.folder.create()
        # A port that no other test's stack takes while this one is down: the engines that it left look there.
        Ports(nats=_own_port()).save(self.folder.ports_file)
        self.runtime = runtime
        self.env = dict(env or {})
        self._is_first = is_first
        self._up = self._child()

    def _child(self, *arguments: str) -> Child:
        argv = ["-I", "-m", "flotilla", "up", "--state", str(self.folder.root), "--runtime", self.runtime]
        argv += ["--port", "0", *arguments]
        return Child("up", [sys.executable, *argv], self.root / "up.log", env={**os.environ, **self.env})

    def start(self, *arguments: str, timeout_s: float = 60.0) -> Connection:
        """Starts it and returns when it is ready."""
        self.begin(*arguments)
        until(self._ready, timeout_s, "the stack")
        return self.connection

    def begin(self, *arguments: str) -> None:
        """Starts it."""
        if not self._is_first:
            first_start.give(self.folder)
        self._up = self._child(*arguments)
        self._up.start()

    def kill(self) -> None:
        """SIGKILL, to `flotilla up` alone."""
        self._up.kill()

    def send(self, number: signal.Signals) -> None:
        """A signal to `flotilla up`."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Its exit code, once it ended."""
        return self._up.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(90)

    def remove(self) -> None:
        """Ends all of it and deletes the folder."""
        if self._up.pid is None and any((self.folder.root / "sessions").glob("*-*")):
            self.start()  # engines that were left are stopped by a stack only
        if self._up.pid is not None:
            self.stop()
            assert not self._networks(), self.said()
        for network in self._networks():
            subprocess.run(["docker", "network", "rm", network], capture_output=True, check=True)
        shutil.rmtree(self.root)

    def _networks(self) -> list[str]:
        if self.runtime != "docker":
            return []
        mine = f"label=flotilla.owner={owner_of(self.folder.root)}"
        listed = ["docker", "network", "ls", "-q", "--filter", mine]
        return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()

    @property
    def pid(self) -> int:
        """Of `flotilla up`."""
        assert self._up.pid is not None, self.said()
        return self._up.pid

    @property
    def connection(self) -> Connection:
        """What it wrote for its clients."""
        return find_connection(self.folder.root)

    @property
    def token(self) -> str:
        """The administrator's."""
        return self.folder.token_file.read_text()

    def said(self) -> str:
        """Everything that `flotilla up` printed."""
        return (self.root / "up.log").read_text(errors="replace")

    def pid_of(self, name: str) -> int | None:
        """The process of a service or server, if it runs."""
        return next((pid for pid in children_of(self.pid) if PROGRAMS[name] in command_line(pid)), None)

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Kills services or servers, and keeps `flotilla up` from starting them again meanwhile."""
        victims = [self.pid_of(name) for name in names]
        self.send(signal.SIGSTOP)
        try:
            for pid in victims:
                assert pid is not None, names
                os.kill(pid, signal.SIGKILL)
            until(lambda: not any(is_running(pid) for pid in victims if pid), what="their end")
            yield
        finally:
            self.send(signal.SIGCONT)

    def cli(self, *arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """One command of the CLI on this stack."""
        return run_flotilla("--state", str(self.folder.root), *arguments, **{"env": self.env, **kwargs})

    def json(self, *arguments: str, **kwargs: Any) -> Any:
        """The JSON document that a command prints; fails unless it exits with 0."""
        done = self.cli("--json", *arguments, **kwargs)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _ready(self) -> bool:
        assert self._up.exit_code is None, self.said()
        try:
            return self.connection.pid == self._up.pid
        except FaultError:
            return False


def _own_port() -> int:
    """Below those that the kernel gives to clients."""
    return next(
        port for port in iter(lambda: random.randrange(10_000, 30_000), 0) if is_free("127.0.0.1", port)
    )


def children_of(pid: int) -> list[int]:
    """The direct children of a process; none when it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def parent_of(pid: int) -> int:
    """The process that started it, or took it over."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def command_line(pid: int) -> str:
    """How a process was started; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def processes_of(folder: Path) -> list[int]:
    """Processes that were told of a folder or run in it, but for this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended
            told = str(folder).encode() in (process / "cmdline").read_bytes()
            if told or (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    found = [pid for pid in found if pid != os.getpid()]
    # A sidecar hides where it runs from an ordinary user, but not whose child it is.
    return [*dict.fromkeys([*found, *(child for pid in found for child in children_of(pid))])]


def is_running(pid: int) -> bool:
    """False for a process that ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
