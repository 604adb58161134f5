"""Starts a session's shim, which outlives the supervisor."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.supervisor.adapters.process_folder import HEARTBEAT_FILE

_SHIM: Final = Path(__file__).with_name("session_shim.sh")
_LOCK_FD: Final = 9
_PIPE_BYTES: Final = 1 << 20
_PASSED_ON: Final = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "FLOTILLA_STRATEGY_PATH",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def spawn(folder: Path, command: tuple[str, ...], line: bytes, lock: int) -> int:
    """Starts `command` under a shim in a session of its own and returns the shim's pid.

    `line` waits on its stdin before it starts; `lock` is the held lock of the folder. Raises FaultError `too_large` for a line
    that a pipe cannot hold, and OSError.
    """
    output = os.open(folder / "output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with _filled_pipe(line) as stdin:
            return os.posix_spawn(
                "/bin/sh",
                ["sh", str(_SHIM), str(folder), *command],
                environment(folder),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                    (os.POSIX_SPAWN_DUP2, lock, _LOCK_FD),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
    finally:
        os.close(output)


@contextmanager
def _filled_pipe(line: bytes) -> Iterator[int]:
    reader, writer = os.pipe()
    try:
        try:
            _fill(writer, line)
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)


def _fill(writer: int, line: bytes) -> None:
    if len(line) > fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.set_blocking(writer, False)
    if os.write(writer, line) < len(line):
        raise fault(FaultCode.TOO_LARGE, f"a launch line of {len(line)} bytes does not fit into a pipe")


def environment(folder: Path) -> dict[str, str]:
    """What a process of ours finds, `tmp` in the folder being its home. Little of ours: what the supervisor was given is not the engine's to see."""
    scratch = str(folder / "tmp")
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        "FLOTILLA_HEARTBEAT_FILE": str(folder / HEARTBEAT_FILE),
    }
