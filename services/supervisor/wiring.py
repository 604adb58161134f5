"""Which runtime this host has, and what engines find in it: the supervisor's parts, chosen by its settings.

Docker's client, a quarter of what a supervisor imports, comes with the first Docker engine.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import msgspec

from flotilla.bus.credentials import REVOKING_KEY_FILE, SYSTEM_CREDS_FILE, EngineMint
from flotilla.bus.jwt import Key
from flotilla.bus.logs import get_logger
from flotilla.bus.revoking import Revoker
from flotilla.bus.secret_store import SecretStore
from flotilla.bus.server_accounts import ServerAccounts
from flotilla.bus.settings import BusSettings
from flotilla.schemas.contract import Actor
from flotilla.schemas.environment import RuntimeChoice
from flotilla.schemas.fault import FaultError
from flotilla.schemas.session import OwnPlace
from flotilla.services.supervisor.adapters.attached_catalogs import attached_paths
from flotilla.services.supervisor.adapters.engine_connections import EngineConnections
from flotilla.services.supervisor.adapters.identity_file import IdentityFile
from flotilla.services.supervisor.adapters.process_runtime import ProcessRuntime
from flotilla.services.supervisor.adapters.redis_users import NoCache, RedisUsers
from flotilla.services.supervisor.core.launch import EngineSurroundings
from flotilla.services.supervisor.core.spec import ContainerProfile
from flotilla.services.supervisor.identities import Identities, NoIdentities
from flotilla.services.supervisor.launching import Launches
from flotilla.services.supervisor.observers import Observers
from flotilla.services.supervisor.ports import CacheUsers, Connections, ContainerRuntime, CredentialDesk
from flotilla.services.supervisor.settings import SupervisorSettings

if TYPE_CHECKING:
    from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime

log = get_logger(__name__)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether engines can run in Docker here. `gateway` is the host's address on their network, for nats-server to bind.

    `network` and `egress_network` are theirs and no other fleet's, with their ranges.

    `docker` says that an engine answers and the network is there, `image` that the engines' image is, `seccomp` that the engine keeps
    containers to a profile of system calls.
    """

    docker: bool
    detail: str
    image: bool = False
    image_id: str = ""
    gateway: str = ""
    network: str = ""
    network_subnet: str = ""
    egress_network: str = ""
    egress_subnet: str = ""
    seccomp: bool = True

    @property
    def is_ready(self) -> bool:
        """True when an engine could be started."""
        return self.docker and self.image


async def prepare(runtime: "DockerRuntime", image: str, *, look_only: bool = False) -> Readiness:
    """Makes sure of the engines' network, or only looks for it, and looks for their image.

    Never raises: the answer says what is wrong.
    """
    try:
        network = await (runtime.find_network() if look_only else runtime.ensure_network())
        image_id = await runtime.image_id()
        probe = await runtime.probe()
    except FaultError as error:
        return Readiness(docker=False, detail=error.fault.message)
    return Readiness(
        docker=True,
        detail="ready" if image_id else f"image {image} is not there (build it: deploy/build-engine.sh)",
        image=image_id is not None,
        image_id=image_id or "",
        gateway=network.gateway if network else "",
        seccomp=probe.has_seccomp,
    )


async def choose_runtime(settings: SupervisorSettings) -> ContainerRuntime:
    """Docker or local processes. `auto` takes Docker only when an engine could be started in it now."""
    if settings.runtime == RuntimeChoice.PROCESS:
        return process_runtime(settings)
    docker = docker_runtime(settings)
    readiness = await prepare(docker, settings.image)
    log.info("docker looked at", docker=readiness.docker, image=readiness.image, detail=readiness.detail)
    if settings.runtime == RuntimeChoice.DOCKER or readiness.is_ready:
        await _sweep(docker)
        return docker
    await docker.close()
    return process_runtime(settings)


async def _sweep(docker: "DockerRuntime") -> None:
    try:
        await docker.sweep_checks()
    except FaultError as error:
        log.warning("no look for checks that were left", fault=error.fault.message)


def docker_runtime(settings: SupervisorSettings) -> "DockerRuntime":
    """The Docker engine of these settings; nothing is asked of it yet."""
    from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime  # noqa: PLC0415

    return DockerRuntime(
        settings.docker_url, settings.profile, subnet=settings.subnet, egress_subnet=settings.egress_subnet
    )


def process_runtime(settings: SupervisorSettings) -> ProcessRuntime:
    """Local processes below the state folder."""
    return ProcessRuntime(
        settings.state / "sessions", settings.sidecar_command, owner=settings.owner, host=settings.host
    )


def guest_runtime(place: OwnPlace, state: Path) -> ContainerRuntime:
    """The runtime of the supervisor that left `place` in this state folder, for whoever stops its engines without it."""
    if place.runtime == RuntimeChoice.PROCESS:
        return ProcessRuntime(state / "sessions", (), owner=place.owner, host=place.host, is_guest=True)
    from flotilla.services.supervisor.adapters.docker_runtime import DockerRuntime  # noqa: PLC0415

    profile = ContainerProfile(owner=place.owner, host=place.host, image="", network="")
    return DockerRuntime(place.docker_url, profile, subnet="")


def cache_users(settings: SupervisorSettings) -> CacheUsers:
    """The users of this host's Redis, if it has one. Raises OSError when the password cannot be read."""
    if not settings.redis_url:
        return NoCache()
    file, found = settings.redis_password_file, urlsplit(settings.redis_url)
    return RedisUsers(
        settings.redis_url,
        file.read_text().strip() if file else None,
        state=settings.state,
        host=settings.engine_redis_host or found.hostname or "127.0.0.1",
        port=settings.engine_redis_port or found.port or 6379,
    )


def secret_store(settings: SupervisorSettings) -> SecretStore:
    """The secrets of this host. Those that an earlier release stored are encrypted first, bound to nothing; what cannot be is told."""
    store = SecretStore(settings.secret_folder, settings.secret_key_file, at="spec.plan.secrets")
    done, failed = store.encrypt_plain()
    for name in done:
        log.warning(
            "secret encrypted: it needs a binding",
            secret=name,
            remedy=f"flotilla secret bind {name} --adapter ADAPTER",
        )
    for problem in failed:
        log.error("secret not encrypted", problem=problem)
    return store


def launches(
    settings: SupervisorSettings, runtime: ContainerRuntime, cache: CacheUsers, secrets: SecretStore
) -> Launches:
    """What engines of this host are given."""
    docker = cast("DockerRuntime", runtime) if runtime.kind == RuntimeChoice.DOCKER else None
    is_mounted = docker is not None and settings.catalog.startswith("/")
    attached = (lambda: attached_paths(settings.catalog)) if is_mounted else None
    return Launches(
        credential_desk(settings),
        secrets,
        cache,
        surroundings(settings, runtime.kind),
        is_isolated=runtime.is_isolated,
        image=docker.image_id if docker is not None else None,
        attached=attached,
    )


def surroundings(settings: SupervisorSettings, kind: str) -> EngineSurroundings:
    """What an engine finds in a runtime of this kind."""
    if kind == RuntimeChoice.DOCKER:
        return EngineSurroundings(
            bus_url=settings.engine_bus_url,
            catalog_path=settings.catalog_target,
            enforce_memory=False,
            host=settings.host,
            fleet=settings.account,
            bus_ca=settings.bus_ca,
        )
    return EngineSurroundings(
        bus_url=settings.process_bus_url,
        catalog_path=settings.catalog,
        enforce_memory=True,
        host=settings.host,
        fleet=settings.account,
        bus_ca=settings.bus_ca,
    )


def credential_desk(settings: SupervisorSettings) -> CredentialDesk:
    """Who gives out the fleet's engine credentials; without a key, engines get none.

    Raises ValueError when it is not said which accounts they are for, OSError when a key cannot be read.
    """
    key = settings.signing_key
    if key is None:
        log.warning("engines get no credentials: FLOTILLA_SIGNING_KEY is not set")
        return NoIdentities()
    if not (settings.account and settings.engines_account):
        raise ValueError("FLOTILLA_SIGNING_KEY needs FLOTILLA_ACCOUNT and FLOTILLA_ENGINES_ACCOUNT")
    return Identities(
        EngineMint.from_file(key, settings.engines_account, settings.credential_s),
        IdentityFile(settings.state),
        Revoker(_server_accounts(settings, key), settings.engines_account),
    )


def observers(settings: SupervisorSettings) -> Observers | None:
    """Who lets observers onto the bus; None where this supervisor is not told of the tokens, or has no keys. Raises OSError."""
    if settings.tokens_file is None or settings.signing_key is None:
        return None
    return Observers(
        settings.tokens_file,
        _server_accounts(settings, settings.signing_key),
        fleet=settings.account,
        engines=settings.engines_account,
    )


def engine_connections(settings: SupervisorSettings) -> Connections | None:
    """Who is on the bus with credentials of engines; None where this supervisor gives out none. Raises OSError."""
    if settings.signing_key is None:
        return None
    return EngineConnections(_server_accounts(settings, settings.signing_key), settings.engines_account)


def _server_accounts(settings: SupervisorSettings, key: Path) -> ServerAccounts:
    system = BusSettings(
        url=settings.process_bus_url,
        name=Actor.SUPERVISOR,
        creds=key.with_name(SYSTEM_CREDS_FILE).read_text(),
        ca=settings.bus_ca,
    )
    return ServerAccounts(system, Key(key.with_name(REVOKING_KEY_FILE).read_bytes().strip()))
