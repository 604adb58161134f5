"""The table of FLOTILLA_* variables: each that is read is in it, each in it is read, and its default is the one that holds."""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flotilla.bus.settings import BusSettings
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.schemas import environment
from flotilla.schemas.environment import VARIABLES
from flotilla.schemas.export import environment_table
from flotilla.schemas.variable import Reader, Variable
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.notifier.settings import NotifierSettings
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.supervisor.settings import SupervisorSettings

CHECKOUT = Path(__file__).parents[3]
PRODUCT = ("bus", "schemas", "services", "engine_sidecar", "templates", "data", "flotilla")
NAMED = re.compile(r"\AFLOTILLA_[A-Z_]+\Z")
IN_SHELL = re.compile(r"\$\{?(FLOTILLA_[A-Z_]+)")

READ_IN = {
    Reader.ORCHESTRATOR: {"services/orchestrator/settings.py"},
    Reader.SUPERVISOR: {"services/supervisor/settings.py", "services/supervisor/prepare.py"},
    Reader.NOTIFIER: {"services/notifier/settings.py"},
    Reader.GATEWAY: {"services/gateway/settings.py"},
    Reader.SERVICES: {"bus/settings.py", "bus/host.py"},
    Reader.CLIENT: {
        "bus/settings.py",
        "flotilla/state/settings.py",
        "flotilla/state/folder.py",
        "flotilla/state/environment.py",
        "flotilla/state/secret_places.py",
        "flotilla/cli/commands/access.py",
        "flotilla/cli/commands/emergency.py",
        "flotilla/cli/options.py",
    },
    Reader.SIDECAR: {"engine_sidecar/session/settings.py"},
    Reader.ENGINE: {
        "engine_sidecar/strategies/import_path.py",
        "engine_sidecar/fork/zygote.py",
        "engine_sidecar/checking/__main__.py",
    },
    Reader.ACCEPTANCE: {"test-engine-integration.py"},
    Reader.COMPOSE: {"deploy/compose.yaml"},
    Reader.BUILD: {"deploy/build-base.sh", "deploy/build-engine.sh", "scripts/compose"},
    Reader.SCRIPTS: {"scripts/test", "scripts/docker-engine", "scripts/promtool", "scripts/dashboard"},
}
TABLE = "schemas/environment.py"
# What these name they give to others, pass on, or tell people of.
GIVERS = {
    "flotilla/stack/services.py",
    "flotilla/stack/provision.py",
    "flotilla/stack/runtime.py",
    "services/supervisor/adapters/process_spawn.py",
    "services/supervisor/adapters/docker_network.py",
}

ACCOUNT = "A" * 56
OTHER: dict[Reader, dict[str, str]] = {
    # Of each variable a value that is not its default, so that reading it shows.
    Reader.ORCHESTRATOR: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_CATALOG": "/x",
        "FLOTILLA_POSTGRES_DSN": "postgresql://u@h/d",
        "FLOTILLA_POSTGRES_PASSWORD_FILE": "/x",
        "FLOTILLA_TEMPLATES": "/x:/y",
        "FLOTILLA_STRATEGY_MODULES": "mine,yours.too",
        "FLOTILLA_ORPHAN_POLICY": "report",
        "FLOTILLA_ORPHAN_GRACE_S": "0",
        "FLOTILLA_LEASE_TTL_S": "5",
        "FLOTILLA_AUDIT_DAYS": "36500",
        "FLOTILLA_RETENTION_EVENTS": "36h",
        "FLOTILLA_RETENTION_LEDGERS": "never",
        "FLOTILLA_RETENTION_SESSIONS": "2y",
        "FLOTILLA_RETENTION_RESULTS": "30d",
        "FLOTILLA_RECORD_BUDGET": "512MiB",
        "FLOTILLA_NATS_STORE": "/x",
        "FLOTILLA_POSTGRES_STORE": "/x",
    },
    Reader.SUPERVISOR: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_NATS_URL": "tls://x",
        "FLOTILLA_NATS_CA": __file__,
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_CATALOG": "/x",
        "FLOTILLA_HOST": "x-1",
        "FLOTILLA_HOST_LABELS": "zone=b",
        "FLOTILLA_OWNER": "x-1",
        "FLOTILLA_RUNTIME": "process",
        "FLOTILLA_DOCKER_URL": "unix:///x",
        "FLOTILLA_ENGINE_IMAGE": "x:1",
        "FLOTILLA_NETWORK": "x",
        "FLOTILLA_NETWORK_SUBNET": "10.1.0.0/24",
        "FLOTILLA_EGRESS_NETWORK": "x",
        "FLOTILLA_EGRESS_SUBNET": "10.1.0.0/24",
        "FLOTILLA_CATALOG_FOLDER": "/x",
        "FLOTILLA_CATALOG_TARGET": "/x",
        "FLOTILLA_ENGINE_NATS_URL": "tls://x",
        "FLOTILLA_ENGINE_COMMAND": "x 'y z'",
        "FLOTILLA_PROCESS_COMMAND": "x 'y z'",
        "FLOTILLA_SIGNING_KEY": "/x",
        "FLOTILLA_ACCOUNT": ACCOUNT,
        "FLOTILLA_ENGINES_ACCOUNT": ACCOUNT,
        "FLOTILLA_CREDENTIAL_S": "60",
        "FLOTILLA_SECRETS": "/x",
        "FLOTILLA_SECRETS_KEY_FILE": "/x",
        "FLOTILLA_TOKENS_FILE": "/x",
        "FLOTILLA_REDIS_URL": "redis://x",
        "FLOTILLA_REDIS_PASSWORD_FILE": "/x",
        "FLOTILLA_ENGINE_REDIS_HOST": "x",
        "FLOTILLA_ENGINE_REDIS_PORT": "1",
    },
    Reader.NOTIFIER: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_POSTGRES_DSN": "postgresql://x@x/x",
        "FLOTILLA_POSTGRES_PASSWORD_FILE": "/x",
        "FLOTILLA_SECRETS": "/x",
        "FLOTILLA_SECRETS_KEY_FILE": "/x",
        "FLOTILLA_ALIVE_SECRET": "alive",
        "FLOTILLA_ALIVE_S": "1",
    },
    Reader.GATEWAY: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_HTTP_HOST": "0.0.0.0",
        "FLOTILLA_HTTP_PORT": "0",
        "FLOTILLA_HTTP_ORIGINS": "https://desk.example, https://two.example",
        "FLOTILLA_HTTP_NAMES": "Desk.example, two",
        "FLOTILLA_HTTP_METRICS_ENGINES": "1",
        "FLOTILLA_HTTP_METRICS_OPEN": "1",
        "FLOTILLA_HTTP_PUSH": "1",
        "FLOTILLA_HTTP_RATE": "1",
        "FLOTILLA_HTTP_CONNECTIONS": "8",
        "FLOTILLA_TOKENS_FILE": "/x",
        "FLOTILLA_MAX_STREAMS": "100000",
    },
    Reader.SIDECAR: {
        "FLOTILLA_HEARTBEAT_FILE": "/x",
        "FLOTILLA_QUEUE_EVENTS": "1",
        "FLOTILLA_FLUSH_S": "1",
        "FLOTILLA_WHEELS_FOLDER": "/x",
    },
}
FROM_ENV: dict[Reader, Callable[[Mapping[str, str]], object]] = {
    Reader.SERVICES: lambda env: BusSettings.from_env("x", env),
    Reader.ORCHESTRATOR: OrchestratorSettings.from_env,
    Reader.SUPERVISOR: SupervisorSettings.from_env,
    Reader.NOTIFIER: NotifierSettings.from_env,
    Reader.GATEWAY: GatewaySettings.from_env,
    Reader.SIDECAR: Settings.from_env,
}


def read(reader: Reader, env: Mapping[str, str]) -> object:
    return FROM_ENV[reader]({"HOME": "/home/ann", "TMPDIR": "/tmp", **env})


def python_files() -> list[Path]:
    return [path for folder in PRODUCT for path in (CHECKOUT / folder).rglob("*.py", recurse_symlinks=False)]


def place(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def named() -> dict[str, set[str]]:
    """Variable → the files that name it: as a string of its own in Python, or as `$NAME` in what builds and runs the stack."""
    found: dict[str, set[str]] = {}
    for path in (*python_files(), CHECKOUT / "test-engine-integration.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.match(node.value):
                found.setdefault(node.value, set()).add(place(path))
    for path in (each for folder in ("deploy", "scripts") for each in (CHECKOUT / folder).iterdir()):
        if path.is_file():
            for name in IN_SHELL.findall(path.read_text()):
                found.setdefault(name, set()).add(place(path))
    return found


def imported() -> dict[str, set[str]]:
    """Variable → the files that import its row, or what reads it for them."""
    rows = {key: row.name for key, row in vars(environment).items() if isinstance(row, Variable)}
    rows[environment.state_folder.__name__] = environment.STATE.name
    found: dict[str, set[str]] = {}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == environment.__name__:
                for name in node.names:
                    if name.name in rows:
                        found.setdefault(rows[name.name], set()).add(place(path))
    return found


def test_every_variable_that_is_named_is_in_the_table() -> None:
    assert set(named()) == {row.name for row in VARIABLES}


def test_a_row_is_called_as_its_variable_is() -> None:
    rows = {key: row for key, row in vars(environment).items() if isinstance(row, Variable)}
    assert [row.name for row in rows.values()] == [f"FLOTILLA_{key}" for key in rows]
    assert tuple(rows.values()) == VARIABLES


def test_each_variable_is_read_by_those_whom_the_table_names_and_by_nobody_else() -> None:
    rows, files = imported(), named()
    for row in VARIABLES:
        theirs = [READ_IN[reader] for reader in row.readers]
        reading = rows.get(row.name, set()) | (files[row.name] - {TABLE})
        assert all(reading & some for some in theirs), f"{row.name}: one of {row.readers} does not"
        others = reading - set().union(*theirs) - GIVERS
        # The stack in containers hands some of its own environment on to the service that reads it.
        assert others <= {"deploy/compose.yaml"}, f"{row.name} is named by {others} too"


BAD = {
    "FLOTILLA_NATS_PLAIN": ["yes", "2"],
    "FLOTILLA_NATS_URL": ["127.0.0.1:4222", "http://127.0.0.1:4222", "nats://:hunter2@", "nats://a:many"],
    "FLOTILLA_ENGINE_NATS_URL": ["10.231.0.1:4222", "nats://"],
    "FLOTILLA_LOG_LEVEL": ["LOUD"],
    "FLOTILLA_POSTGRES_DSN": ["postgresql://u:hunter2@db/flotilla", "postgresql://[hunter2"],
    "FLOTILLA_STRATEGY_MODULES": ["mine,your-s"],
    "FLOTILLA_ORPHAN_POLICY": ["kill"],
    "FLOTILLA_ORPHAN_GRACE_S": ["-1", "nan", "86401"],
    "FLOTILLA_LEASE_TTL_S": ["4", "soon"],
    "FLOTILLA_CREDENTIAL_S": ["4", "86401", "1.5", "soon"],
    "FLOTILLA_AUDIT_DAYS": ["0", "for ever"],
    "FLOTILLA_RETENTION_EVENTS": ["90", "1h", "soon", "d", "nand", "101y"],
    "FLOTILLA_RETENTION_LEDGERS": ["9"],
    "FLOTILLA_RETENTION_SESSIONS": ["1w"],
    "FLOTILLA_RETENTION_RESULTS": ["-1d", "infd"],
    "FLOTILLA_RECORD_BUDGET": ["20", "20GB", "1MiB", "infGiB", "nanGiB", "GiB"],
    "FLOTILLA_HTTP_PORT": ["many", "65536", "-1"],
    "FLOTILLA_HTTP_ORIGINS": [
        "*",
        "null",
        "https://desk.example/path",
        "https://a.example,x",
        "https://desk.example\r\nX: y",
    ],
    "FLOTILLA_HTTP_NAMES": [
        "*",
        "https://desk.example",
        "desk.example:8001",
        "a b",
        "a.example,-",
        "x\r\nY: z",
    ],
    "FLOTILLA_HTTP_METRICS_ENGINES": ["-1", "100001", "all"],
    "FLOTILLA_HTTP_METRICS_OPEN": ["yes", "2"],
    "FLOTILLA_HTTP_PUSH": ["yes", "2"],
    "FLOTILLA_ALIVE_SECRET": ["https://hc.example/abc", "Alive"],
    "FLOTILLA_ALIVE_S": ["0", "nan", "often"],
    "FLOTILLA_HTTP_RATE": ["0", "nan", "fast"],
    "FLOTILLA_HTTP_CONNECTIONS": ["7", "many"],
    "FLOTILLA_MAX_STREAMS": ["0", "100001", "1.5"],
    "FLOTILLA_HOST": ["Not.An.Id", "h1\n"],
    "FLOTILLA_HOST_LABELS": [
        "zone",
        "Zone=b",
        "zone=b,",
        "zone=b;desk=a",
        "zone=b,zone=c",
        ",".join(f"k{number}=v" for number in range(17)),
    ],
    "FLOTILLA_OWNER": ["a b"],
    "FLOTILLA_RUNTIME": ["podman"],
    "FLOTILLA_NETWORK_SUBNET": ["10.231.0.0/33", "10.231.0.5/24", "10.231.0.0/30", "fd00::/64"],
    "FLOTILLA_EGRESS_SUBNET": ["here"],
    "FLOTILLA_ENGINE_COMMAND": ["sh -c 'read"],
    "FLOTILLA_PROCESS_COMMAND": ['python "'],
    "FLOTILLA_ENGINE_REDIS_PORT": ["0", "x", "65536"],
    "FLOTILLA_QUEUE_EVENTS": ["many", "0"],
    "FLOTILLA_FLUSH_S": ["many", "-1"],
}
ANY_TEXT = {"/x", "", "x y", "é"}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_variable(name: str, text: str) -> None:
    (row,) = (row for row in VARIABLES if row.name == name)
    readers = [reader for reader in row.readers if reader in FROM_ENV]
    assert readers
    for reader in readers:
        with pytest.raises(ValueError, match=rf"\A{name} ") as caught:
            read(reader, {name: text})
        said = str(caught.value)
        assert "hunter2" not in said
        assert said.endswith(f" must be {row.kind.text.replace('`', '')}")
        assert (repr(text) in said) != row.kind.may_hold_secret


def test_what_is_in_no_list_of_values_that_do_not_fit_takes_any_text() -> None:
    for row in VARIABLES:
        if row.name not in BAD and set(row.readers) & set(FROM_ENV):
            for text in ANY_TEXT:
                row.given({row.name: text})


@pytest.mark.parametrize("reader", FROM_ENV)
def test_a_variable_that_is_empty_is_one_that_is_not_set(reader: Reader) -> None:
    rows = [row for row in VARIABLES if reader in row.readers]
    assert read(reader, {row.name: "" for row in rows}) == read(reader, {})


def test_a_variable_without_a_default_that_has_to_be_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"\AFLOTILLA_TOKEN must be set\Z"):
        environment.TOKEN.read({})


@pytest.mark.parametrize("reader", OTHER)
def test_every_variable_of_an_actor_changes_how_it_is_set_up(reader: Reader) -> None:
    rows = {row.name for row in VARIABLES if reader in row.readers}
    assert set(OTHER[reader]) == rows
    plain = read(reader, {})
    assert [name for name, text in OTHER[reader].items() if read(reader, {name: text}) == plain] == []


@pytest.mark.parametrize("reader", OTHER)
def test_the_default_in_the_table_is_what_holds_without_the_variable(reader: Reader) -> None:
    rows = [row for row in VARIABLES if reader in row.readers and row.default]
    plain = read(reader, {})
    assert [row.name for row in rows if read(reader, {row.name: row.default}) != plain] == []


def test_a_default_of_the_stack_in_containers_stands_in_its_file() -> None:
    text = (CHECKOUT / "deploy/compose.yaml").read_text()
    for row in VARIABLES:
        if row.readers[0] == Reader.COMPOSE:
            assert f"${{{row.name}:-{row.default}}}" in text


def test_every_row_says_what_holds_without_it() -> None:
    assert [row.name for row in VARIABLES if bool(row.default) == bool(row.without)] == []


def test_the_page_has_a_line_for_each_variable() -> None:
    page = environment_table()
    for row in VARIABLES:
        assert f"\n| `{row.name}` |" in page
    assert "| `FLOTILLA_HTTP_PORT` | gateway | a port, or 0 for any free one | `8001` |" in page
