"""The sidecar's side of the zygote: has it fork engines and trials, and hears from it how they ended."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.engine_sidecar.link.frames import (
    Exited,
    Fork,
    Forked,
    Frames,
    FromEngine,
    FromZygote,
    Run,
    ToEngine,
    ZygoteReady,
    frame,
)
from flotilla.engine_sidecar.link.messages import LinkClosed, ZygoteGone
from flotilla.engine_sidecar.process.children import Children, kill
from flotilla.engine_sidecar.process.forked import ForkedProcess, Link, read_lines
from flotilla.engine_sidecar.process.ports import Heard
from flotilla.engine_sidecar.process.spawn import Spawned

END_S: Final = 0.5
"""What a zygote that closed its socket may take to end by itself, and its last lines to come."""
_CHUNK: Final = 4096


class ZygoteLostError(Exception):
    """The zygote ended: no process can be started, and it is not known how those that it forked ended."""


class ZygoteClient:
    """The zygote and all that it forked. `is_lost`: it ended, or is about to; then `exit_code` follows."""

    def __init__(self, spawned: Spawned, children: Children) -> None:
        spawned.socket.setblocking(False)
        self._spawned = spawned
        self._children = children
        self._starting: deque[ForkedProcess] = deque()
        self._running: dict[int, ForkedProcess] = {}
        self.is_ready = asyncio.Event()
        self.is_lost = False
        self.exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def pids(self) -> tuple[int, ...]:
        """The zygote and the processes that run, as far as is known."""
        return (self._spawned.pid, *self._running)

    async def run(
        self, on_message: Callable[[FromZygote | ZygoteGone], None], on_line: Callable[[str], None]
    ) -> None:
        """Listens until it is cancelled."""
        self._children.watch()
        async with asyncio.TaskGroup() as self._tasks:
            output = self._tasks.create_task(
                read_lines(self._spawned.output_fd, on_line), name="zygote output"
            )
            await self._follow(on_message, on_line)
            self.is_lost = True
            self._lose_trials()
            # Without its socket it is of no use; what it leaves becomes our children. One that is just ending by
            # itself may do so: its own exit code says why.
            ended = self._tasks.create_task(self._children.exit_code(self._spawned.pid), name="zygote end")
            await asyncio.wait({ended}, timeout=END_S)
            if not ended.done():
                self.kill()
            for pid in self._running:
                self._tasks.create_task(self._await_orphan(pid, on_message), name="orphan")
            exit_code = await ended
            await asyncio.wait({output}, timeout=END_S)
            self.exit_code.set_result(exit_code)
            on_message(ZygoteGone(exit_code))

    async def _follow(
        self, on_message: Callable[[FromZygote | ZygoteGone], None], on_line: Callable[[str], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames[FromZygote](FromZygote)
        try:
            while data := await loop.sock_recv(self._spawned.socket, _CHUNK):
                for message in frames.feed(data):
                    self._note(message)
                    on_message(message)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            on_line(f"the zygote cannot be understood: {error!r}")

    async def _await_orphan(self, pid: int, on_message: Callable[[FromZygote | ZygoteGone], None]) -> None:
        exited = Exited(pid, await self._children.exit_code(pid))
        self._note(exited)
        on_message(exited)

    def _note(self, message: FromZygote) -> None:
        match message:
            case ZygoteReady():
                self.is_ready.set()
            case Forked(pid=pid) if self._starting:
                self._running[pid] = process = self._starting.popleft()
                if not process.pid.done():
                    process.pid.set_result(pid)
            case Exited(pid=pid, exit_code=exit_code) if pid in self._running:
                process = self._running.pop(pid)
                if not process.exit_code.done():
                    process.exit_code.set_result(exit_code)

    def fork[M](
        self,
        messages: object,
        on_message: Callable[[M | LinkClosed], None],
        on_line: Callable[[str], None],
        *,
        is_trial: bool = False,
        tcp_ports: tuple[int, ...] | None = (),
    ) -> ForkedProcess:
        """Has a process forked that says `messages`. One that a lost zygote cannot fork is lost itself.

        It may make TCP connections to `tcp_ports` only, None being all.
        """
        ours, theirs = socket.socketpair()
        outputs = [os.pipe(), os.pipe()]
        process = ForkedProcess(Link(ours), is_trial=is_trial)
        given = [theirs.fileno(), *(write_fd for _, write_fd in outputs)]
        try:
            socket.send_fds(self._spawned.socket, [frame(Fork(is_trial, tcp_ports))], given)
        except OSError as error:
            self.is_lost = True
            on_line(f"the zygote takes no orders: {error!r}")
            process.lose(ZygoteLostError(repr(error)))
            process.link.close()
            for read_fd, _ in outputs:
                os.close(read_fd)
        else:
            self._starting.append(process)
            for read_fd, _ in outputs:
                self._read(process, read_lines(read_fd, on_line), "output")
            self._read(process, process.link.run(messages, on_message), "link")
        theirs.close()
        for _, write_fd in outputs:
            os.close(write_fd)
        return process

    def _read(self, process: ForkedProcess, reading: "asyncio._CoroutineLike[None]", name: str) -> None:
        process.readers.append(self._tasks.create_task(reading, name=name))

    def kill(self) -> None:
        """SIGKILL to the zygote; what it forked becomes our child, whose exit is told as if the zygote told it."""
        kill(self._spawned.pid)

    def _lose_trials(self) -> None:
        # An engine is not killed here: what becomes of one that lives is decided where its session is.
        for process in (*self._starting, *self._running.values()):
            if process.is_trial:
                process.lose(ZygoteLostError("the process that trials are forked from ended"))


class ForkedEngine:
    """An EngineProcesses: the zygote and the one engine that it forks."""

    def __init__(self, zygote: ZygoteClient) -> None:
        self._zygote = zygote
        self._engine: ForkedProcess | None = None

    async def run(self, on_message: Callable[[Heard], None], on_line: Callable[[str], None]) -> None:
        """Hands on what they say and print, and how they end, until it is cancelled."""
        self._on_message = on_message
        self._on_line = on_line
        await self._zygote.run(on_message, on_line)

    async def drain(self, timeout_s: float) -> None:
        """Waits until everything that the engine left in its link and pipes was handed on."""
        if self._engine is not None:
            await self._engine.drain(timeout_s)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the session that live, as far as is known."""
        return self._zygote.pids

    def fork(self, run: Run, tcp_ports: tuple[int, ...] | None) -> None:
        """See EngineProcesses."""
        self._engine = self._zygote.fork(FromEngine, self._on_message, self._on_line, tcp_ports=tcp_ports)
        self.send(run)

    def send(self, message: ToEngine) -> None:
        """Queues a frame for the engine; nothing happens when its link is closed."""
        if self._engine is not None:
            self._engine.link.send(message)

    def kill_engine(self) -> None:
        """SIGKILL; no engine, no error."""
        if self._engine is not None:
            self._engine.kill()

    def kill_zygote(self) -> None:
        """SIGKILL to the zygote; how an engine of its own then ends is told all the same."""
        self._zygote.kill()
