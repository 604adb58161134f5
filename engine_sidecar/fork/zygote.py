"""`python -m flotilla.engine_sidecar.fork.zygote FD`: imports NautilusTrader once, then forks engine processes that start in a moment.

It imports and does nothing else: a catalog query, a node, a logger or a thread before the fork leaves every child hanging.
The socket FD is a unix stream to the sidecar; requests are `link.Fork` frames with three file descriptors each.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from flotilla.engine_sidecar.confinement.confine import KernelLocks, confine
from flotilla.engine_sidecar.confinement.system_calls import hide_memory
from flotilla.engine_sidecar.link.frames import Exited, Fork, Forked, Frames, FromZygote, ZygoteReady, frame
from flotilla.engine_sidecar.link.parents_end import signal_at_parents_end
from flotilla.engine_sidecar.strategies.import_path import extend_path
from flotilla.schemas.environment import ENGINE_FOLDERS

_FDS_PER_FORK: Final = 3
_NICE: Final = 15
"""How far what is forked stands back behind its sidecar, where they have a container, and its share of the host, to themselves."""


class Runner(NamedTuple):
    """What a child runs on its link, and what the kernel sends it when the zygote dies."""

    main: Callable[[socket.socket], int]
    at_parents_end: signal.Signals


class Zygote:
    """Forks on request and reports how its children end; `run` returns when the sidecar is gone."""

    def __init__(
        self, sidecar: socket.socket, locks: KernelLocks, folders: Collection[Path] | None = None
    ) -> None:
        """`folders` are all that its children may write below, None being everything; there are some in a container only."""
        self._sidecar = sidecar
        self._locks = locks
        self._folders = folders
        self._selector = selectors.DefaultSelector()
        self._selector.register(sidecar, selectors.EVENT_READ)
        self._frames: Frames[Fork] = Frames(Fork)

    def run(self) -> None:
        """Serves until the sidecar's end of the socket closes; children see that on their own links."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._sidecar:
                    self._reap(key.fd, key.data)
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._sidecar, 4096, _FDS_PER_FORK)
        except ConnectionResetError:
            return False
        for request in self._frames.feed(data):
            self._fork(fds, request, _runner(is_trial=request.is_trial))
        return bool(data)

    def _fork(self, fds: list[int], request: Fork, run: Runner) -> None:
        zygote = os.getpid()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            pid = os.fork()  # Python warns of pyarrow's allocator thread, which is made for forks
        if pid == 0:
            self._become(fds, zygote, request, run)
        for fd in fds:
            os.close(fd)
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        self._say(Forked(pid))

    def _become(self, fds: list[int], zygote: int, request: Fork, run: Runner) -> None:
        code = 1
        try:
            signal_at_parents_end(zygote, run.at_parents_end)
            self._leave()
            link, *outputs = fds
            for number, fd in enumerate(outputs, start=1):
                os.dup2(fd, number)
                os.close(fd)
            if self._folders is not None:
                os.nice(_NICE)
            # While it has one thread, and nothing of the strategies' in it.
            confine(self._locks, request.tcp_ports, folders=self._folders)
            code = run.main(socket.socket(fileno=link))
        except BaseException:  # noqa: BLE001 - nothing of the zygote may run on in its child
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):  # nobody may be left to read
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _leave(self) -> None:
        """Closes what belongs to the zygote: its sidecar, its selector, its other children."""
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _reap(self, pidfd: int, pid: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        # What a trial forked is of its group. The number is still its own: nobody has waited for it yet.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._say(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _say(self, message: FromZygote) -> None:
        with contextlib.suppress(BrokenPipeError):  # the next read tells that the sidecar is gone
            self._sidecar.sendall(frame(message))


def _runner(*, is_trial: bool) -> Runner:
    """What the child runs. Its imports happen here, before the fork: those of a trial once, at the first one."""
    if is_trial:
        from flotilla.engine_sidecar.backtest import process  # noqa: PLC0415

        return Runner(process.run, signal.SIGKILL)
    from flotilla.engine_sidecar.engine import nautilus_live  # noqa: PLC0415 - imported by main already

    # Not SIGKILL: an engine that is left alone cancels its orders first. One that was stopped must wake up for that.
    return Runner(nautilus_live.run, signal.SIGCONT)


def main(arguments: list[str]) -> int:
    """Imports, tells the sidecar, serves."""
    hide_memory()
    # Ctrl-C and a terminal's hang-up reach the whole group; the sidecar decides what follows from them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    began = time.monotonic()
    # As gc.freeze is documented. To look through what was imported, meanwhile and at the end, took 80 ms and gave no memory back.
    gc.disable()
    from flotilla.engine_sidecar.engine import preload  # noqa: F401, PLC0415 - the second that this costs is what a zygote is for

    extend_path()
    gc.freeze()
    gc.enable()
    sidecar = socket.socket(fileno=int(arguments[0]))
    locks = KernelLocks.offered()
    locks.prepare()
    if locks.shortcoming:
        print(f"WARNING: {locks.shortcoming}", file=sys.stderr, flush=True)
    cannot_confine = "" if locks.is_enough else locks.shortcoming
    sidecar.sendall(frame(ZygoteReady(time.monotonic() - began, cannot_confine)))
    Zygote(sidecar, locks, ENGINE_FOLDERS.given()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
