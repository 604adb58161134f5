"""Starts the zygote, before the sidecar imports anything else: its import of NautilusTrader takes a second of every cold start."""

import os
import socket
from collections.abc import Sequence
from typing import Final, NamedTuple

from flotilla.engine_sidecar.link.parents_end import die_with_parent

_ONE_THREAD: Final = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""A process is forked only while it has one thread."""
_LAST_WORDS: Final = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
"""What a dying engine prints reaches the log."""


class Spawned(NamedTuple):
    """A running zygote: its process, our end of its socket, and where its stdout and stderr can be read."""

    pid: int
    socket: socket.socket
    output_fd: int


def spawn_zygote(command: Sequence[str]) -> Spawned:
    """Runs `command` with the number of its socket added, in a session of its own that dies with us."""
    ours, theirs = socket.socketpair()
    output_fd, write_fd = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become([*command, str(theirs.fileno())], theirs.fileno(), write_fd, parent)
    theirs.close()
    os.close(write_fd)
    return Spawned(pid, ours, output_fd)


def _become(command: Sequence[str], socket_fd: int, write_fd: int, parent: int) -> None:
    try:
        os.setsid()
        die_with_parent(parent)
        # Our stdin carries a credential.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(write_fd, 1)
        os.dup2(write_fd, 2)
        os.set_inheritable(socket_fd, True)
        os.execvpe(command[0], list(command), {**os.environ, **_ONE_THREAD, **_LAST_WORDS})  # noqa: S606
    except BaseException as error:  # noqa: BLE001  nothing of the parent may run in the child
        os.write(2, f"the zygote could not be started: {error!r}\n".encode())
    finally:
        os._exit(127)
