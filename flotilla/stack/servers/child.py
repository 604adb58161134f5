"""A child process that ends with its parent, even when the parent is killed, and logs to a file."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from flotilla.state.environment import UMASK, of_server

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Child:
    """Started in a session of its own, so that Ctrl-C reaches the parent only, which then stops its children in order.

    Linux divides a busy machine by sessions. Each engine is two; in one session with all others a service would wait for its turn
    behind every engine: just then when many start, or are to be stopped.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log_file: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        keeps: Collection[int] = (),
        folder: Path | None = None,
    ) -> None:
        """`env` is that of a server unless it is given; `folder` is where it runs, ours unless it is given.

        `keeps` are file descriptors that stay open in the child, such as a lock that it holds with us.
        """
        self.name = name
        self.log_file = log_file
        self._stop_signal = stop_signal
        self._user = user
        self._keeps = tuple(keeps)
        self._parent = os.getpid()
        self._argv = list(argv)
        self._env = dict(env) if env is not None else of_server()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it was last seen alive."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while it runs or before the first."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Starts a process. Call it from the main thread: the parent's death is told to the thread that forked."""
        uid, gid = self._user or (None, None)
        self._parent = os.getpid()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._folder,
                umask=UMASK,
                user=uid,
                group=gid,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                pass_fds=self._keeps,
                # Runs in the child only: it sets one flag there and takes no lock.
                preexec_fn=self._die_with_parent,  # noqa: PLW1509
            )

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit code, once it ended. Raises subprocess.TimeoutExpired."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.wait(timeout_s)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Asks it to end, and kills it after `timeout_s`."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 10) -> str:
        """The last lines of its log, for an error message."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _die_with_parent(self) -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, self._stop_signal)
        if os.getppid() != self._parent:  # it died before it could be told of
            os._exit(1)
