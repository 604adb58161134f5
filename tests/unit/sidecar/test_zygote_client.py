"""What becomes of engines and trials when the zygote that forked them is gone."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from flotilla.engine_sidecar.link.frames import Exited, Forked, FromEngine, Reduce, ZygoteReady, frame
from flotilla.engine_sidecar.link.messages import ZygoteGone
from flotilla.engine_sidecar.link.trial import FromTrial
from flotilla.engine_sidecar.process.children import Children
from flotilla.engine_sidecar.process.spawn import Spawned
from flotilla.engine_sidecar.process.zygote_client import ZygoteClient, ZygoteLostError

ZYGOTE_PID = 1 << 30
"""Of no process."""


class Reaped(Children):
    """Knows at once how each process ended: the tests have no children of their own to reap."""

    def watch(self) -> None:
        pass

    async def exit_code(self, pid: int) -> int:
        return 1 if pid == ZYGOTE_PID else -signal.SIGKILL


class Zygote:
    """The other end of a client's socket, and what the client heard from it."""

    def __init__(self) -> None:
        self._ours, self.socket = socket.socketpair()
        output_fd, self._write_fd = os.pipe()
        self.client = ZygoteClient(Spawned(ZYGOTE_PID, self._ours, output_fd), Reaped())
        self.heard: list[object] = []
        self.lines: list[str] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.client.run(self.heard.append, self.lines.append))
            await asyncio.sleep(0)
            yield
            task.cancel()
        self._ours.close()

    def say(self, *messages: object) -> None:
        self.socket.sendall(b"".join(map(frame, messages)))

    def end(self) -> None:
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while fds := socket.recv_fds(self.socket, 4096, 3)[1]:
                for fd in fds:
                    os.close(fd)
        os.write(self._write_fd, b"last words\n")
        os.close(self._write_fd)
        self.socket.close()

    async def until_heard(self, message: object) -> None:
        async with asyncio.timeout(10):
            while message not in self.heard:
                await asyncio.sleep(0.01)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


async def test_trials_end_with_their_zygote_and_nobody_says_how(sleeper: subprocess.Popen[bytes]) -> None:
    zygote = Zygote()
    async with zygote.listening():
        trials = [
            zygote.client.fork(FromTrial, zygote.heard.append, zygote.lines.append, is_trial=True)
            for _ in range(2)
        ]
        zygote.say(ZygoteReady(0.1), Forked(sleeper.pid))
        await zygote.until_heard(Forked(sleeper.pid))
        assert (zygote.client.is_ready.is_set(), trials[0].running_pid) == (True, sleeper.pid)
        zygote.end()
        await zygote.until_heard(ZygoteGone(1))
        for trial in trials:
            with pytest.raises(ZygoteLostError):
                await trial.exit_code
        assert await asyncio.to_thread(sleeper.wait, 10) == -signal.SIGKILL
        assert (zygote.client.exit_code.result(), zygote.client.is_lost) == (1, True)
        assert zygote.lines == ["last words"]


async def test_an_engine_is_left_to_its_sidecar_and_its_end_is_told(sleeper: subprocess.Popen[bytes]) -> None:
    zygote = Zygote()
    async with zygote.listening():
        engine = zygote.client.fork(FromEngine, zygote.heard.append, zygote.lines.append)
        zygote.say(Forked(sleeper.pid))
        await zygote.until_heard(Forked(sleeper.pid))
        zygote.end()
        await zygote.until_heard(Exited(sleeper.pid, -signal.SIGKILL))
        assert await engine.exit_code == -signal.SIGKILL
        assert sleeper.poll() is None


async def test_a_process_that_a_lost_zygote_cannot_fork_is_lost_itself() -> None:
    zygote = Zygote()
    async with zygote.listening():
        zygote.end()
        await zygote.until_heard(ZygoteGone(1))
        trial = zygote.client.fork(FromTrial, zygote.heard.append, zygote.lines.append, is_trial=True)
        with pytest.raises(ZygoteLostError):
            await trial.pid
        trial.link.send(Reduce())
        await trial.drain(1.0)
        trial.kill()
        assert "takes no orders" in zygote.lines[-1]


async def test_a_zygote_that_says_more_than_was_asked_is_followed_all_the_same() -> None:
    zygote = Zygote()
    async with zygote.listening():
        zygote.say(Forked(5), Exited(5, 0), Exited(6, 0), ZygoteReady(0.1))
        await zygote.until_heard(ZygoteReady(0.1))
        assert zygote.client.pids == (ZYGOTE_PID,)
        zygote.end()
