"""What the handlers need from outside: the engine's processes, counters, and somewhere to put what is to be told."""

from typing import Protocol

from engine_sidecar.core.usage import Usage
from engine_sidecar.link import Run, ToEngine
from schemas.telemetry import Alert, EventKind, StateChange


class EngineProcesses(Protocol):
    """The zygote and the engine that it forks. What they say and how they end comes back as messages."""

    def fork(self, run: Run) -> None:
        """Starts the engine process; what it runs is the first frame on its link."""

    def send(self, message: ToEngine) -> None:
        """Queues a frame for the engine; nothing happens when its link is closed."""

    async def has_received(self, timeout_s: float) -> bool:
        """True as soon as every queued frame was handed to the engine's process."""

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
