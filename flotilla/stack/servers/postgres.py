"""PostgreSQL from its wheel, on a unix socket that only its owner can reach, and that asks everybody for a password."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from flotilla.bus.files import write_whole
from flotilla.bus.scram import scram_verifier
from flotilla.stack.servers.child import Child
from flotilla.stack.servers.postgres_programs import Account, account_for, installed_programs, programs_for
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
SUPERUSER: Final = "postgres"
LOGIN: Final = "flotilla_orchestrator"
"""What the orchestrator connects as; see services/orchestrator/adapters/queries/own_roles.sql."""
NOTIFIER_LOGIN: Final = "flotilla_notifier"
"""The same for the notifier."""
_LOGINS: Final = (SUPERUSER, LOGIN, NOTIFIER_LOGIN)
_COLLECTED_S: Final = 10.0
_HBA: Final = "# Written by flotilla. The passwords stand in the .pgpass files beside this folder.\nlocal all all scram-sha-256\n"
_ADD_LOGINS: Final = [
    f"do $$ begin if not exists (select from pg_roles where rolname = '{login}')"
    f" then create role {login} login; end if; end $$"
    for login in (LOGIN, NOTIFIER_LOGIN)
]


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
        """How to connect to the fleet's database as its superuser, for this process and others of the same user while this one lives."""
        return self.dsn_of("flotilla")

    @property
    def login_dsn(self) -> str:
        """The same for the orchestrator."""
        return self.dsn_of("flotilla", LOGIN)

    @property
    def notifier_dsn(self) -> str:
        """The same for the notifier."""
        return self.dsn_of("flotilla", NOTIFIER_LOGIN)

    def dsn_of(self, database: str, login: str = SUPERUSER) -> str:
        """How to connect to some database of this server. It says where the password is, not what."""
        inside = f"/proc/{os.getpid()}/fd/{self._fd}"
        return f"postgresql://{login}@/{database}?host={inside}/socket&passfile={inside}/{login}.pgpass"

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
        self._let_the_last_go()
        if not self._demands_passwords():
            self._demand_passwords()

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

    def _let_the_last_go(self) -> None:
        """Returns once a server that was killed is no process any more. PostgreSQL takes it for one that runs until whoever took it over
        has collected it, which takes some first processes of a machine seconds.
        """
        deadline = time.monotonic() + _COLLECTED_S
        while time.monotonic() < deadline and _is_uncollected(self._folder / "data/postmaster.pid"):
            time.sleep(0.02)

    def _initdb(self) -> None:
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._make(fresh)
        # Whom it lets in is said below.
        options = ["--auth=reject", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        argv = [str(self._bin / "initdb"), "-D", f"{self._inside}/{fresh.name}", "-U", SUPERUSER, *options]
        done = self._run(argv, account=self._account)
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL's initdb failed in {self._folder}:\n{done.stderr.strip()}")
        fresh.rename(self._folder / "data")

    def _demands_passwords(self) -> bool:
        kept = all((self._folder / f"{login}.pgpass").exists() for login in _LOGINS)
        said = self._folder / "data/pg_hba.conf"
        return kept and said.exists() and said.read_text() == _HBA

    def _demand_passwords(self) -> None:
        """Gives all logins a new password. Data of before, which let in everybody who reached the socket, is changed in place.

        Who may connect is written last: when this is cut short, all of it is done again.
        """
        statements = [*_ADD_LOGINS]
        for login in _LOGINS:
            password = secrets.token_urlsafe(32)
            write_whole(self._folder / f"{login}.pgpass", f"*:*:*:{login}:{password}\n".encode())
            statements.append(f"alter role {login} login password '{scram_verifier(password)}'")
        # Without a server, so that nobody can connect in between.
        settings = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"]
        argv = [str(self._bin / "postgres"), "--single", "-D", f"{self._inside}/data", *settings, "postgres"]
        done = self._run(argv, account=self._account, said="\n".join(statements) + "\n")
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL takes no passwords in {self._folder}:\n{done.stderr.strip()}")
        write_whole(self._folder / "data/pg_hba.conf", _HBA.encode(), as_folder=True)

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
        connection = ["-h", f"{self._inside}/socket", "-U", SUPERUSER, "--no-password"]
        passwords = {"PGPASSFILE": f"{self._inside}/{SUPERUSER}.pgpass"}
        return self._run([str(installed_programs() / program), *connection, *arguments], more=passwords)

    def _run(
        self,
        argv: list[str],
        *,
        account: Account | None = None,
        said: str = "",
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        uid, gid = account or (None, None)
        return subprocess.run(
            argv,
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env={**of_server(), **(more or {})},
            umask=UMASK,
            user=uid,
            group=gid,
            extra_groups=None if account is None else [],
            pass_fds=(self._fd,),
            cwd="/",
        )

    def _make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self._own(folder)

    def _own(self, folder: Path) -> None:
        if self._account:
            os.chown(folder, *self._account)


def _is_uncollected(pid_file: Path) -> bool:
    """True for a process that has ended, and still has its number."""
    try:
        pid = pid_file.read_text().split("\n", 1)[0]
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False
