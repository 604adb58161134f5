"""The sidecar's side of the zygote: has it fork the engine process, and hears from it how that ended."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from flotilla.engine_sidecar.link import frames as link
from flotilla.engine_sidecar.link.frames import Exited, Forked, Frames, FromZygote, Run, ToEngine, frame
from flotilla.engine_sidecar.link.messages import ZygoteGone
from flotilla.engine_sidecar.process.children import Children, kill
from flotilla.engine_sidecar.process.engine_link import EngineLink
from flotilla.engine_sidecar.process.pipes import read_lines
from flotilla.engine_sidecar.process.ports import Heard
from flotilla.engine_sidecar.process.spawn import Spawned

END_S: Final = 0.5
"""What a zygote that closed its socket may take to end by itself."""
_CHUNK: Final = 4096


class Zygote:
    """The zygote and its one engine. What they say, print, and how they end goes to the callbacks of `run`."""

    def __init__(self, spawned: Spawned, children: Children) -> None:
        spawned.socket.setblocking(False)
        self._pid = spawned.pid
        self._socket = spawned.socket
        self._output_fd = spawned.output_fd
        self._children = children
        self._link: EngineLink | None = None
        self._engine_pid: int | None = None
        self._readers: list[asyncio.Task[None]] = []

    async def run(self, on_message: Callable[[Heard], None], on_line: Callable[[str], None]) -> None:
        """Listens until it is cancelled."""
        self._children.watch()
        self._on_message = on_message
        self._on_line = on_line
        async with asyncio.TaskGroup() as self._tasks:
            output = self._tasks.create_task(read_lines(self._output_fd, on_line), name="zygote output")
            await self._follow()
            # Without its socket it is of no use; an engine that it leaves becomes our child. One that is just ending by
            # itself may do so: its own exit code says why.
            ended = self._tasks.create_task(self._children.exit_code(self._pid), name="zygote end")
            await asyncio.wait({ended}, timeout=END_S)
            if not ended.done():
                self.kill_zygote()
            self._readers.append(output)
            if self._engine_pid is not None:
                self._tasks.create_task(self._await_orphan(self._engine_pid), name="orphan")
            on_message(ZygoteGone(await ended))

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames[FromZygote](FromZygote)
        try:
            while data := await loop.sock_recv(self._socket, _CHUNK):
                for message in frames.feed(data):
                    self._hear(message)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            self._on_line(f"the zygote cannot be understood: {error!r}")

    def _hear(self, message: FromZygote) -> None:
        match message:
            case Forked(pid=pid):
                self._engine_pid = pid
            case Exited():
                self._engine_pid = None
        self._on_message(message)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the session that live, as far as is known."""
        return (self._pid,) if self._engine_pid is None else (self._pid, self._engine_pid)

    def fork(self, run: Run) -> None:
        """Starts the engine process; what it runs is the first frame on its link."""
        ours, theirs = socket.socketpair()
        outputs = [os.pipe(), os.pipe()]
        given = [theirs.fileno(), *(write_fd for _, write_fd in outputs)]
        try:
            socket.send_fds(self._socket, [frame(link.Fork())], given)
        except OSError as error:
            self._on_line(f"the zygote takes no orders: {error!r}")
        theirs.close()
        for read_fd, write_fd in outputs:
            os.close(write_fd)
            self._read(read_lines(read_fd, self._on_line), "engine output")
        self._link = EngineLink(ours)
        self._read(self._link.run(self._on_message), "engine link")
        self.send(run)

    def send(self, message: ToEngine) -> None:
        """Queues a frame for the engine; nothing happens when its link is closed."""
        if self._link is not None:
            self._link.send(message)

    async def has_received(self, timeout_s: float) -> bool:
        """True as soon as every queued frame was handed to the engine's process."""
        return self._link is not None and await self._link.has_sent(timeout_s)

    def kill_engine(self) -> None:
        """SIGKILL; no engine, no error."""
        if self._engine_pid is not None:
            kill(self._engine_pid)

    def kill_zygote(self) -> None:
        """SIGKILL to the zygote; its engine becomes our child, and its exit is told as if the zygote had told it."""
        kill(self._pid)

    async def drain(self, timeout_s: float) -> None:
        """Waits until everything that the engine left in its link and pipes was handed on."""
        if self._readers:
            await asyncio.wait(self._readers, timeout=timeout_s)

    async def _await_orphan(self, pid: int) -> None:
        exit_code = await self._children.exit_code(pid)
        self._hear(Exited(pid, exit_code))

    def _read(self, reading: "asyncio._CoroutineLike[None]", name: str) -> None:
        self._readers.append(self._tasks.create_task(reading, name=name))
