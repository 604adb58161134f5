"""A stack of its own for figures that need one, stopped at the end."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flotilla.state.settings import Connection, find_connection


@contextmanager
def running_stack(runtime: str) -> Iterator[Connection]:
    """`flotilla up` on a fresh state folder with the runtime `docker` or `process`."""
    state = Path(tempfile.mkdtemp(prefix="flotilla-bench-"))
    flotilla = [sys.executable, "-m", "flotilla", "--state", str(state)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        subprocess.run(
            [*flotilla, "up", "--detach", "--runtime", runtime, "--port", str(port)],
            check=True,
            stdout=sys.stderr,
        )
        yield find_connection(state)
    finally:
        subprocess.run([*flotilla, "down"], check=False, stdout=sys.stderr)
        shutil.rmtree(state)


def rss_bytes(pid: int) -> int:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def pids_of(*words: str) -> list[int]:
    """The processes whose command line has all these words in a row."""
    wanted = b"\0".join(word.encode() for word in words)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if wanted in command:
            found.append(int(folder.name))
    return found


def sidecar_pid() -> int:
    """The process of the only sidecar on this machine. Raises RuntimeError when there is none, or more than one."""
    return only([pid for pid in pids_of("-m", "flotilla.engine_sidecar") if _is_sidecar(pid)])


def only(pids: list[int]) -> int:
    """The one process that was found."""
    if len(pids) != 1:
        raise RuntimeError(f"expected one such process on this machine, found {pids}")
    return pids[0]


def children_of(pid: int) -> list[int]:
    """The processes that it started and that have not been reaped."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_sidecar(pid: int) -> bool:
    """Not the shell that started it, whose command line has the same words."""
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"python" in arguments[0] and b"flotilla.engine_sidecar" in arguments
