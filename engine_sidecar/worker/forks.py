"""The zygote of a worker: forks a process per trial, hands on what it says and prints, and tells how it ended."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.bus.logs import get_logger
from flotilla.engine_sidecar.link import frames as link
from flotilla.engine_sidecar.link.frames import Exited, Forked, Frames, FromZygote, ZygoteReady, frame
from flotilla.engine_sidecar.link.trial import FromTrial, RunTrial
from flotilla.engine_sidecar.process.children import Children, kill
from flotilla.engine_sidecar.process.pipes import read_lines
from flotilla.engine_sidecar.process.spawn import Spawned

log = get_logger(__name__)

_CHUNK: Final = 256 << 10
_LAST_OUTPUT_S: Final = 1.0


class ZygoteLostError(Exception):
    """The zygote ended: no trial can be started, and none that ran is known to have ended well."""


class TrialProcess:
    """One trial's process. `frames` ends when its link does; `exit_code` is known once it was reaped."""

    def __init__(self, on_frame: Callable[[FromTrial], None], on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.on_frame, self.on_line = on_frame, on_line
        self.pid: asyncio.Future[int] = loop.create_future()
        self.exit_code: asyncio.Future[int] = loop.create_future()
        self.readers: list[asyncio.Task[None]] = []

    def kill(self) -> None:
        """SIGKILL, if it was started and has not ended."""
        if self.pid.done() and not self.exit_code.done():
            kill(self.pid.result())

    async def ended(self) -> int:
        """Its exit code, after everything that it left was handed on. Raises ZygoteLostError."""
        code = await self.exit_code
        if self.readers:
            await asyncio.wait(self.readers, timeout=_LAST_OUTPUT_S)
        return code


class Forks:
    """All trials of one worker. `is_lost`: the zygote ended, or is about to."""

    def __init__(self, spawned: Spawned, children: Children) -> None:
        spawned.socket.setblocking(False)
        self._spawned = spawned
        self._children = children
        self._starting: deque[TrialProcess] = deque()
        self._running: dict[int, TrialProcess] = {}
        self.is_ready = asyncio.Event()
        self.is_lost = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The zygote and the trials that run."""
        return (self._spawned.pid, *self._running)

    async def run(self, on_line: Callable[[str], None]) -> int:
        """Listens until the zygote ends; returns its exit code."""
        async with asyncio.TaskGroup() as self._tasks:
            output = self._tasks.create_task(read_lines(self._spawned.output_fd, on_line), name="zygote")
            await self._follow(on_line)
            self.is_lost = True
            kill(self._spawned.pid)
            code = await self._children.exit_code(self._spawned.pid)
            self._lose()
            output.cancel()
        return code

    def start(self, order: RunTrial, trial: TrialProcess) -> None:
        """Has the trial's process forked. Raises ZygoteLostError."""
        ours, theirs = socket.socketpair()
        outputs = [os.pipe(), os.pipe()]
        given = [theirs.fileno(), *(write_fd for _, write_fd in outputs)]
        try:
            socket.send_fds(self._spawned.socket, [frame(link.Fork(is_trial=True))], given)
        except OSError as error:
            self.is_lost = True
            raise ZygoteLostError(repr(error)) from error
        finally:
            theirs.close()
            for _, write_fd in outputs:
                os.close(write_fd)
        self._starting.append(trial)
        for read_fd, _ in outputs:
            self._read(trial, read_lines(read_fd, trial.on_line))
        self._read(trial, self._converse(ours, frame(order), trial))

    def _read(self, trial: TrialProcess, reading: "asyncio._CoroutineLike[None]") -> None:
        trial.readers.append(self._tasks.create_task(reading, name="trial"))

    async def _converse(self, ours: socket.socket, order: bytes, trial: TrialProcess) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames[FromTrial](FromTrial)
        ours.setblocking(False)
        with ours:
            try:
                await loop.sock_sendall(ours, order)
                while data := await loop.sock_recv(ours, _CHUNK):
                    for message in frames.feed(data):
                        trial.on_frame(message)
            except (OSError, ValueError, msgspec.DecodeError) as error:
                log.warning("a trial cannot be understood", error=repr(error))
                trial.kill()

    async def _follow(self, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames[FromZygote](FromZygote)
        try:
            while data := await loop.sock_recv(self._spawned.socket, 4096):
                for message in frames.feed(data):
                    self._hear(message)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            on_line(f"the zygote cannot be understood: {error!r}")

    def _hear(self, message: FromZygote) -> None:
        match message:
            case ZygoteReady():
                self.is_ready.set()
            case Forked(pid=pid):
                trial = self._starting.popleft()
                self._running[pid] = trial
                trial.pid.set_result(pid)
            case Exited(pid=pid, exit_code=exit_code):
                self._running.pop(pid).exit_code.set_result(exit_code)

    def _lose(self) -> None:
        lost = ZygoteLostError("the process that trials are forked from ended")
        for trial in (*self._starting, *self._running.values()):
            trial.kill()
            for future in (trial.pid, trial.exit_code):
                if not future.done():
                    future.set_exception(lost)
                    future.exception()  # somebody may wait for only one of the two
