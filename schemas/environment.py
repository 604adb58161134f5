"""Every FLOTILLA_* variable that something of ours reads, once: who reads it, of what type, and what holds without it.

The page schemas/generated/environment.md comes from these rows; tests/unit/schemas/test_environment_table.py holds them against the code.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from flotilla.schemas import variable
from flotilla.schemas.states import OrphanPolicy
from flotilla.schemas.variable import Reader, Variable


class RuntimeChoice(StrEnum):
    """AUTO takes Docker when an engine answers and the image is there, else local processes."""

    DOCKER = "docker"
    PROCESS = "process"
    AUTO = "auto"


# Where everything is.
STATE: Final = Variable(
    name="FLOTILLA_STATE",
    readers=(
        Reader.ORCHESTRATOR,
        Reader.SUPERVISOR,
        Reader.NOTIFIER,
        Reader.GATEWAY,
        Reader.CLIENT,
        Reader.ACCEPTANCE,
    ),
    kind=variable.PATH,
    meaning="The state folder.",
    without="`~/.local/state/flotilla`; for the CLI `$XDG_STATE_HOME/flotilla` if that is set, and `/var/lib/flotilla` for root",
)
NATS_URL: Final = Variable(
    name="FLOTILLA_NATS_URL",
    readers=(Reader.SERVICES, Reader.SUPERVISOR, Reader.CLIENT),
    kind=variable.BUS_URL,
    meaning="The bus. A supervisor hands it to local engine processes too. A client that has it looks for no stack on this machine.",
    default="nats://127.0.0.1:4222",
)
NATS_CREDS: Final = Variable(
    name="FLOTILLA_NATS_CREDS",
    readers=(Reader.SERVICES, Reader.CLIENT),
    kind=variable.PATH,
    meaning="File with NATS credentials. Clients read it only with `FLOTILLA_NATS_URL`.",
    without="no credentials",
)
NATS_CA: Final = Variable(
    name="FLOTILLA_NATS_CA",
    readers=(Reader.SERVICES, Reader.SUPERVISOR, Reader.CLIENT),
    kind=variable.PATH,
    meaning="File with the certificates (PEM) of whoever may sign that of nats-server, for a bus at `tls://…`. A supervisor hands them to engines too.",
    without="whom this machine trusts",
)
NATS_PLAIN: Final = Variable(
    name="FLOTILLA_NATS_PLAIN",
    readers=(Reader.SERVICES, Reader.CLIENT),
    kind=variable.FLAG,
    meaning="With `1` a bus on another machine may be spoken to in plain text, which all on the way can read and change: only for a network that nobody else is on.",
    default="0",
)
URL: Final = Variable(
    name="FLOTILLA_URL",
    readers=(Reader.CLIENT, Reader.ACCEPTANCE),
    kind=variable.URL,
    meaning="The gateway's address. Clients read it only with `FLOTILLA_NATS_URL`.",
    without="that of the stack on this machine, or none",
)
TOKEN_FILE: Final = Variable(
    name="FLOTILLA_TOKEN_FILE",
    readers=(Reader.CLIENT,),
    kind=variable.PATH,
    meaning="File with a token for the gateway. Read only with `FLOTILLA_NATS_URL`.",
    without="no token",
)
TOKEN: Final = Variable(
    name="FLOTILLA_TOKEN",
    readers=(Reader.ACCEPTANCE,),
    kind=variable.TOKEN,
    meaning="A token for the gateway.",
    without="that of the stack on this machine",
)

# Services.
LOG_LEVEL: Final = Variable(
    name="FLOTILLA_LOG_LEVEL",
    readers=(Reader.ORCHESTRATOR, Reader.SUPERVISOR, Reader.NOTIFIER, Reader.GATEWAY),
    kind=variable.LEVEL,
    meaning="The least grave lines that are logged.",
    default="INFO",
)
HEALTH_FILE: Final = Variable(
    name="FLOTILLA_HEALTH_FILE",
    readers=(Reader.SERVICES,),
    kind=variable.PATH,
    meaning="A file that is touched while the service is well, for health checks of a container.",
    without="none is kept",
)
CATALOG: Final = Variable(
    name="FLOTILLA_CATALOG",
    readers=(Reader.ORCHESTRATOR, Reader.SUPERVISOR),
    kind=variable.text("a path, for a supervisor also the name of a Docker volume"),
    meaning="The catalog of market data: as the orchestrator reads it, and as engines get it.",
    without="`catalog` in the state folder for the orchestrator; none for a supervisor",
)
POSTGRES_DSN: Final = Variable(
    name="FLOTILLA_POSTGRES_DSN",
    readers=(Reader.ORCHESTRATOR, Reader.NOTIFIER),
    kind=variable.URL_WITHOUT_PASSWORD,
    meaning="The database of the record; alerts have a schema of their own in it.",
    default="postgresql://postgres@localhost/flotilla",
)
POSTGRES_PASSWORD_FILE: Final = Variable(
    name="FLOTILLA_POSTGRES_PASSWORD_FILE",
    readers=(Reader.ORCHESTRATOR, Reader.NOTIFIER),
    kind=variable.PATH,
    meaning="File with the database's password.",
    without="no password",
)
TEMPLATES: Final = Variable(
    name="FLOTILLA_TEMPLATES",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.PATHS,
    meaning="Folders with templates of your own; ours come first.",
    without="ours alone",
)
STRATEGY_MODULES: Final = Variable(
    name="FLOTILLA_STRATEGY_MODULES",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.MODULES,
    meaning="The modules and packages that strategy classes may come from, of engines and of backtests; templates name theirs themselves.",
    default="nautilus_trader.examples.strategies,engine_sidecar.strategies",
)
ORPHAN_POLICY: Final = Variable(
    name="FLOTILLA_ORPHAN_POLICY",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.choice(OrphanPolicy),
    meaning="What is done about containers of engines that are not on record and cannot trade live.",
    default="stop",
)
ORPHAN_GRACE_S: Final = Variable(
    name="FLOTILLA_ORPHAN_GRACE_S",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.number("seconds", 0, 86_400),
    meaning="How long a container may be off record before anything is done about it.",
    default="60",
)
LEASE_TTL_S: Final = Variable(
    name="FLOTILLA_LEASE_TTL_S",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.number("seconds", 5, 86_400),
    meaning="How long a lease on an account lasts that is not renewed.",
    default="120",
)
AUDIT_DAYS: Final = Variable(
    name="FLOTILLA_AUDIT_DAYS",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.number("days", 1, 36_500),
    meaning="How long commands and refusals stay on record.",
    default="400",
)
RETENTION_EVENTS: Final = Variable(
    name="FLOTILLA_RETENTION_EVENTS",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.AGE,
    meaning="How old events grow; what a session that runs, or an open order or position needs stays.",
    default="90d",
)
RETENTION_LEDGERS: Final = Variable(
    name="FLOTILLA_RETENTION_LEDGERS",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.AGE,
    meaning="How old orders, fills, positions and balances of the ledgers grow.",
    default="400d",
)
RETENTION_SESSIONS: Final = Variable(
    name="FLOTILLA_RETENTION_SESSIONS",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.AGE,
    meaning="How old sessions grow of which nothing else is on record any more; those that traded live stay.",
    default="400d",
)
RETENTION_RESULTS: Final = Variable(
    name="FLOTILLA_RETENTION_RESULTS",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.AGE,
    meaning="How old results of backtests grow.",
    default="never",
)
RECORD_BUDGET: Final = Variable(
    name="FLOTILLA_RECORD_BUDGET",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.SIZE,
    meaning="The size of the database from four fifths of which on the oldest events are deleted, then the oldest rows of ledgers, though they are younger than they may grow; nothing of the last day.",
    default="20GiB",
)
NATS_STORE: Final = Variable(
    name="FLOTILLA_NATS_STORE",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.PATH,
    meaning="The folder of JetStream, where the orchestrator sees it: the room on its disk is measured.",
    without="not measured",
)
POSTGRES_STORE: Final = Variable(
    name="FLOTILLA_POSTGRES_STORE",
    readers=(Reader.ORCHESTRATOR,),
    kind=variable.PATH,
    meaning="The folder of PostgreSQL, where the orchestrator sees it: the room on its disk is measured.",
    without="not measured",
)
HTTP_HOST: Final = Variable(
    name="FLOTILLA_HTTP_HOST",
    readers=(Reader.GATEWAY,),
    kind=variable.text("an address"),
    meaning="Where the gateway listens.",
    default="127.0.0.1",
)
HTTP_PORT: Final = Variable(
    name="FLOTILLA_HTTP_PORT",
    readers=(Reader.GATEWAY,),
    kind=variable.PORT_OR_ANY,
    meaning="Where it listens.",
    default="8001",
)
HTTP_ORIGINS: Final = Variable(
    name="FLOTILLA_HTTP_ORIGINS",
    readers=(Reader.GATEWAY,),
    kind=variable.ORIGINS,
    meaning="The web origins whose pages may call the gateway, such as `https://desk.example`.",
    without="none may",
)
HTTP_NAMES: Final = Variable(
    name="FLOTILLA_HTTP_NAMES",
    readers=(Reader.GATEWAY, Reader.COMPOSE),
    kind=variable.HOST_NAMES,
    meaning="The names by which clients may call the gateway; by its addresses, as `localhost` and by `FLOTILLA_HTTP_HOST` they always may.",
    without="no others",
)
HTTP_PUSH: Final = Variable(
    name="FLOTILLA_HTTP_PUSH",
    readers=(Reader.GATEWAY, Reader.COMPOSE),
    kind=variable.FLAG,
    meaning="With `1` administrators push and remove packages over REST; the gateway's own credential on the bus may do so then too, "
    "which says what code engines run.",
    default="0",
)
HTTP_RATE: Final = Variable(
    name="FLOTILLA_HTTP_RATE",
    readers=(Reader.GATEWAY, Reader.COMPOSE),
    kind=variable.number("requests a second", 1, 100_000),
    meaning="How often one token may ask, after five times as many at once; emergency stops are not counted.",
    default="200",
)
HTTP_CONNECTIONS: Final = Variable(
    name="FLOTILLA_HTTP_CONNECTIONS",
    readers=(Reader.GATEWAY, Reader.COMPOSE),
    kind=variable.whole("a number", 8, 100_000),
    meaning="How many connections one address may hold; everybody behind a reverse proxy has its address.",
    default="256",
)
HTTP_METRICS_ENGINES: Final = Variable(
    name="FLOTILLA_HTTP_METRICS_ENGINES",
    readers=(Reader.GATEWAY,),
    kind=variable.whole("a number", 0, 100_000),
    meaning="How many engines have series of their own in `/metrics`; more are counted in totals.",
    default="2000",
)
HTTP_METRICS_OPEN: Final = Variable(
    name="FLOTILLA_HTTP_METRICS_OPEN",
    readers=(Reader.GATEWAY, Reader.COMPOSE),
    kind=variable.FLAG,
    meaning="With `1` whoever reaches the gateway reads `/metrics` without a token, with the ids and the money of all engines: only where nobody else is.",
    default="0",
)
TOKENS_FILE: Final = Variable(
    name="FLOTILLA_TOKENS_FILE",
    readers=(Reader.GATEWAY, Reader.SUPERVISOR, Reader.CLIENT),
    kind=variable.PATH,
    meaning="The tokens that the gateway accepts, and `flotilla access` makes. The supervisor that has it lets their observers onto the bus.",
    without="`tokens.jsonl` in the state folder; a supervisor lets no observers in",
)
MAX_STREAMS: Final = Variable(
    name="FLOTILLA_MAX_STREAMS",
    readers=(Reader.GATEWAY,),
    kind=variable.whole("a number", 1, 100_000),
    meaning="How many clients may follow streams at the same time.",
    default="500",
)

# The notifier.
ALIVE_SECRET: Final = Variable(
    name="FLOTILLA_ALIVE_SECRET",
    readers=(Reader.NOTIFIER, Reader.COMPOSE),
    kind=variable.NAME,
    meaning="The secret whose `url` the notifier calls while it and its bus are well: who is not called any more knows that nobody would be told.",
    without="none is called",
)
ALIVE_S: Final = Variable(
    name="FLOTILLA_ALIVE_S",
    readers=(Reader.NOTIFIER, Reader.COMPOSE),
    kind=variable.number("seconds", 1, 86_400),
    meaning="How often it does so.",
    default="60",
)

# The supervisor of a host.
HOST: Final = Variable(
    name="FLOTILLA_HOST",
    readers=(Reader.SUPERVISOR, Reader.COMPOSE),
    kind=variable.ID,
    meaning="The host's name in the fleet.",
    without="made from the machine's name; `local` in `deploy/compose.yaml`",
)
HOST_LABELS: Final = Variable(
    name="FLOTILLA_HOST_LABELS",
    readers=(Reader.SUPERVISOR, Reader.COMPOSE),
    kind=variable.LABELS,
    meaning="The host's labels, such as `desk=rates,zone=b`; `host ls --label` finds it by them.",
    without="none",
)
OWNER: Final = Variable(
    name="FLOTILLA_OWNER",
    readers=(Reader.SUPERVISOR,),
    kind=variable.ID,
    meaning="Marks what is ours: two supervisors of one Docker engine need different ones.",
    default="flotilla",
)
RUNTIME: Final = Variable(
    name="FLOTILLA_RUNTIME",
    readers=(Reader.SUPERVISOR,),
    kind=variable.choice(RuntimeChoice),
    meaning="What engines run in. `auto` takes Docker when its engine answers and has the image, else local processes.",
    default="auto",
)
DOCKER_URL: Final = Variable(
    name="FLOTILLA_DOCKER_URL",
    readers=(Reader.SUPERVISOR,),
    kind=variable.URL,
    meaning="The Docker engine.",
    without="`DOCKER_HOST`, else `unix:///var/run/docker.sock`",
)
ENGINE_IMAGE: Final = Variable(
    name="FLOTILLA_ENGINE_IMAGE",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("an image"),
    meaning="What engines in containers are started from.",
    default="flotilla-engine:latest",
)
NETWORK: Final = Variable(
    name="FLOTILLA_NETWORK",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("a name"),
    meaning="The Docker network on which engines reach the bus, and nothing else. `flotilla up` gives a second fleet on a host one of its own.",
    default="flotilla-bus",
)
NETWORK_SUBNET: Final = Variable(
    name="FLOTILLA_NETWORK_SUBNET",
    readers=(Reader.SUPERVISOR,),
    kind=variable.ADDRESS_RANGE,
    meaning="Of that network.",
    default="10.231.0.0/24",
)
EGRESS_NETWORK: Final = Variable(
    name="FLOTILLA_EGRESS_NETWORK",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("a name"),
    meaning="The Docker network that leads outside, for engines that need venues.",
    default="flotilla-egress",
)
EGRESS_SUBNET: Final = Variable(
    name="FLOTILLA_EGRESS_SUBNET",
    readers=(Reader.SUPERVISOR,),
    kind=variable.ADDRESS_RANGE,
    meaning="Of that network.",
    default="10.231.1.0/24",
)
CATALOG_TARGET: Final = Variable(
    name="FLOTILLA_CATALOG_TARGET",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("a path"),
    meaning="Where the catalog is within containers.",
    default="/app/data",
)
CATALOG_FOLDER: Final = Variable(
    name="FLOTILLA_CATALOG_FOLDER",
    readers=(Reader.SUPERVISOR,),
    kind=variable.PATH,
    meaning="Where the supervisor itself finds the catalog when it is a Docker volume, to keep what is uploaded for imports.",
    without="the path in `FLOTILLA_CATALOG`; no imports over bus and REST into a volume",
)
ENGINE_NATS_URL: Final = Variable(
    name="FLOTILLA_ENGINE_NATS_URL",
    readers=(Reader.SUPERVISOR,),
    kind=variable.BUS_URL,
    meaning="The bus as engines in containers reach it.",
    without="port 4222 of the first address in `FLOTILLA_NETWORK_SUBNET`",
)
ENGINE_COMMAND: Final = Variable(
    name="FLOTILLA_ENGINE_COMMAND",
    readers=(Reader.SUPERVISOR,),
    kind=variable.WORDS,
    meaning="What containers run instead of the image's command.",
    without="the image's command",
)
PROCESS_COMMAND: Final = Variable(
    name="FLOTILLA_PROCESS_COMMAND",
    readers=(Reader.SUPERVISOR,),
    kind=variable.WORDS,
    meaning="What is started for an engine that is a local process.",
    without="the sidecar of this installation",
)
SIGNING_KEY: Final = Variable(
    name="FLOTILLA_SIGNING_KEY",
    readers=(Reader.SUPERVISOR,),
    kind=variable.PATH,
    meaning="File with the key that signs the engines' NATS credentials; needs `FLOTILLA_ACCOUNT` and `FLOTILLA_ENGINES_ACCOUNT`.",
    without="engines get no credentials",
)
ACCOUNT: Final = Variable(
    name="FLOTILLA_ACCOUNT",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("the public key of a NATS account"),
    meaning="The account of the fleet's services, whose commands engines obey.",
    without="engines obey whoever reaches them",
)
ENGINES_ACCOUNT: Final = Variable(
    name="FLOTILLA_ENGINES_ACCOUNT",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("the public key of a NATS account"),
    meaning="The account that the engines' credentials are for.",
    without="engines get no credentials",
)
CREDENTIAL_S: Final = Variable(
    name="FLOTILLA_CREDENTIAL_S",
    readers=(Reader.SUPERVISOR,),
    kind=variable.whole("seconds", 5, 86_400),
    meaning="How many seconds an engine's bus credential is good for; it is renewed when a third of that is over.",
    default="3600",
)
SECRETS: Final = Variable(
    name="FLOTILLA_SECRETS",
    readers=(Reader.SUPERVISOR, Reader.NOTIFIER, Reader.CLIENT),
    kind=variable.PATH,
    meaning="The folder of the secret store.",
    without="`secrets` in the state folder",
)
SECRETS_KEY_FILE: Final = Variable(
    name="FLOTILLA_SECRETS_KEY_FILE",
    readers=(Reader.SUPERVISOR, Reader.NOTIFIER, Reader.CLIENT),
    kind=variable.PATH,
    meaning="File with the keys of the secret store, such as a systemd credential or a Docker secret. It is made when there is none.",
    without="`keys/secrets.key` in the state folder",
)
REDIS_URL: Final = Variable(
    name="FLOTILLA_REDIS_URL",
    readers=(Reader.SUPERVISOR,),
    kind=variable.URL,
    meaning="Redis as an administrator reaches it; engines keep their state there.",
    without="the host has no Redis",
)
REDIS_PASSWORD_FILE: Final = Variable(
    name="FLOTILLA_REDIS_PASSWORD_FILE",
    readers=(Reader.SUPERVISOR,),
    kind=variable.PATH,
    meaning="File with the administrator's password of Redis.",
    without="no password",
)
ENGINE_REDIS_HOST: Final = Variable(
    name="FLOTILLA_ENGINE_REDIS_HOST",
    readers=(Reader.SUPERVISOR,),
    kind=variable.text("an address"),
    meaning="Redis as engines reach it.",
    without="that of `FLOTILLA_REDIS_URL`",
)
ENGINE_REDIS_PORT: Final = Variable(
    name="FLOTILLA_ENGINE_REDIS_PORT",
    readers=(Reader.SUPERVISOR,),
    kind=variable.PORT,
    meaning="Redis as engines reach it.",
    without="that of `FLOTILLA_REDIS_URL`",
)

# An engine's container or process.
HEARTBEAT_FILE: Final = Variable(
    name="FLOTILLA_HEARTBEAT_FILE",
    readers=(Reader.SIDECAR,),
    kind=variable.PATH,
    meaning="A file that is touched with every heartbeat, for the container's health check.",
    without="`heartbeat` in `$TMPDIR`, else in the system's temporary folder",
)
ENGINE_FOLDERS: Final = Variable(
    name="FLOTILLA_ENGINE_FOLDERS",
    readers=(Reader.ENGINE,),
    kind=variable.PATHS,
    meaning="The only folders below which engines and trials may write; set in containers, where they also stand back behind their sidecar.",
    without="anywhere, as far as their account may",
)
WHEELS_FOLDER: Final = Variable(
    name="FLOTILLA_WHEELS_FOLDER",
    readers=(Reader.SIDECAR, Reader.ENGINE),
    kind=variable.PATH,
    meaning="Where the wheels that packages need are unpacked; set in containers, where nothing can be loaded from `/tmp`.",
    without="in `$TMPDIR`, else in the system's temporary folder",
)
QUEUE_EVENTS: Final = Variable(
    name="FLOTILLA_QUEUE_EVENTS",
    readers=(Reader.SIDECAR,),
    kind=variable.whole("a number", 1, 10_000_000),
    meaning="How many events are kept while the bus is away; states and alerts have room beyond.",
    default="100000",
)
FLUSH_S: Final = Variable(
    name="FLOTILLA_FLUSH_S",
    readers=(Reader.SIDECAR,),
    kind=variable.number("seconds", 0, 86_400),
    meaning="How long a sidecar whose engine or worker has ended waits for the bus to take one more of its events.",
    default="120",
)
STRATEGY_PATH: Final = Variable(
    name="FLOTILLA_STRATEGY_PATH",
    readers=(Reader.ENGINE, Reader.CLIENT),
    kind=variable.PATHS,
    meaning="Folders with modules of your own strategies, for engines that are local processes.",
    without="for a stack on this machine, what PYTHONPATH was when it was started",
)

# The stack in containers, and what builds it.
PROJECT: Final = Variable(
    name="FLOTILLA_PROJECT",
    readers=(Reader.COMPOSE,),
    kind=variable.text("a name"),
    meaning="Names the project, its networks, its catalog and what is its own.",
    default="flotilla",
)
TAG: Final = Variable(
    name="FLOTILLA_TAG",
    readers=(Reader.COMPOSE,),
    kind=variable.text("a tag"),
    meaning="Of all images of the stack.",
    default="latest",
)
HTTP: Final = Variable(
    name="FLOTILLA_HTTP",
    readers=(Reader.COMPOSE,),
    kind=variable.text("address:port"),
    meaning="Where the gateway is published on the Docker host.",
    default="127.0.0.1:8001",
)
SUBNET: Final = Variable(
    name="FLOTILLA_SUBNET",
    readers=(Reader.COMPOSE,),
    kind=variable.ADDRESS_RANGE,
    meaning="Of the network of engines.",
    default="10.232.0.0/24",
)
GATEWAY: Final = Variable(
    name="FLOTILLA_GATEWAY",
    readers=(Reader.COMPOSE,),
    kind=variable.text("an address"),
    meaning="The address in that range under which engines reach the bus and Redis.",
    default="10.232.0.1",
)
BASE_IMAGE: Final = Variable(
    name="FLOTILLA_BASE_IMAGE",
    readers=(Reader.COMPOSE, Reader.BUILD),
    kind=variable.text("an image"),
    meaning="What the images of the stack are built on. `scripts/compose` takes `flotilla-base:trixie` where only that one is here.",
    default="python:3.13-slim-trixie",
)
DEBIAN_MIRROR: Final = Variable(
    name="FLOTILLA_DEBIAN_MIRROR",
    readers=(Reader.BUILD,),
    kind=variable.URL,
    meaning="The Debian mirror for packages and for a base image that is built here.",
    without="that of this machine's apt",
)
PULL_SECONDS: Final = Variable(
    name="FLOTILLA_PULL_SECONDS",
    readers=(Reader.BUILD,),
    kind=variable.text("seconds"),
    meaning="How long it is tried to pull the base image of engines.",
    default="60",
)
REQUIRE_DOCKER: Final = Variable(
    name="FLOTILLA_REQUIRE_DOCKER",
    readers=(Reader.SCRIPTS,),
    kind=variable.text("`1` or nothing"),
    meaning="With `1`, tests fail without a Docker engine instead of being skipped.",
    without="skipped",
)
REQUIRE_BROWSER: Final = Variable(
    name="FLOTILLA_REQUIRE_BROWSER",
    readers=(Reader.SCRIPTS,),
    kind=variable.text("`1` or nothing"),
    meaning="With `1`, tests fail without Chromium and `make check` without the dashboard's Node, instead of leaving them out.",
    without="left out",
)
REQUIRE_PROMTOOL: Final = Variable(
    name="FLOTILLA_REQUIRE_PROMTOOL",
    readers=(Reader.SCRIPTS,),
    kind=variable.text("`1` or nothing"),
    meaning="With `1`, `make check` fails without promtool instead of leaving the rules for Prometheus unchecked.",
    without="left out",
)
TEST_JOBS: Final = Variable(
    name="FLOTILLA_TEST_JOBS",
    readers=(Reader.SCRIPTS,),
    kind=variable.text("a number"),
    meaning="Tests that run at the same time.",
    default="3",
)
DOCKERD_LOG: Final = Variable(
    name="FLOTILLA_DOCKERD_LOG",
    readers=(Reader.SCRIPTS,),
    kind=variable.PATH,
    meaning="Where the Docker engine that `scripts/docker-engine` starts logs.",
    default="/var/log/dockerd.log",
)
DOCKERD_WAIT_SECONDS: Final = Variable(
    name="FLOTILLA_DOCKERD_WAIT_SECONDS",
    readers=(Reader.SCRIPTS,),
    kind=variable.text("seconds"),
    meaning="How long `scripts/docker-engine` waits for it.",
    default="60",
)

VARIABLES: Final[tuple[Variable[Any], ...]] = tuple(
    row for row in list(vars().values()) if isinstance(row, Variable)
)


def state_folder(env: Mapping[str, str] = os.environ) -> Path:
    """The state folder of a service."""
    return STATE.given(env) or Path(env.get("HOME", "/")) / ".local/state/flotilla"
