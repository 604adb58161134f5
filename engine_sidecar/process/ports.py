"""What the handlers need from outside: the engine's processes, counters, and somewhere to put what is to be told."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from flotilla.bus.alive import since_boot
from flotilla.bus.bus import Bus, connect
from flotilla.bus.settings import BusSettings
from flotilla.engine_sidecar.link.frames import FromEngine, FromZygote, Run, ToEngine
from flotilla.engine_sidecar.link.messages import LinkClosed, ZygoteGone
from flotilla.engine_sidecar.process.usage import Usage
from flotilla.schemas.telemetry import Alert, EventKind, StateChange

type Heard = FromEngine | FromZygote | LinkClosed | ZygoteGone


class EngineProcesses(Protocol):
    """The zygote and the engine that it forks. What they say and how they end comes back as messages."""

    async def run(self, on_message: Callable[[Heard], None], on_line: Callable[[str], None]) -> None:
        """Hands on what they say and print, and how they end, until it is cancelled."""

    async def drain(self, timeout_s: float) -> None:
        """Waits until everything that the engine left in its link and pipes was handed on."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the session that live, as far as is known."""

    def fork(self, run: Run, tcp_ports: tuple[int, ...] | None) -> None:
        """Starts the engine process; what it runs is the first frame on its link. It may connect to `tcp_ports`, None being all."""

    def send(self, message: ToEngine) -> None:
        """Queues a frame for the engine; nothing happens when its link is closed."""

    def kill_engine(self) -> None:
        """SIGKILL; no engine, no error."""

    def kill_zygote(self) -> None:
        """SIGKILL to the zygote; how an engine of its own then ends is told all the same."""


class Meter(Protocol):
    """The session's own counters."""

    def read(self) -> Usage | None:
        """The counters now; None when they cannot be read."""

    def oom_kills(self) -> int:
        """How often the kernel killed for memory where the session runs."""


class Record(Protocol):
    """Where durable events go."""

    def write(self, data: StateChange | Alert) -> None:
        """Something that the sidecar tells of itself."""

    def copy(self, kind: EventKind, data: bytes) -> None:
        """Something that the engine told; what cannot be read is told as an alert instead."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the bus as a sidecar finds them: `now` never steps, `now_ns` is the wall clock, `stdout` is ours."""

    stdout: int
    connect: Callable[[BusSettings], Awaitable[Bus]] = connect
    now: Callable[[], float] = since_boot
    now_ns: Callable[[], int] = time.time_ns
