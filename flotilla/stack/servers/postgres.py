"""PostgreSQL from its wheel, on a unix socket that only its owner can reach."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from flotilla.stack.servers.child import Child
from flotilla.stack.servers.postgres_programs import account_for, installed_programs, programs_for
from flotilla.state.environment import UMASK, of_server
from flotilla.state.errors import ServerError

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "40",
    "shared_buffers": "32MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
    # Acknowledged means on disk; said here because a test reads it.
    "fsync": "on",
    "synchronous_commit": "on",
}


class PostgresServer:
    """One PostgreSQL server on its folder, with the databases `postgres` and `flotilla`.

    The server and its clients are given the folder as an open file, named below /proc. So it may lie below folders that the
    server's account cannot enter, at any depth (a socket's path is limited to 107 bytes), under any name (each of PostgreSQL's
    programs has characters of its own that it takes for something else).
    """

    def __init__(self, folder: Path, *, keeps: Collection[int] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._inside = f"/proc/self/fd/{self._fd}"
        self._account = account_for(folder / "data")
        self._bin = programs_for(self._account)
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        argv = [str(self._bin / "postgres"), "-D", f"{self._inside}/data", "-k", f"{self._inside}/socket"]
        # SIGINT is PostgreSQL's fast shutdown: it ends sessions and checkpoints.
        self.child = Child(
            "postgres",
            [*argv, *options],
            folder / "postgres.log",
            user=self._account,
            stop_signal=signal.SIGINT,
            keeps=(*keeps, self._fd),
            folder=Path("/"),
        )

    @property
    def dsn(self) -> str:
        """How to connect to the fleet's database, for this process and others of the same user while this one lives."""
        return self.dsn_of("flotilla")

    def dsn_of(self, database: str) -> str:
        """How to connect to some database of this server."""
        return f"postgresql://postgres@/{database}?host=/proc/{os.getpid()}/fd/{self._fd}/socket"

    def start(self, timeout_s: float = 60.0) -> None:
        """Starts it, making its data folder at the first start; returns when it answers. Raises ServerError."""
        self.prepare()
        self.child.start()
        self.wait_ready(timeout_s)

    def prepare(self) -> None:
        """Makes its folders, and at the first start its data. Raises ServerError and OSError."""
        self._own(self._folder)
        self._make(self._folder / "socket")
        if not (self._folder / "data/PG_VERSION").exists():
            self._initdb()

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Returns when it answers. Raises ServerError, and kills it, when that does not happen in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.child.exit_code is None:
            if self._answers("select 1", "1"):
                self._ensure_database()
                return
            time.sleep(0.02)
        tail = self.child.log_tail()
        self.child.kill()
        raise ServerError(f"PostgreSQL did not start in {self._folder}:\n{tail}")

    def stop(self) -> None:
        """Fast shutdown."""
        self.child.stop(timeout_s=20)

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def _initdb(self) -> None:
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._make(fresh)
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        argv = [str(self._bin / "initdb"), "-D", f"{self._inside}/{fresh.name}", "-U", "postgres", *options]
        uid, gid = self._account or (None, None)
        done = self._run(argv, user=uid, group=gid)
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL's initdb failed in {self._folder}:\n{done.stderr.strip()}")
        fresh.rename(self._folder / "data")

    def _ensure_database(self) -> None:
        if self._answers("select 1 from pg_database where datname = 'flotilla'", "1"):
            return
        done = self._client("createdb", "flotilla")
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL makes no database in {self._folder}:\n{done.stderr.strip()}")

    def _answers(self, question: str, answer: str) -> bool:
        done = self._client("psql", "-XAtc", question, "postgres")
        return done.returncode == 0 and done.stdout.strip() == answer

    def _client(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        connection = ["-h", f"{self._inside}/socket", "-U", "postgres"]
        return self._run([str(installed_programs() / program), *connection, *arguments])

    def _run(
        self, argv: list[str], *, user: int | None = None, group: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=of_server(),
            umask=UMASK,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            pass_fds=(self._fd,),
            cwd="/",
        )

    def _make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self._own(folder)

    def _own(self, folder: Path) -> None:
        if self._account:
            os.chown(folder, *self._account)
