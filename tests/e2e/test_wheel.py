"""The wheel as people install it: alone, in an environment of its own, beside modules of theirs that have our folders' names."""

import gzip
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    "cffi", "click", "flotilla", "markdown-it-py", "mdurl", "msgspec", "nats-py", "nkeys", "packaging", "pycparser",
    "pygments", "pynacl", "rich",
}  # fmt: skip
MOST_BYTES: Final = 20_000_000
WITHIN: Final = (
    "flotilla/py.typed",
    "flotilla/sync.py",
    "flotilla/templates/engines/sandbox_engine.json",
    "flotilla/templates/strategies/ema_cross.json",
    "flotilla/templates/venues/binance.json",
    "flotilla/services/orchestrator/adapters/queries/save_engine.sql",
    "flotilla/services/orchestrator/adapters/migrations/0001_record.sql",
    "flotilla/services/gateway/docs/page.css",
    "flotilla/services/gateway/dashboard/index.html",
    "flotilla/services/gateway/dashboard/index.html.gz",
    "flotilla/services/gateway/dashboard/favicon.svg",
    "flotilla/services/supervisor/adapters/session_shim.sh",
    "flotilla/data/spx-daily.csv.gz",
    "flotilla/engine_sidecar/__main__.py",
)
PARTS: Final = ("client", "state", "show", "cli", "stack", "demo", "bus", "schemas", "templates")
IMPORT_ALL: Final = f"""
import importlib, pkgutil
from flotilla import BacktestFailedError, EngineFailedError, Flotilla
from flotilla.sync import SyncFlotilla
for part in {PARTS}:
    package = importlib.import_module("flotilla." + part)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(Flotilla.__name__, SyncFlotilla.__name__)
"""
DECODE: Final = """
import msgspec
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.telemetry import EngineEvent, Fill
print(msgspec.json.decode(b'{"instance_id": "one", "engine_type": "sandbox"}', type=EngineConfig).instance_id)
for body, kind in ((b'{"instance_id": "UPPER"}', EngineConfig), (b'{"data": 1}', EngineEvent[Fill])):
    try:
        msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        print(error)
"""
USERS_CODE: Final = """
from flotilla import Flotilla
from flotilla.sync import SyncFlotilla

with SyncFlotilla() as fleet:
    reveal_type(fleet.engine("mine"))
    fleet.stop_engine(1.5)

async def look(fleet: Flotilla) -> None:
    reveal_type(await fleet.engine("mine"))
"""


def uv(*arguments: object, **env: object) -> None:
    """Makes what it is told to from what this checkout's own environment was made from."""
    done = subprocess.run(
        [ROOT / "scripts/uv", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **{key: str(value) for key, value in env.items()}, "UV_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class Environment:
    """A fresh one with the wheel and without extras, used from a folder of somebody whose modules must not be imported."""

    def __init__(self, root: Path, users: Path) -> None:
        self.root = root
        self.users = users

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "bin" / program, *arguments],
            cwd=self.users,
            env={"PATH": os.environ["PATH"], "HOME": str(self.users), "PYTHONPATH": str(self.users)},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("users")
    for name in ("schemas.py", "templates.py", "bus/__init__.py", "services/__init__.py", "data/__init__.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise SystemExit('not ours')\n")
    return folder


@pytest.fixture(scope="module")
def fresh(wheel: Path, users: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    root = tmp_path_factory.mktemp("fresh") / "venv"
    uv("sync", "--frozen", "--no-dev", "--no-install-project", "--python", sys._base_executable,
       UV_PROJECT_ENVIRONMENT=root)  # fmt: skip
    uv("pip", "install", "--no-deps", "--python", root / "bin/python", wheel)
    return Environment(root, users)


def test_the_wheel_has_one_name_at_its_top_and_all_that_runs_below_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names} == {"flotilla", "flotilla-0.1.0.dist-info"}
    assert not set(WITHIN) - names
    ours = {
        f"{'' if path.parts[0] == 'flotilla' else 'flotilla/'}{path}"
        for folder in ("bus", "engine_sidecar", "flotilla", "schemas", "services")
        for path in (one.relative_to(ROOT) for one in (ROOT / folder).rglob("*.py"))
    }
    assert {name for name in names if name.endswith(".py")} == ours | {"flotilla/templates/__init__.py"}
    kinds = {Path(name).suffix for name in names if not name.startswith("flotilla-")}
    assert kinds == {
        ".py",
        ".typed",
        ".json",
        ".sql",
        ".css",
        ".txt",
        ".csv",
        ".sh",
        ".gz",
        ".md",
        ".html",
        ".js",
        ".svg",
    }
    assert not [name for name in names if "/generated/" in name or "/tests/" in name]


def test_the_page_in_the_wheel_has_all_that_it_loads(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel)
    folder = "flotilla/services/gateway/dashboard"
    page = packed.read(f"{folder}/index.html").decode()
    loaded = re.findall(r'(?:src|href)="/(.+?)"', page)
    assert {path.rpartition(".")[2] for path in loaded} == {"svg", "js", "css"}, page
    built = ROOT / "services/gateway/dashboard"
    parts = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    assert parts == {
        name.removeprefix(f"{folder}/") for name in packed.namelist() if name.startswith(f"{folder}/")
    }
    assert set(loaded) <= parts
    for path in sorted(part for part in parts if not part.endswith(".gz")):
        assert gzip.decompress(packed.read(f"{folder}/{path}.gz")) == packed.read(f"{folder}/{path}")


def test_no_wheel_is_built_without_the_page(tmp_path: Path) -> None:
    described = importlib.util.spec_from_file_location("wheel_hook", ROOT / "scripts/wheel_hook.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    hook = module.DashboardHook(str(tmp_path), {}, None, None, "", "wheel")
    with pytest.raises(RuntimeError, match="make web"):
        hook.initialize("standard", {})
    page = tmp_path / "services/gateway/dashboard/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("there")
    hook.initialize("standard", {})


def test_the_client_is_light(fresh: Environment) -> None:
    (site,) = fresh.root.glob("lib/python3*/site-packages")
    found = {path.name.partition("-")[0].replace("_", "-").lower() for path in site.glob("*.dist-info")}
    assert found == PACKAGES
    size = sum(path.stat().st_size for path in site.rglob("*") if path.suffix != ".pyc" and path.is_file())
    assert size < MOST_BYTES


def test_it_is_imported_beside_modules_with_our_folders_names(fresh: Environment) -> None:
    done = fresh.run("python", "-c", IMPORT_ALL)
    assert (done.stdout, done.stderr) == ("Flotilla SyncFlotilla\n", "")


def test_a_type_checker_sees_its_types(fresh: Environment, tmp_path: Path) -> None:
    code = tmp_path / "strategy_desk.py"
    code.write_text(USERS_CODE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}",
         "--python-executable", fresh.root / "bin/python", code],
        cwd=fresh.users, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert lines == [
        'note: Revealed type is "flotilla.schemas.engine.EngineView"',
        'error: Argument 1 has incompatible type "float"; expected "str | None"  [arg-type]',
        'note: Revealed type is "flotilla.schemas.engine.EngineView"',
        "",  # the count
    ], done.stdout


def test_the_command_works_alone(fresh: Environment) -> None:
    done = fresh.run("flotilla", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Run a fleet of NautilusTrader engines." in done.stdout
    done = fresh.run("flotilla", "engine", "ls", "--state", "nowhere")
    assert done.returncode == 6
    assert "no stack runs on" in done.stderr


@pytest.mark.parametrize(
    ("command", "extras"),
    [
        ("up", ("engine", "services", "embedded")),
        ("up --detach", ("engine", "services", "embedded")),
        ("demo", ("engine", "services", "embedded")),
        ("doctor", ("engine", "services", "embedded")),
        ("data ls", ("engine",)),
        ("data check", ("engine",)),
        ("data import --sample", ("engine",)),
    ],
)
def test_what_needs_an_extra_names_it(fresh: Environment, command: str, extras: tuple[str, ...]) -> None:
    done = fresh.run("flotilla", *command.split(), "--state", "nowhere")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in said
    assert {name for name in ("engine", "services", "embedded") if f"`{name}` extra" in said} == set(extras)
    assert not (fresh.users / "nowhere").exists()


def pythons_311() -> Iterator[Path]:
    for path in (*Path.home().glob(".pyenv/versions/3.11*/bin/python"), Path("/usr/bin/python3.11")):
        if path.exists():
            yield path


@pytest.fixture(scope="module")
def older(wheel: Path, users: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """On Python 3.11, where there is one and the wheels for it are at hand."""
    python = next(pythons_311(), None)
    if python is None:
        pytest.skip("no Python 3.11 here")
    root = tmp_path_factory.mktemp("older") / "venv"
    uv("venv", "--python", python, root)
    try:
        uv("pip", "install", "--python", root / "bin/python", wheel)
    except AssertionError as error:
        pytest.skip(f"the client's packages for Python 3.11 are not at hand: {error}")
    return Environment(root, users)


def test_the_client_runs_on_python_311(older: Environment, fresh: Environment) -> None:
    done = older.run("python", "-c", IMPORT_ALL)
    assert (done.stdout, done.stderr) == ("Flotilla SyncFlotilla\n", "")
    assert older.run("flotilla", "--help").stdout == fresh.run("flotilla", "--help").stdout


def test_payloads_are_decoded_alike_on_python_311(older: Environment, fresh: Environment) -> None:
    done = older.run("python", "-c", DECODE)
    assert done.stdout.splitlines() == [
        "one",
        "Expected `str` matching regex '\\\\A[a-z0-9][a-z0-9-]{0,62}\\\\Z' - at `$.instance_id`",
        "Expected `object`, got `int` - at `$.data`",
    ]
    assert done.stdout == fresh.run("python", "-c", DECODE).stdout


def test_the_stack_is_refused_on_python_311(older: Environment) -> None:
    done = older.run("flotilla", "up", "--state", "nowhere")
    assert done.returncode == 1
    assert "install Python 3.13 and make the environment anew" in done.stderr
