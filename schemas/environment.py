"""Every FLOTILLA_* variable that something of ours reads, once: who reads it, in what unit, and what holds without it.

The page schemas/generated/environment.md comes from these rows; tests/unit/schemas/test_environment_table.py holds them against the code.
"""

from enum import StrEnum
from typing import Final

import msgspec


class Reader(StrEnum):
    """Who reads a variable."""

    ORCHESTRATOR = "orchestrator"
    SUPERVISOR = "supervisor"
    GATEWAY = "gateway"
    SERVICES = "every service"
    CLIENT = "CLI and SDK"
    SIDECAR = "sidecar"
    ENGINE = "engine"
    ACCEPTANCE = "`test-engine-integration.py`"
    COMPOSE = "`deploy/compose.yaml`"
    BUILD = "image builds"
    SCRIPTS = "scripts and CI"


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `default` is the text that means the same as no variable; where there is none, `without` says what then holds."""

    name: str
    readers: tuple[Reader, ...]
    kind: str
    meaning: str
    default: str = ""
    without: str = ""


def _row(
    name: str, *readers: Reader, kind: str, meaning: str, default: str = "", without: str = ""
) -> Variable:
    return Variable(
        name=f"FLOTILLA_{name}", readers=readers, kind=kind, meaning=meaning, default=default, without=without
    )


_PATH: Final = "path"
_URL: Final = "URL"
_ADDRESSES: Final = "address range"

VARIABLES: Final = (
    # Where everything is.
    _row(
        "STATE",
        *(Reader.ORCHESTRATOR, Reader.SUPERVISOR, Reader.GATEWAY, Reader.CLIENT, Reader.ACCEPTANCE),
        kind=_PATH,
        meaning="The state folder.",
        without="`~/.local/state/flotilla`; for the CLI `$XDG_STATE_HOME/flotilla` if that is set, and `/var/lib/flotilla` for root",
    ),
    _row(
        "NATS_URL",
        *(Reader.SERVICES, Reader.SUPERVISOR, Reader.CLIENT),
        kind=_URL,
        meaning="The bus. A supervisor hands it to local engine processes too. A client that has it looks for no stack on this machine.",
        default="nats://127.0.0.1:4222",
    ),
    _row(
        "NATS_CREDS",
        *(Reader.SERVICES, Reader.CLIENT),
        kind=_PATH,
        meaning="File with NATS credentials. Clients read it only with `FLOTILLA_NATS_URL`.",
        without="no credentials",
    ),
    _row(
        "URL",
        *(Reader.CLIENT, Reader.ACCEPTANCE),
        kind=_URL,
        meaning="The gateway's address. Clients read it only with `FLOTILLA_NATS_URL`.",
        without="that of the stack on this machine, or none",
    ),
    _row(
        "TOKEN_FILE",
        Reader.CLIENT,
        kind=_PATH,
        meaning="File with a token for the gateway. Read only with `FLOTILLA_NATS_URL`.",
        without="no token",
    ),
    _row(
        "TOKEN",
        Reader.ACCEPTANCE,
        kind="token",
        meaning="A token for the gateway.",
        without="that of the stack on this machine",
    ),
    # Services.
    _row(
        "LOG_LEVEL",
        *(Reader.ORCHESTRATOR, Reader.SUPERVISOR, Reader.GATEWAY),
        kind="name of a level",
        meaning="The least grave lines that are logged.",
        default="INFO",
    ),
    _row(
        "HEALTH_FILE",
        Reader.SERVICES,
        kind=_PATH,
        meaning="A file that is touched while the service is well, for health checks of a container.",
        without="none is kept",
    ),
    _row(
        "CATALOG",
        *(Reader.ORCHESTRATOR, Reader.SUPERVISOR),
        kind="path, for a supervisor also the name of a Docker volume",
        meaning="The catalog of market data: as the orchestrator reads it, and as engines get it.",
        without="`catalog` in the state folder for the orchestrator; none for a supervisor",
    ),
    _row(
        "POSTGRES_DSN",
        Reader.ORCHESTRATOR,
        kind="URL without a password",
        meaning="The database of the record.",
        default="postgresql://postgres@localhost/flotilla",
    ),
    _row(
        "POSTGRES_PASSWORD_FILE",
        Reader.ORCHESTRATOR,
        kind=_PATH,
        meaning="File with the database's password.",
        without="no password",
    ),
    _row(
        "TEMPLATES",
        Reader.ORCHESTRATOR,
        kind="paths, separated as in PATH",
        meaning="Folders with templates of your own; ours come first.",
        without="ours alone",
    ),
    _row(
        "STRATEGY_MODULES",
        Reader.ORCHESTRATOR,
        kind="modules, separated by commas",
        meaning="The modules and packages that strategy classes of backtests may come from.",
        default="nautilus_trader.examples.strategies,engine_sidecar.strategies",
    ),
    _row(
        "ORPHAN_POLICY",
        Reader.ORCHESTRATOR,
        kind="`adopt`, `stop` or `report`",
        meaning="What is done about containers of engines that are not on record and cannot trade live.",
        default="stop",
    ),
    _row(
        "ORPHAN_GRACE_S",
        Reader.ORCHESTRATOR,
        kind="seconds, 0 to 86400",
        meaning="How long a container may be off record before anything is done about it.",
        default="60",
    ),
    _row(
        "LEASE_TTL_S",
        Reader.ORCHESTRATOR,
        kind="seconds, 5 to 86400",
        meaning="How long a lease on an account lasts that is not renewed.",
        default="120",
    ),
    _row(
        "AUDIT_DAYS",
        Reader.ORCHESTRATOR,
        kind="days, 1 to 36500",
        meaning="How long commands and refusals stay on record.",
        default="400",
    ),
    _row(
        "NATS_STORE",
        Reader.ORCHESTRATOR,
        kind=_PATH,
        meaning="The folder of JetStream, where the orchestrator sees it: the room on its disk is measured.",
        without="not measured",
    ),
    _row(
        "POSTGRES_STORE",
        Reader.ORCHESTRATOR,
        kind=_PATH,
        meaning="The folder of PostgreSQL, where the orchestrator sees it: the room on its disk is measured.",
        without="not measured",
    ),
    _row(
        "HTTP_HOST",
        Reader.GATEWAY,
        kind="address",
        meaning="Where the gateway listens.",
        default="127.0.0.1",
    ),
    _row(
        "HTTP_PORT",
        Reader.GATEWAY,
        kind="port; 0 is any free one",
        meaning="Where it listens.",
        default="8001",
    ),
    _row(
        "HTTP_ORIGINS",
        Reader.GATEWAY,
        kind="origins, separated by commas",
        meaning="The web origins whose pages may call the gateway, such as `https://desk.example`.",
        without="none may",
    ),
    _row(
        "TOKENS_FILE",
        Reader.GATEWAY,
        kind=_PATH,
        meaning="The tokens that the gateway accepts.",
        without="`tokens.jsonl` in the state folder",
    ),
    _row(
        "MAX_STREAMS",
        Reader.GATEWAY,
        kind="number, 1 to 100000",
        meaning="How many clients may follow streams at the same time.",
        default="500",
    ),
    # The supervisor of a host.
    _row(
        "HOST",
        *(Reader.SUPERVISOR, Reader.COMPOSE),
        kind="lower case letters, digits and `-`, 1 to 63",
        meaning="The host's name in the fleet.",
        without="made from the machine's name; `local` in `deploy/compose.yaml`",
    ),
    _row(
        "OWNER",
        Reader.SUPERVISOR,
        kind="lower case letters, digits and `-`, 1 to 63",
        meaning="Marks what is ours: two supervisors of one Docker engine need different ones.",
        default="flotilla",
    ),
    _row(
        "RUNTIME",
        Reader.SUPERVISOR,
        kind="`docker`, `process` or `auto`",
        meaning="What engines run in. `auto` takes Docker when its engine answers and has the image, else local processes.",
        default="auto",
    ),
    _row(
        "DOCKER_URL",
        Reader.SUPERVISOR,
        kind=_URL,
        meaning="The Docker engine.",
        without="`DOCKER_HOST`, else `unix:///var/run/docker.sock`",
    ),
    _row(
        "ENGINE_IMAGE",
        Reader.SUPERVISOR,
        kind="image",
        meaning="What engines in containers are started from.",
        default="flotilla-engine:latest",
    ),
    _row(
        "NETWORK",
        Reader.SUPERVISOR,
        kind="name",
        meaning="The Docker network on which engines reach the bus, and nothing else.",
        default="flotilla-bus",
    ),
    _row(
        "NETWORK_SUBNET",
        Reader.SUPERVISOR,
        kind=_ADDRESSES,
        meaning="Of that network.",
        default="10.231.0.0/24",
    ),
    _row(
        "EGRESS_NETWORK",
        Reader.SUPERVISOR,
        kind="name",
        meaning="The Docker network that leads outside, for engines that need venues.",
        default="flotilla-egress",
    ),
    _row(
        "EGRESS_SUBNET",
        Reader.SUPERVISOR,
        kind=_ADDRESSES,
        meaning="Of that network.",
        default="10.231.1.0/24",
    ),
    _row(
        "CATALOG_TARGET",
        Reader.SUPERVISOR,
        kind=_PATH,
        meaning="Where the catalog is within containers.",
        default="/app/data",
    ),
    _row(
        "ENGINE_NATS_URL",
        Reader.SUPERVISOR,
        kind=_URL,
        meaning="The bus as engines in containers reach it.",
        default="nats://10.231.0.1:4222",
    ),
    _row(
        "ENGINE_COMMAND",
        Reader.SUPERVISOR,
        kind="words, as a shell splits them",
        meaning="What containers run instead of the image's command.",
        without="the image's command",
    ),
    _row(
        "PROCESS_COMMAND",
        Reader.SUPERVISOR,
        kind="words, as a shell splits them",
        meaning="What is started for an engine that is a local process.",
        without="the sidecar of this installation",
    ),
    _row(
        "SIGNING_KEY",
        Reader.SUPERVISOR,
        kind=_PATH,
        meaning="File with the key that signs the engines' NATS credentials; needs `FLOTILLA_ACCOUNT`.",
        without="engines get no credentials",
    ),
    _row(
        "ACCOUNT",
        Reader.SUPERVISOR,
        kind="public key of a NATS account",
        meaning="The account that the engines' credentials are for.",
        without="engines get no credentials",
    ),
    _row(
        "SECRETS",
        Reader.SUPERVISOR,
        kind=_PATH,
        meaning="The folder of the secret store.",
        without="`secrets` in the state folder",
    ),
    _row(
        "REDIS_URL",
        Reader.SUPERVISOR,
        kind=_URL,
        meaning="Redis as an administrator reaches it; engines keep their state there.",
        without="the host has no Redis",
    ),
    _row(
        "REDIS_PASSWORD_FILE",
        Reader.SUPERVISOR,
        kind=_PATH,
        meaning="File with the administrator's password of Redis.",
        without="no password",
    ),
    _row(
        "ENGINE_REDIS_HOST",
        Reader.SUPERVISOR,
        kind="address",
        meaning="Redis as engines reach it.",
        without="that of `FLOTILLA_REDIS_URL`",
    ),
    _row(
        "ENGINE_REDIS_PORT",
        Reader.SUPERVISOR,
        kind="port",
        meaning="Redis as engines reach it.",
        without="that of `FLOTILLA_REDIS_URL`",
    ),
    # An engine's container or process.
    _row(
        "HEARTBEAT_FILE",
        Reader.SIDECAR,
        kind=_PATH,
        meaning="A file that is touched with every heartbeat, for the container's health check.",
        without="`heartbeat` in `$TMPDIR`, else in the system's temporary folder",
    ),
    _row(
        "QUEUE_EVENTS",
        Reader.SIDECAR,
        kind="number",
        meaning="How many events are kept while the bus is away; states and alerts have room beyond.",
        default="100000",
    ),
    _row(
        "FLUSH_S",
        Reader.SIDECAR,
        kind="seconds",
        meaning="How long a sidecar whose engine has ended goes on trying to get its events to the bus.",
        default="120",
    ),
    _row(
        "STRATEGY_PATH",
        *(Reader.ENGINE, Reader.CLIENT),
        kind="paths, separated as in PATH",
        meaning="Folders with modules of your own strategies, for engines that are local processes.",
        without="for a stack on this machine, what PYTHONPATH was when it was started",
    ),
    # The stack in containers, and what builds it.
    _row(
        "PROJECT",
        Reader.COMPOSE,
        kind="name",
        meaning="Names the project, its networks, its catalog and what is its own.",
        default="flotilla",
    ),
    _row("TAG", Reader.COMPOSE, kind="tag", meaning="Of all images of the stack.", default="latest"),
    _row(
        "HTTP",
        Reader.COMPOSE,
        kind="address:port",
        meaning="Where the gateway is published on the Docker host.",
        default="127.0.0.1:8001",
    ),
    _row(
        "SUBNET",
        Reader.COMPOSE,
        kind=_ADDRESSES,
        meaning="Of the network of engines.",
        default="10.232.0.0/24",
    ),
    _row(
        "GATEWAY",
        Reader.COMPOSE,
        kind="address",
        meaning="The address in that range under which engines reach the bus and Redis.",
        default="10.232.0.1",
    ),
    _row(
        "BASE_IMAGE",
        *(Reader.COMPOSE, Reader.BUILD),
        kind="image",
        meaning="What the images of the stack are built on. `scripts/compose` takes `flotilla-base:trixie` where only that one is here.",
        default="python:3.13-slim-trixie",
    ),
    _row(
        "DEBIAN_MIRROR",
        Reader.BUILD,
        kind=_URL,
        meaning="The Debian mirror for packages and for a base image that is built here.",
        without="that of this machine's apt",
    ),
    _row(
        "PULL_SECONDS",
        Reader.BUILD,
        kind="seconds",
        meaning="How long it is tried to pull the base image of engines.",
        default="60",
    ),
    _row(
        "REQUIRE_DOCKER",
        Reader.SCRIPTS,
        kind="`1` or nothing",
        meaning="With `1`, tests fail without a Docker engine instead of being skipped.",
        without="skipped",
    ),
    _row("TEST_JOBS", Reader.SCRIPTS, kind="number", meaning="Tests that run at the same time.", default="2"),
    _row(
        "DOCKERD_LOG",
        Reader.SCRIPTS,
        kind=_PATH,
        meaning="Where the Docker engine that `scripts/docker-engine` starts logs.",
        default="/var/log/dockerd.log",
    ),
    _row(
        "DOCKERD_WAIT_SECONDS",
        Reader.SCRIPTS,
        kind="seconds",
        meaning="How long `scripts/docker-engine` waits for it.",
        default="60",
    ),
)
