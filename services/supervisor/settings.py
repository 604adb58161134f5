"""How a supervisor is set up, from FLOTILLA_* environment variables; secrets stand in files, never here."""

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from flotilla.bus.settings import authorities, bus_url
from flotilla.schemas.environment import (
    ACCOUNT,
    CATALOG,
    CATALOG_FOLDER,
    CATALOG_TARGET,
    CREDENTIAL_S,
    DOCKER_URL,
    EGRESS_NETWORK,
    EGRESS_SUBNET,
    ENGINE_COMMAND,
    ENGINE_IMAGE,
    ENGINE_NATS_URL,
    ENGINE_REDIS_HOST,
    ENGINE_REDIS_PORT,
    ENGINES_ACCOUNT,
    HOST,
    HOST_LABELS,
    LOG_LEVEL,
    NATS_CA,
    NATS_URL,
    NETWORK,
    NETWORK_SUBNET,
    OWNER,
    PROCESS_COMMAND,
    REDIS_PASSWORD_FILE,
    REDIS_URL,
    RUNTIME,
    SECRETS,
    SECRETS_KEY_FILE,
    SIGNING_KEY,
    TOKENS_FILE,
    RuntimeChoice,
    state_folder,
)
from flotilla.services.supervisor.core.spec import ContainerProfile

DOCKER_SOCKET: Final = "unix:///var/run/docker.sock"


class SupervisorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One host's supervisor.

    `labels` are the host's. `owner` marks what is ours: two supervisors of one Docker engine need different ones. `catalog` is a path of the Docker
    host or a volume's name, mounted at `catalog_target`, and seen by the supervisor itself at `catalog_folder`, where it is a volume; the process runtime uses it as it is. `engine_bus_url` is the bus as
    containers reach it, `process_bus_url` as local processes do. `engine_command` overrides the image's command, and
    `process_command` what the process runtime starts. `signing_key` mints credentials of `engines_account`, and engines obey what
    comes from `account`; without, they get none and obey everybody. `credential_s` is how long one is good for before it is renewed.
    Observers in `tokens_file` are let onto the bus; without one, by another supervisor or none. `secrets` is the folder of the secret store and `secrets_key_file` has its keys, by default in the state folder. `redis_url` is Redis as an administrator
    reaches it; engines do under `engine_redis_host` and `engine_redis_port`, by default those of the URL. `egress_network` is
    the way out for engines that need venues.
    """

    host: str
    labels: dict[str, str]
    owner: str
    runtime: RuntimeChoice
    state: Path
    docker_url: str
    image: str
    network: str
    subnet: str
    catalog: str
    catalog_folder: Path | None
    catalog_target: str
    engine_bus_url: str
    process_bus_url: str
    bus_ca: str
    engine_command: tuple[str, ...]
    process_command: tuple[str, ...]
    signing_key: Path | None
    account: str
    engines_account: str
    credential_s: int
    tokens_file: Path | None
    secrets: Path | None
    secrets_key_file: Path | None
    redis_url: str
    redis_password_file: Path | None
    engine_redis_host: str
    engine_redis_port: int
    egress_network: str
    egress_subnet: str
    log_level: str

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        return cls(
            host=HOST.given(env) or _host_id(socket.gethostname()),
            labels=HOST_LABELS.given(env) or {},
            owner=OWNER.read(env),
            runtime=RUNTIME.read(env),
            state=state_folder(env),
            docker_url=DOCKER_URL.given(env) or env.get("DOCKER_HOST") or DOCKER_SOCKET,
            image=ENGINE_IMAGE.read(env),
            network=NETWORK.read(env),
            subnet=NETWORK_SUBNET.read(env),
            catalog=CATALOG.given(env) or "",
            catalog_folder=CATALOG_FOLDER.given(env),
            catalog_target=CATALOG_TARGET.read(env),
            engine_bus_url=_engine_bus_url(env, NETWORK_SUBNET.read(env)),
            process_bus_url=bus_url(env, NATS_URL),
            bus_ca=authorities(NATS_CA.given(env)),
            engine_command=ENGINE_COMMAND.given(env) or (),
            process_command=PROCESS_COMMAND.given(env) or (),
            signing_key=SIGNING_KEY.given(env),
            account=ACCOUNT.given(env) or "",
            engines_account=ENGINES_ACCOUNT.given(env) or "",
            credential_s=CREDENTIAL_S.read(env),
            tokens_file=TOKENS_FILE.given(env),
            secrets=SECRETS.given(env),
            secrets_key_file=SECRETS_KEY_FILE.given(env),
            redis_url=REDIS_URL.given(env) or "",
            redis_password_file=REDIS_PASSWORD_FILE.given(env),
            engine_redis_host=ENGINE_REDIS_HOST.given(env) or "",
            engine_redis_port=ENGINE_REDIS_PORT.given(env) or 0,
            egress_network=EGRESS_NETWORK.read(env),
            egress_subnet=EGRESS_SUBNET.read(env),
            log_level=LOG_LEVEL.read(env),
        )

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
    def own_catalog(self) -> Path | None:
        """Where the supervisor itself sees the catalog; None where it does not."""
        return self.catalog_folder or (Path(self.catalog) if self.catalog.startswith("/") else None)

    @property
    def secret_folder(self) -> Path:
        """Where the secret store is."""
        return self.secrets or self.state / "secrets"

    @property
    def secret_key_file(self) -> Path:
        """Where its keys are."""
        return self.secrets_key_file or self.state / "keys" / "secrets.key"

    @property
    def sidecar_command(self) -> tuple[str, ...]:
        """What the process runtime starts."""
        return self.process_command or (sys.executable, "-u", "-m", "flotilla.engine_sidecar")


def _engine_bus_url(env: Mapping[str, str], subnet: str) -> str:
    if ENGINE_NATS_URL.given(env) is None:
        return f"nats://{ipaddress.ip_network(subnet)[1]}:4222"
    return bus_url(env, ENGINE_NATS_URL, subnet)


def _host_id(name: str) -> str:
    """A machine's name as an id: `Build_Box.local` is `build-box-local`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "local"
