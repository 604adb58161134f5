"""Every process below the sidecar: learns how each ended, and leaves none behind."""

import asyncio
import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def adopt_orphans() -> None:
    """Makes processes whose parent died below us our children, so that an engine without zygote is still reaped."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Children:
    """Reaps what ends. An exit code is kept until somebody asks for it; negative means the signal."""

    def __init__(self) -> None:
        self._exits: dict[int, asyncio.Future[int]] = {}

    def watch(self) -> None:
        """Starts reaping; called within the running loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        self._reap()

    async def exit_code(self, pid: int) -> int:
        """Waits until the child `pid` has ended."""
        return await self._exit(pid)

    def _exit(self, pid: int) -> asyncio.Future[int]:
        if pid not in self._exits:
            self._exits[pid] = asyncio.get_running_loop().create_future()
        return self._exits[pid]

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                exit_ = self._exit(pid)
                if not exit_.done():
                    exit_.set_result(os.waitstatus_to_exitcode(status))


def kill(pid: int) -> None:
    """SIGKILL; one that is gone already is no error."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all(timeout_s: float = 2.0) -> None:
    """SIGKILL to every process below us, generation by generation as the orphans become our children."""
    deadline = time.monotonic() + timeout_s
    while (pids := _children()) and time.monotonic() < deadline:
        for pid in pids:
            kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _children() -> list[int]:
    return [
        int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()
    ]
