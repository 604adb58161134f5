"""A real zygote and the engine processes it forks, without a sidecar or a bus: the tests speak the link's frames themselves."""

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flotilla.engine_sidecar.link.frames import (
    Ended,
    Exited,
    Fork,
    Forked,
    Frames,
    FromEngine,
    FromZygote,
    Happened,
    Measured,
    Phase,
    Run,
    ZygoteReady,
    frame,
)
from flotilla.engine_sidecar.session.core.outbound import tcp_ports
from flotilla.schemas.session import EnginePlan
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineMetrics, EventKind

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class EngineProcess:
    """One forked engine, which may connect to `ports`. Frames are kept in `heard`, lines of its log in `log`."""

    def __init__(self, zygote: "ZygoteProcess", ports: tuple[int, ...] | None = ()) -> None:
        self._zygote = zygote
        self.link, theirs = socket.socketpair()
        zygote.engines.append(self)
        read_fd, write_fd = os.pipe()
        self.heard: list[FromEngine] = []
        self.log: list[str] = []
        self._is_deaf = False
        self._pending: deque[FromEngine] = deque()
        self._frames: Frames[FromEngine] = Frames(FromEngine)
        self.forked_at = time.monotonic()
        socket.send_fds(zygote.socket, [frame(Fork(tcp_ports=ports))], [theirs.fileno(), write_fd, write_fd])
        theirs.close()
        os.close(write_fd)
        self._reader = threading.Thread(target=self._read_log, args=(read_fd,), daemon=True)
        self._reader.start()
        self.pid = zygote.until(Forked).pid

    def _read_log(self, fd: int) -> None:
        with os.fdopen(fd, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if self._is_deaf:
                    return

    def lose(self) -> None:
        """Goes away as a killed sidecar does: the link is closed, and so is the log from its next line on."""
        self._is_deaf = True
        self.link.close()

    def send(self, message: object) -> None:
        self.link.sendall(frame(message))

    def until[T](self, done: Callable[[FromEngine], T | None], timeout_s: float = 20.0) -> T:
        """What `done` first returns other than None or False, asked of each frame not asked of before."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self._pending:
                self.heard.append(self._pending.popleft())
                if answer := done(self.heard[-1]):
                    return answer
            self._receive(deadline - time.monotonic())

    def _receive(self, timeout_s: float) -> None:
        if timeout_s <= 0 or not select.select([self.link], [], [], timeout_s)[0]:
            raise TimeoutError(
                f"not heard in time; the log ends with {self.log[-15:]}; last: {self.heard[-5:]}"
            )
        data = self.link.recv(1 << 20)
        if not data:
            last = next((item for item in reversed(self.heard) if isinstance(item, Ended)), None)
            raise ConnectionError(f"the link closed after {last}; the log ends with {self.log[-15:]}")
        self._pending.extend(self._frames.feed(data))

    def until_state(self, state: RunState, timeout_s: float = 20.0) -> float:
        """Seconds from the fork until the engine entered `state`."""
        self.until(lambda message: isinstance(message, Phase) and message.state is state, timeout_s)
        return time.monotonic() - self.forked_at

    def until_ended(self, timeout_s: float = 20.0) -> tuple[Ended, int]:
        """Its last word and its exit code."""
        ended = self.until(lambda message: message if isinstance(message, Ended) else None, timeout_s)
        code = self.until_exited(timeout_s)
        self._reader.join(5)
        return ended, code

    def until_exited(self, timeout_s: float = 20.0) -> int:
        return self._zygote.until(Exited, timeout_s, lambda exited: exited.pid == self.pid).exit_code

    def events(self, kind: EventKind) -> list[dict[str, Any]]:
        """The events of one kind that were heard so far."""
        return [
            json.loads(item.data) for item in self.heard if isinstance(item, Happened) and item.kind is kind
        ]

    def metrics(self) -> list[EngineMetrics]:
        return [
            msgspec.json.decode(item.data, type=EngineMetrics)
            for item in self.heard
            if isinstance(item, Measured)
        ]


class ZygoteProcess:
    """A zygote that has imported NautilusTrader; `through` is the program that starts it, with what that is given, if there is one."""

    def __init__(self, through: Sequence[str] = ()) -> None:
        self.socket, theirs = socket.socketpair()
        self._frames: Frames[FromZygote] = Frames(FromZygote)
        self._waiting: list[FromZygote] = []
        self.engines: list[EngineProcess] = []
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", "flotilla.engine_sidecar.fork.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
        )
        theirs.close()
        self.import_s = self.until(ZygoteReady, 60).import_s

    def until[T](
        self, kind: type[T], timeout_s: float = 20.0, is_meant: Callable[[T], bool] = lambda message: True
    ) -> T:
        """The next message of one kind that is meant; others are kept for later."""
        deadline = time.monotonic() + timeout_s
        while True:
            for message in self._waiting:
                if isinstance(message, kind) and is_meant(message):
                    self._waiting.remove(message)
                    return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError(f"the zygote did not say {kind.__name__}")
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the zygote is gone")
            self._waiting.extend(self._frames.feed(data))

    def fork(self, run: Run) -> EngineProcess:
        engine = EngineProcess(self, tcp_ports(run.plan, run.cache))
        engine.send(run)
        return engine

    def close(self) -> int:
        """Closes its socket and its engines' links, and returns its exit code."""
        for engine in self.engines:
            engine.link.close()
        self.socket.close()
        return self.process.wait(20)


@contextmanager
def zygote_process(through: Sequence[str] = ()) -> Iterator[ZygoteProcess]:
    zygote = ZygoteProcess(through)
    try:
        yield zygote
    finally:
        zygote.close()


def sandbox_node(**replay: Any) -> dict[str, Any]:
    """The node of the sandbox template with its defaults, up after its data's end; `replay` goes to the replay's config."""
    template = json.loads((ROOT / "templates/engines/sandbox_engine.json").read_text())
    values: dict[str, Any] = {
        name: parameter.get("default") for name, parameter in template["parameters"].items()
    }
    values |= {
        "trader_id": "ENGINE-001",
        "log_level": "INFO",
        "on_end": "idle",
        "base_currency": "USD",
        "replay_venue": "SIM",
    } | replay
    node: dict[str, Any] = fill_in(template["node"], values)
    return node


def fill_in(node: Any, values: dict[str, Any]) -> Any:
    """What the orchestrator's renderer does, in short."""
    match node:
        case dict():
            return {fill_in(key, values): fill_in(value, values) for key, value in node.items()}
        case list():
            return [fill_in(value, values) for value in node]
        case str() if node.startswith("{") and node.endswith("}"):
            return values[node[1:-1]]
        case str():
            return node.format_map(values)
    return node


def ema_cross(**parameters: Any) -> dict[str, Any]:
    """The strategy template with its defaults."""
    return from_template("ema_cross", **parameters)


def from_template(name: str, **parameters: Any) -> dict[str, Any]:
    """A strategy template with its defaults; what has none is null."""
    template = json.loads((ROOT / f"templates/strategies/{name}.json").read_text())
    values = {key: parameter.get("default") for key, parameter in template["parameters"].items()}
    return {
        "strategy_path": template["strategy_path"],
        "config_path": template["config_path"],
        "config": fill_in(template["config"], values | parameters),
    }


def run_of(catalog: Path, node: dict[str, Any], *strategies: dict[str, Any], **fields: Any) -> Run:
    """A Run frame of a sandbox plan."""
    plan = EnginePlan(
        trader_id="ENGINE-001",
        node=node,
        strategies=strategies,
        exec_factories={"SIM": "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"},
    )
    given = {"plan": plan, "stop_timeout_s": 10.0} | fields
    return Run(
        instance_id="engine-1", session_id="session-1", catalog_path=str(catalog), log_level="INFO", **given
    )
