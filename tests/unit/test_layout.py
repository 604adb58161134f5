"""What CONTRIBUTING says of who may import whom is found out by `make check`: each violation is planted in a copy of the tree."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PACKAGES = (
    "schemas",
    "bus",
    "services",
    "engine_sidecar",
    "templates",
    "data",
    "flotilla",
    "benchmarks",
    "exchanges",
)

IMPORTS = [
    # (what is planted where, the contract that must name it)
    ("schemas/ids.py", "import flotilla.bus.logs", "What is said lies under how it is said"),
    ("bus/logs.py", "import flotilla.state.exits", "What is said lies under how it is said"),
    (
        "services/gateway/settings.py",
        "import flotilla.services.supervisor.settings",
        "Actors never import each other",
    ),
    ("flotilla/client/retry.py", "import flotilla.show.tables", "What is said lies under how it is said"),
    (
        "services/gateway/web/links.py",
        "import flotilla.services.gateway.engines.views",
        "The rooms of the gateway",
    ),
    (
        "services/orchestrator/engines/ledger.py",
        "import flotilla.services.orchestrator.backtests.reads",
        "The rooms of the orchestrator",
    ),
    (
        "services/orchestrator/engines/commands.py",
        "from flotilla.services.orchestrator.adapters.postgres import PostgresRecord",
        "Handlers and rooms know ports",
    ),
    (
        "services/notifier/ledger.py",
        "import flotilla.services.notifier.watching",
        "The rooms of the notifier",
    ),
    (
        "services/notifier/handlers.py",
        "import flotilla.services.notifier.adapters.postgres",
        "The notifier's handlers know ports",
    ),
    ("services/postgres/migrating.py", "import flotilla.services.notifier.ports", "What services share"),
    ("services/notifier/delivering.py", "import apprise", "Apprise has one home"),
    (
        "services/supervisor/handlers.py",
        "import flotilla.services.supervisor.adapters.docker_client",
        "The supervisor's handlers know ports",
    ),
    (
        "engine_sidecar/outbox/outbox.py",
        "import flotilla.engine_sidecar.session.settings",
        "The rooms of the sidecar",
    ),
    (
        "engine_sidecar/replay/feed.py",
        "import flotilla.engine_sidecar.backtest.results",
        "The rooms of NautilusTrader's processes",
    ),
    (
        "engine_sidecar/session/telemetry.py",
        "import flotilla.engine_sidecar.replay.streams",
        "The sidecar's process knows nothing of NautilusTrader's",
    ),
    (
        "engine_sidecar/process/forked.py",
        "import numpy",
        "The sidecar's process knows nothing of NautilusTrader's",
    ),
    ("engine_sidecar/outbox/journal.py", "import pandas", "NautilusTrader has one home"),
    (
        "engine_sidecar/confinement/confine.py",
        "import flotilla.engine_sidecar.link.frames",
        "The rooms of the sidecar",
    ),
    (
        "engine_sidecar/engine/tap.py",
        "import flotilla.engine_sidecar.session.settings",
        "NautilusTrader's processes know nothing of the sidecar's",
    ),
    ("services/orchestrator/engines/core/choosing.py", "import time", "Cores decide"),
    ("services/orchestrator/templates/core/rendering.py", "import logging", "Cores decide"),
    ("services/supervisor/core/adopt.py", "from flotilla.bus.logs import get_logger", "Cores decide"),
    ("engine_sidecar/session/core/facts.py", "import os", "Cores decide"),
    ("services/gateway/live/hosts.py", "import nats", "NATS has one home"),
    ("services/supervisor/launching.py", "import nacl", "Ciphers have one home"),
    ("services/supervisor/service.py", "import flotilla.client.retry", "Actors know the bus, not the client"),
    ("services/orchestrator/engines/stores.py", "import docker", "Docker has one home"),
    ("services/supervisor/watcher.py", "import docker", "Docker has one home"),
    ("services/orchestrator/engines/audit.py", "import asyncpg", "PostgreSQL has one home"),
    ("flotilla/stack/stack.py", "import aiohttp", "HTTP has one home"),
    ("engine_sidecar/engine/cache_watch.py", "import redis", "Redis has one home"),
    ("services/gateway/fleet/alerts.py", "import prometheus_client", "Prometheus has one home"),
    ("bus/settings.py", "import click", "What is typed has one home"),
    ("exchanges/binance/rest.py", "import flotilla.schemas.ids", "Exchanges know nothing of the product"),
    ("exchanges/core/prices.py", "import time", "Cores decide"),
    ("exchanges/core/faults.py", "import exchanges.control", "The rooms of the exchanges"),
    ("exchanges/interactive_brokers/core/bars.py", "import socket", "Cores decide"),
    ("exchanges/interactive_brokers/link.py", "import exchanges.binance.rest", "The rooms of the exchanges"),
]
# A module that another of its room imports, and what it imports of it: only these two are at fault.
CIRCLE = ("bus/tasks.py", "import flotilla.bus.host", "No circles")
CALLS = [
    (
        "services/orchestrator/engines/core/choosing.py",
        "import datetime\nNOW = datetime.datetime.now(datetime.UTC)",
    ),
    ("services/orchestrator/backtests/core/pages.py", "import random\nCHANCE = random.random()"),
    ("services/supervisor/core/adopt.py", "print('adopted')"),
    ("engine_sidecar/session/core/facts.py", "HELD = open('held')"),
    ("exchanges/binance/core/rules.py", "print('ruled')"),
]


def planted(to: Path, plants: list[tuple[str, str]]) -> Path:
    """A copy of the tree with `plants`, each a file and what is put at its end."""
    for package in PACKAGES:
        shutil.copytree(
            CHECKOUT / package,
            to / package,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "generated"),
        )
    for file in ("pyproject.toml", "cores.ruff.toml", "Makefile"):
        shutil.copy(CHECKOUT / file, to)
    (to / ".venv").symlink_to(Path(sys.prefix))
    for file, text in plants:
        path = to / file
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{text}\n")
    return to


def step_of_check(tree: Path, part: str) -> subprocess.CompletedProcess[str]:
    """Runs the one line of `make check` that has `part` in it, in `tree`."""
    lines = subprocess.run(
        ["make", "-n", "check"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    (line,) = [line for line in lines if part in line]
    return subprocess.run(
        ["sh", "-c", line],
        cwd=tree,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "COLUMNS": "500", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def section_of(broken: str, contract: str) -> str:
    """What is said of one broken contract; nothing of one that is kept."""
    return broken.partition(f"\n{contract}")[2].partition("\n---")[2].partition("\n---")[0]


def test_no_contract_goes_unbroken_here() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = [contract["name"] for contract in contracts]
    broken = {name for name in names for _, _, planted in (*IMPORTS, CIRCLE) if name.startswith(planted)}
    assert set(names) - broken == set()


def test_each_import_that_breaks_the_layout_is_found_by_make_check(tmp_path: Path) -> None:
    tree = planted(tmp_path, [(file, line) for file, line, _ in (*IMPORTS, CIRCLE)])
    done = step_of_check(tree, "lint-imports")
    assert done.returncode == 1, done.stdout
    broken = done.stdout.partition("Broken contracts\n")[2]
    for file, line, contract in IMPORTS:
        importer, imported = f"flotilla.{file.removesuffix('.py').replace('/', '.')}", line.split()[1]
        importer = importer.replace("flotilla.flotilla.", "flotilla.").replace(
            "flotilla.exchanges.", "exchanges."
        )
        section = section_of(broken, contract)
        assert section, f"{contract}: kept, with `{line}` in {file}"
        assert f"{importer} -> {imported} (l." in section, f"{contract}: does not name {file}"
    # Of a circle it names, by room, what would have to go.
    room = section_of(broken, CIRCLE[2]).partition("No cycles are allowed in flotilla.bus.\n")[2]
    assert "\n- .tasks -> .host (1 import)\n" in room.partition("No cycles are allowed")[0], room


def test_each_call_that_no_core_may_make_is_found_by_make_check(tmp_path: Path) -> None:
    tree = planted(tmp_path, CALLS)
    done = step_of_check(tree, "cores.ruff.toml")
    assert done.returncode == 1, done.stdout
    for file, _ in CALLS:
        assert f"{file}:" in done.stdout, f"nothing is said of {file}"


def test_what_python_311_cannot_parse_is_found_in_what_the_client_imports(tmp_path: Path) -> None:
    line = "type Planted = int"
    files = ("flotilla/client/retry.py", "bus/tasks.py", "schemas/ids.py", "templates/__init__.py")
    tree = planted(tmp_path, [(file, line) for file in (*files, "services/supervisor/watcher.py")])
    done = step_of_check(tree, "ruff check .")
    assert done.returncode == 1, done.stdout
    found = [part.partition(":")[0] for part in done.stdout.split("--> ")[1:]]
    assert sorted(found) == sorted(files), done.stdout
