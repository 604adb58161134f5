"""The table of FLOTILLA_* variables: each that is read is in it, each in it is read, and its default is the one that holds."""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from flotilla.engine_sidecar.session.settings import Settings
from flotilla.schemas.environment import VARIABLES, Reader
from flotilla.schemas.export import environment_table
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.orchestrator.settings import OrchestratorSettings
from flotilla.services.supervisor.settings import SupervisorSettings

CHECKOUT = Path(__file__).parents[3]
PRODUCT = ("bus", "schemas", "services", "engine_sidecar", "templates", "data", "flotilla")
NAMED = re.compile(r"\AFLOTILLA_[A-Z_]+\Z")
IN_SHELL = re.compile(r"\$\{?(FLOTILLA_[A-Z_]+)")

READ_IN = {
    Reader.ORCHESTRATOR: {"services/orchestrator/settings.py"},
    Reader.SUPERVISOR: {"services/supervisor/settings.py"},
    Reader.GATEWAY: {"services/gateway/settings.py"},
    Reader.SERVICES: {"bus/settings.py", "bus/host.py"},
    Reader.CLIENT: {
        "flotilla/state/settings.py",
        "flotilla/state/folder.py",
        "flotilla/state/environment.py",
        "flotilla/cli/commands/emergency.py",
    },
    Reader.SIDECAR: {"engine_sidecar/session/settings.py"},
    Reader.ENGINE: {"engine_sidecar/strategies/import_path.py"},
    Reader.ACCEPTANCE: {"test-engine-integration.py"},
    Reader.COMPOSE: {"deploy/compose.yaml"},
    Reader.BUILD: {"deploy/build-base.sh", "deploy/build-engine.sh", "scripts/compose"},
    Reader.SCRIPTS: {"scripts/test", "scripts/docker-engine"},
}
# What these name they give to others, pass on, or tell people of.
GIVERS = {
    "flotilla/stack/services.py",
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
        "FLOTILLA_NATS_STORE": "/x",
        "FLOTILLA_POSTGRES_STORE": "/x",
    },
    Reader.SUPERVISOR: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_NATS_URL": "nats://x",
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_CATALOG": "/x",
        "FLOTILLA_HOST": "x-1",
        "FLOTILLA_OWNER": "x-1",
        "FLOTILLA_RUNTIME": "process",
        "FLOTILLA_DOCKER_URL": "unix:///x",
        "FLOTILLA_ENGINE_IMAGE": "x:1",
        "FLOTILLA_NETWORK": "x",
        "FLOTILLA_NETWORK_SUBNET": "10.1.0.0/24",
        "FLOTILLA_EGRESS_NETWORK": "x",
        "FLOTILLA_EGRESS_SUBNET": "10.1.0.0/24",
        "FLOTILLA_CATALOG_TARGET": "/x",
        "FLOTILLA_ENGINE_NATS_URL": "nats://x",
        "FLOTILLA_ENGINE_COMMAND": "x 'y z'",
        "FLOTILLA_PROCESS_COMMAND": "x 'y z'",
        "FLOTILLA_SIGNING_KEY": "/x",
        "FLOTILLA_ACCOUNT": ACCOUNT,
        "FLOTILLA_SECRETS": "/x",
        "FLOTILLA_REDIS_URL": "redis://x",
        "FLOTILLA_REDIS_PASSWORD_FILE": "/x",
        "FLOTILLA_ENGINE_REDIS_HOST": "x",
        "FLOTILLA_ENGINE_REDIS_PORT": "1",
    },
    Reader.GATEWAY: {
        "FLOTILLA_STATE": "/x",
        "FLOTILLA_LOG_LEVEL": "DEBUG",
        "FLOTILLA_HTTP_HOST": "0.0.0.0",
        "FLOTILLA_HTTP_PORT": "0",
        "FLOTILLA_HTTP_ORIGINS": "https://desk.example, https://two.example",
        "FLOTILLA_TOKENS_FILE": "/x",
        "FLOTILLA_MAX_STREAMS": "100000",
    },
    Reader.SIDECAR: {
        "FLOTILLA_HEARTBEAT_FILE": "/x",
        "FLOTILLA_QUEUE_EVENTS": "1",
        "FLOTILLA_FLUSH_S": "1",
    },
}
FROM_ENV: dict[Reader, Callable[[Mapping[str, str]], object]] = {
    Reader.ORCHESTRATOR: OrchestratorSettings.from_env,
    Reader.SUPERVISOR: SupervisorSettings.from_env,
    Reader.GATEWAY: GatewaySettings.from_env,
    Reader.SIDECAR: Settings.from_env,
}


def read(reader: Reader, env: Mapping[str, str]) -> object:
    return FROM_ENV[reader]({"HOME": "/home/ann", "TMPDIR": "/tmp", **env})


def named() -> dict[str, set[str]]:
    """Variable → the files that name it: as a string of its own in Python, or as `$NAME` in what builds and runs the stack."""
    found: dict[str, set[str]] = {}
    python = [
        path for folder in PRODUCT for path in (CHECKOUT / folder).rglob("*.py", recurse_symlinks=False)
    ]
    for path in (*python, CHECKOUT / "test-engine-integration.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.match(node.value):
                found.setdefault(node.value, set()).add(path.relative_to(CHECKOUT).as_posix())
    for path in (each for folder in ("deploy", "scripts") for each in (CHECKOUT / folder).iterdir()):
        if path.is_file():
            for name in IN_SHELL.findall(path.read_text()):
                found.setdefault(name, set()).add(path.relative_to(CHECKOUT).as_posix())
    return found


def test_every_variable_that_is_named_is_in_the_table_and_no_other() -> None:
    rows = [row.name for row in VARIABLES]
    assert sorted(rows) == sorted(named())


def test_each_variable_is_read_by_those_whom_the_table_names_and_by_nobody_else() -> None:
    files = named()
    for row in VARIABLES:
        theirs = [READ_IN[reader] for reader in row.readers]
        assert all(files[row.name] & some for some in theirs), f"{row.name}: one of {row.readers} does not"
        others = files[row.name] - set().union(*theirs) - GIVERS
        # The stack in containers hands some of its own environment on to the service that reads it.
        assert others <= {"deploy/compose.yaml"}, f"{row.name} is named by {others} too"


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
    assert "| `FLOTILLA_HTTP_PORT` | gateway | port; 0 is any free one | `8001` |" in page
