"""How a supervisor is set up, from FLOTILLA_* environment variables; secrets stand in files, never here."""

import os
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from flotilla.schemas.ids import is_id
from flotilla.services.supervisor.core.spec import ContainerProfile

DOCKER_SOCKET: Final = "unix:///var/run/docker.sock"
_VARIABLES: Final = {
    "host": "FLOTILLA_HOST",
    "owner": "FLOTILLA_OWNER",
    "runtime": "FLOTILLA_RUNTIME",
    "state": "FLOTILLA_STATE",
    "docker_url": "FLOTILLA_DOCKER_URL",
    "image": "FLOTILLA_ENGINE_IMAGE",
    "network": "FLOTILLA_NETWORK",
    "subnet": "FLOTILLA_NETWORK_SUBNET",
    "catalog": "FLOTILLA_CATALOG",
    "catalog_target": "FLOTILLA_CATALOG_TARGET",
    "engine_bus_url": "FLOTILLA_ENGINE_NATS_URL",
    "process_bus_url": "FLOTILLA_NATS_URL",
    "engine_command": "FLOTILLA_ENGINE_COMMAND",
    "process_command": "FLOTILLA_PROCESS_COMMAND",
    "signing_key": "FLOTILLA_SIGNING_KEY",
    "account": "FLOTILLA_ACCOUNT",
    "secrets": "FLOTILLA_SECRETS",
    "redis_url": "FLOTILLA_REDIS_URL",
    "redis_password_file": "FLOTILLA_REDIS_PASSWORD_FILE",
    "engine_redis_host": "FLOTILLA_ENGINE_REDIS_HOST",
    "engine_redis_port": "FLOTILLA_ENGINE_REDIS_PORT",
    "egress_network": "FLOTILLA_EGRESS_NETWORK",
    "egress_subnet": "FLOTILLA_EGRESS_SUBNET",
    "log_level": "FLOTILLA_LOG_LEVEL",
}


class RuntimeChoice(StrEnum):
    """AUTO takes Docker when an engine answers and the image is there, else local processes."""

    DOCKER = "docker"
    PROCESS = "process"
    AUTO = "auto"


class SupervisorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One host's supervisor.

    `owner` marks what is ours: two supervisors of one Docker engine need different ones. `catalog` is a path of the Docker
    host or a volume's name, mounted at `catalog_target`; the process runtime uses it as it is. `engine_bus_url` is the bus as
    containers reach it, `process_bus_url` as local processes do. `engine_command` overrides the image's command, and
    `process_command` what the process runtime starts. `signing_key` with `account` mints credentials; without, engines get
    none. `secrets` is the folder of the secret store, by default in the state folder. `redis_url` is Redis as an administrator
    reaches it; engines do under `engine_redis_host` and `engine_redis_port`, by default those of the URL. `egress_network` is
    the way out for engines that need venues.
    """

    host: str
    owner: str = "flotilla"
    runtime: RuntimeChoice = RuntimeChoice.AUTO
    state: Path
    docker_url: str = DOCKER_SOCKET
    image: str = "flotilla-engine:latest"
    network: str = "flotilla-bus"
    subnet: str = "10.231.0.0/24"
    catalog: str = ""
    catalog_target: str = "/app/data"
    engine_bus_url: str = "nats://10.231.0.1:4222"
    process_bus_url: str = "nats://127.0.0.1:4222"
    engine_command: tuple[str, ...] = ()
    process_command: tuple[str, ...] = ()
    signing_key: Path | None = None
    account: str = ""
    secrets: Path | None = None
    redis_url: str = ""
    redis_password_file: Path | None = None
    engine_redis_host: str = ""
    engine_redis_port: int = 0
    egress_network: str = "flotilla-egress"
    egress_subnet: str = "10.231.1.0/24"
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        for field, value in (("FLOTILLA_HOST", self.host), ("FLOTILLA_OWNER", self.owner)):
            if not is_id(value):
                raise ValueError(f"{field} {value!r} must be lower case letters, digits and '-', 1 to 63")

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        values: dict[str, Any] = {
            "host": _host_id(socket.gethostname()),
            "docker_url": env.get("DOCKER_HOST") or DOCKER_SOCKET,
            "state": Path(env.get("HOME", "/")) / ".local/state/flotilla",
        }
        for field, variable in _VARIABLES.items():
            if text := env.get(variable):
                values[field] = _read(field, variable, text)
        return cls(**values)

    @property
    def profile(self) -> ContainerProfile:
        """What all engine containers of this host have in common."""
        return ContainerProfile(
            owner=self.owner,
            host=self.host,
            image=self.image,
            network=self.network,
            egress=self.egress_network,
            command=self.engine_command,
            catalog=self.catalog,
            catalog_target=self.catalog_target,
        )

    @property
    def secret_folder(self) -> Path:
        """Where the secret store is."""
        return self.secrets or self.state / "secrets"

    @property
    def sidecar_command(self) -> tuple[str, ...]:
        """What the process runtime starts."""
        return self.process_command or (sys.executable, "-u", "-m", "flotilla.engine_sidecar")


def _read(field: str, variable: str, text: str) -> object:
    match field:
        case "state" | "signing_key" | "secrets" | "redis_password_file":
            return Path(text)
        case "engine_command" | "process_command":
            return tuple(shlex.split(text))
        case "engine_redis_port" if not (text.isdecimal() and 0 < int(text) < 65536):
            raise ValueError(f"{variable} {text!r} must be a port")
        case "engine_redis_port":
            return int(text)
        case "runtime" if text not in list(RuntimeChoice):
            raise ValueError(f"{variable} {text!r} must be one of {', '.join(RuntimeChoice)}")
        case "runtime":
            return RuntimeChoice(text)
    return text


def _host_id(name: str) -> str:
    """A machine's name as an id: `Build_Box.local` is `build-box-local`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "local"
