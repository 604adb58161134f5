"""What is found in packages, and what becomes of those that mean harm: each in a process of its own, behind its walls."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.tags import sys_tags

from flotilla.bus.jwt import USER, Key, credentials
from flotilla.cli.new_package import project_files
from flotilla.schemas.package import EnginePython, PackageFindings, Wheel
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.session import CheckLine
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text
from flotilla.schemas.wheel_archive import OpenWheel
from tests.engine_processes import ROOT
from tests.wheels import native_wheel, wheel

PATIENCE_S = 2.5
_CHECKS = f"""
import sys
import msgspec
from flotilla.engine_sidecar.checking.__main__ import package_of
from flotilla.schemas.session import CheckLine

for line in sys.stdin.buffer:
    found = package_of(msgspec.json.decode(line, type=CheckLine), {PATIENCE_S})
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\\n")
    sys.stdout.buffer.flush()
"""
HEAD = """
from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy
from nautilus_trader.model.identifiers import InstrumentId
"""
SOUND = f"""{HEAD}
class MineConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    period: int = 5

class Mine(Strategy):
    \"\"\"Does nothing.\"\"\"
"""
_CREDS = credentials("eyJhbGciOiJFZDI1NTE5In0.e30.c2ln", Key.new(USER))

type Check = Callable[[dict[str, str]], PackageFindings]


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    """Checks one package after the other; NautilusTrader is imported once."""
    command = [sys.executable, "-c", _CHECKS]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        to, back = process.stdin, process.stdout

        def ask(files: dict[str, str]) -> PackageFindings:
            archive = pack({name: text.encode() for name, text in files.items()})
            to.write(msgspec.json.encode(CheckLine(archives=(archive,), is_package=True)) + b"\n")
            to.flush()
            return msgspec.json.decode(back.readline(), type=PackageFindings)

        yield ask


def test_a_strategy_is_found_described_and_built(check: Check) -> None:
    found = check({"mine.py": SOUND})
    assert found.problems == ()
    (strategy,) = found.strategies
    assert (strategy.strategy_path, strategy.config_path) == ("mine:Mine", "mine:MineConfig")
    assert (strategy.description, list(strategy.parameters)) == ("Does nothing.", ["instrument_id", "period"])
    assert strategy.parameters["instrument_id"].required


def test_modules_data_files_and_several_strategies_are_one_package(check: Check) -> None:
    files = {
        "src/desk/__init__.py": "",
        "src/desk/table.csv": "7",
        "src/desk/base.py": f"{HEAD}\nclass Base(Strategy): pass\n",
        "src/desk/one.py": f"""{HEAD}
from pathlib import Path
from desk.base import Base
class SharedConfig(StrategyConfig, frozen=True):
    period: int = int(Path(__file__).with_name("table.csv").read_text())
class One(Base):
    def __init__(self, config: SharedConfig) -> None:
        super().__init__(config)
class _Hidden(One): pass
""",
        "src/desk/two.py": f"{HEAD}\nfrom .base import Base\nclass TwoConfig(StrategyConfig, frozen=True): pass\nclass Two(Base): pass\n",
        "tests/test_it.py": "raise SystemExit('a test is not imported')",
    }
    found = check(files)
    assert found.problems == ()
    assert [each.strategy_path for each in found.strategies] == ["desk.one:One", "desk.two:Two"]
    assert found.strategies[0].config_path == "desk.one:SharedConfig"
    assert found.strategies[0].parameters["period"].default == 7


def test_a_strategy_that_refuses_made_up_values_is_a_note_and_one_that_refuses_its_own_is_refused(
    check: Check,
) -> None:
    source = f"""{HEAD}
class MineConfig(StrategyConfig, frozen=True):
    name: str
class Mine(Strategy):
    def __init__(self, config):
        super().__init__(config)
        raise ValueError("no such name")
"""
    found = check({"mine.py": source})
    assert found.problems == ()
    assert any("made-up values of name: ValueError: no such name" in note for note in found.notes)
    found = check({"mine.py": source.replace("name: str", 'name: str = "me"')})
    assert "it cannot be built: ValueError: no such name" in found.problems[0].message


@pytest.mark.parametrize(
    ("files", "field", "words"),
    [
        ({"mine.py": "def broken(:"}, "mine", "SyntaxError"),
        ({"mine.py": "import nothing_of_the_kind"}, "mine", "No module named 'nothing_of_the_kind'"),
        ({"mine.py": "\n\n1 / 0"}, "mine", "ZeroDivisionError: division by zero (mine, line 3)"),
        ({"mine.py": "x = 1"}, "package", "there is no strategy in it"),
        ({"mine.py": f"{HEAD}\nclass Mine(Strategy): pass"}, "mine:Mine", "name one MineConfig"),
        (
            {"mine.py": f"{HEAD}\nclass MineConfig: pass\nclass Mine(Strategy): pass"},
            "mine:Mine",
            "does not have StrategyConfig as its base",
        ),
        (
            {"mine.py": SOUND.replace("period: int = 5", "period: int | InstrumentId = 5")},
            "mine:MineConfig.period",
            "no value of JSON can be read as",
        ),
        ({"numpy/__init__.py": SOUND}, "package", "numpy: a module of this name is there already"),
        (
            {"mine.py": SOUND, "requirements.txt": "numpy>=1\nscikit-learn\n"},
            "requirements.txt",
            "scikit-learn is asked for, and is neither",
        ),
        (
            {"mine.py": SOUND, "pyproject.toml": "[project]\nname='m'\ndependencies=['numpy<1']"},
            "pyproject.toml",
            "engines have numpy",
        ),
        ({"mine.py": SOUND, "requirements.txt": "-r other.txt"}, "requirements.txt", "is no requirement"),
        ({"mine.py": SOUND, "pyproject.toml": "[project"}, "pyproject.toml", "cannot be read"),
        ({"mine.py": SOUND, "pyproject.toml": "project = 1"}, "pyproject.toml", "`project` is no table"),
        (
            {"mine.py": SOUND, "pyproject.toml": "[project]\ndependencies = 'numpy'"},
            "pyproject.toml",
            "`project.dependencies` is no list of texts",
        ),
        (
            {"mine.py": SOUND, "script.py": "import sys\nsys.exit(0)"},
            "script",
            "ends its process when it is imported: sys.exit(0) (script, line 2)",
        ),
        (
            {
                "mine.py": f"from __future__ import annotations\nfrom typing import TYPE_CHECKING\n{HEAD}\n"
                "if TYPE_CHECKING:\n  from decimal import Decimal as Size\n"
                "class MineConfig(StrategyConfig, frozen=True):\n  size: list[Size]\nclass Mine(Strategy): pass\n"
            },
            "mine:MineConfig.size",
            "imported under `if TYPE_CHECKING:`: name 'Size' is not defined",
        ),
        (
            {
                "mine.py": SOUND.replace(
                    "period: int = 5", "period: int = msgspec.field(default_factory=lambda: 1 // 0)"
                ).replace("class MineConfig", "import msgspec\nclass MineConfig")
            },
            "mine:MineConfig.period",
            "cannot be described: ZeroDivisionError",
        ),
        ({"mine.py": f"{SOUND}\n    __doc__ = 5\n"}, "mine:Mine", "it cannot be examined: AttributeError"),
        (
            {"mine.py": f"{SOUND}\n    def __init__(self, config):\n        raise SystemExit('no')\n"},
            "mine:Mine",
            "it cannot be built: SystemExit: no",
        ),
    ],
)
def test_a_package_that_cannot_run_is_refused_by_what_is_at_fault(
    check: Check, files: dict[str, str], field: str, words: str
) -> None:
    (problem,) = check(files).problems
    assert (problem.field, words in problem.message) == (field, True), problem


def test_requirements_that_engines_have_are_taken(check: Check) -> None:
    asked = 'numpy>=2  # arrays\nnautilus_trader\npandas; python_version < "3"\n'
    assert check({"mine.py": SOUND, "requirements.txt": asked}).problems == ()


def test_a_strategy_that_hangs_while_it_is_built_is_not_put_down_to_an_import(check: Check) -> None:
    (problem,) = check(
        {"mine.py": f"{SOUND}\n    def __init__(self, config):\n        while True: pass\n"}
    ).problems
    assert "at work on describing and building what is in it" in problem.message


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            "while True: pass",
            f"did not let its check end within {PATIENCE_S:g} s, at work on the import of mine",
        ),
        ("import os; os._exit(0)", "ended the process (exit code 0)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
        ("raise SystemExit(3)", "ends its process when it is imported: sys.exit(3) (mine, line 2); put what"),
        ("import os; os.fork()", "Operation not permitted"),
        ("import subprocess; subprocess.run(['true'])", "Operation not permitted"),
        ("import os; os.execv('/bin/true', ['true'])", "Operation not permitted"),
        ("import threading; threading.Thread(target=print).start()", "can't start new thread"),
        ("import socket; socket.socket()", "Operation not permitted"),
        ("import socket; socket.socket(socket.AF_UNIX)", "Operation not permitted"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "Operation not permitted"),
        ("open(__file__, 'w')", "Permission denied"),
        ("open(f'{PLACE}/left', 'w')", "Permission denied"),
        ("import os; os.remove(f'{PLACE}/there')", "Permission denied"),
        ("x = bytearray(8 << 30)", "MemoryError"),
        ("import os; os.kill(os.getppid(), 9)", "Operation not permitted"),
        (
            "import os\nfor fd in range(3, 60):\n  try: os.write(fd, b'[]')\n  except OSError: pass",
            "ended the process",
        ),
    ],
)
def test_a_package_that_means_harm_does_none(check: Check, tmp_path: Path, harm: str, words: str) -> None:
    there = tmp_path / "there"
    there.write_text("kept")
    found = check({"mine.py": f"PLACE = {str(tmp_path)!r}\n{harm}\n{SOUND}"})
    assert [words in problem.message for problem in found.problems] == [True], found
    is_kept_from = words in {"Operation not permitted", "Permission denied", "can't start new thread"}
    assert ("a check permits no socket" in found.problems[0].message) is is_kept_from
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert there.read_text() == "kept"
    assert check({"mine.py": SOUND}).problems == ()


def test_a_check_reads_python_and_its_own_files_and_nothing_else(check: Check, tmp_path: Path) -> None:
    (tmp_path / "operator.creds").write_text("a credential")
    reads = """
import numpy, nautilus_trader, zoneinfo
zoneinfo.ZoneInfo("Europe/Berlin")
assert open(__file__).read()
"""
    assert check({"mine.py": f"{reads}\n{SOUND}"}).problems == ()
    for harm in (
        f"open({str(tmp_path / 'operator.creds')!r})",
        f"import os; os.listdir({str(tmp_path)!r})",
        f"import os; os.scandir({str(Path.home())!r})",
        "open('/etc/shadow')",
        "import os; open(f'/proc/{os.getppid()}/environ')",
    ):
        found = check({"mine.py": f"{harm}\n{SOUND}"})
        assert ["Permission denied" in problem.message for problem in found.problems] == [True], (harm, found)


def test_a_local_check_reads_nothing_of_the_state_folder_that_it_is_run_in(tmp_path: Path) -> None:
    """Its scratch folder stands in it, and its owner may have started it there."""
    state, scratch = tmp_path, tmp_path / "sessions/.check-1/tmp"
    scratch.mkdir(parents=True)
    (state / "keys").mkdir()
    (state / "keys/operator.creds").write_text("a credential")
    code = f"raise RuntimeError(open({str(state / 'keys/operator.creds')!r}).read())\n"
    line = CheckLine(archives=(pack({"mine.py": code.encode()}),), is_package=True)
    done = subprocess.run(
        [sys.executable, "-m", "flotilla.engine_sidecar.checking"],
        input=msgspec.json.encode(line) + b"\n",
        cwd=state,
        env={"PATH": "/usr/bin", "TMPDIR": str(scratch), "FLOTILLA_STRATEGY_PATH": str(state)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    (problem,) = msgspec.json.decode(done.stdout, type=PackageFindings).problems
    assert problem.message.startswith("it cannot be imported: PermissionError: [Errno 13]"), problem
    assert b"a credential" not in done.stdout + done.stderr


def test_keys_do_not_come_out_of_a_check_and_a_long_text_is_cut(check: Check) -> None:
    token = "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiJ4In0.c2ln"
    for key, left in ((_CREDS, "***\n\n***\n"), (token, "***"), ("SU" + "A" * 56, "***")):
        (problem,) = check({"mine.py": f"raise RuntimeError({f'read {key}'!r})\n"}).problems
        assert problem.message == f"it cannot be imported: RuntimeError: read {left} (mine, line 1)"
        (problem,) = check({"mine.py": f"print({key!r}, flush=True)\nimport os; os._exit(1)\n"}).problems
        assert problem.message == f"its code ended the process (exit code 1): {' '.join(left.split())}"
    hang = f"print({'note: begins with ' + token!r}, flush=True)\nwhile True: pass\n"
    (problem,) = check({"mine.py": hang}).problems
    assert problem.message.endswith("at work on ***")
    (problem,) = check({"mine.py": "raise RuntimeError('x' * 10_000_000)\n"}).problems
    assert len(problem.message) < 5000
    assert problem.message.endswith("xxx… (10,000,014 characters) (mine, line 1)")


def test_nothing_of_a_check_is_left(check: Check, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flotilla.engine_sidecar.checking"]
    archive = pack({"mine.py": f"open({str(tmp_path / 'x')!r}, 'w')\n".encode()})
    line = msgspec.json.encode(CheckLine(archives=(archive,), is_package=True)) + b"\n"
    env = {"PATH": "/usr/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=line, capture_output=True, cwd=ROOT, env=env, timeout=60, check=True)
    assert "Permission denied" in msgspec.json.decode(done.stdout, type=PackageFindings).problems[0].message
    assert list(tmp_path.iterdir()) == []


def test_the_project_that_package_new_writes_passes_the_check_and_its_own_test(
    check: Check, tmp_path: Path
) -> None:
    files = project_files("fresh", "fresh")
    found = check(files)
    assert (found.problems, found.notes) == ((), ())
    assert found.strategies[0].parameters["period"].help == "Bars that the average is of."
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def checked(
    files: dict[str, str], *wheels: tuple[str, bytes], listed: tuple[Wheel, ...] | None = None
) -> PackageFindings:
    """What the program says of a package that comes with these wheels; `listed` is what the package names, else them."""
    named = listed or tuple(sorted(OpenWheel(data, name).as_listed for name, data in wheels))
    content = {name: text.encode() for name, text in files.items()}
    archive = pack({**content, WHEELS_FILE: wheels_text(named)})
    line = msgspec.json.encode(CheckLine(archives=(archive,), is_package=True, wheels=named))
    following = {digest_of(data): data for _, data in wheels}
    command = [sys.executable, "-m", "flotilla.engine_sidecar.checking"]
    stdin = b"".join((line, b"\n", *(following.get(each.digest, b"") for each in named)))
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=PackageFindings)


NEEDING = {
    "mine.py": f"import fe_a\nfrom fe_b import VERSION\n{SOUND}    built_by = VERSION\n",
    "requirements.txt": "fe-a>=1",
}


def test_a_package_is_imported_with_its_wheels_native_ones_too() -> None:
    native = native_wheel("fe-b")
    found = checked(NEEDING, wheel("fe-a", requires=["fe-b", "numpy"]), native)
    assert found.problems == ()
    assert [each.strategy_path for each in found.strategies] == ["mine:Mine"]


_COUNTING = """
import gc, sys
from flotilla.engine_sidecar.checking import __main__ as program
from flotilla.schemas.wheel_archive import OpenWheel

class Counting(program.IsolatedCheck):
    def __init__(self, *arguments):
        print(sum(isinstance(each, OpenWheel) for each in gc.get_objects()), file=sys.stderr)
        super().__init__(*arguments)

program.IsolatedCheck = Counting
sys.exit(program.main())
"""


@pytest.mark.parametrize("of", [{"is_package": True}, {"strategies": ({},)}])
def test_the_bytes_of_wheels_are_let_go_before_anything_is_forked(of: dict[str, Any]) -> None:
    name, data = wheel("fe-a")
    listed = (OpenWheel(data, name).as_listed,)
    files = {"mine.py": SOUND, "requirements.txt": "fe-a", WHEELS_FILE: wheels_text(listed).decode()}
    archive = pack({name: text.encode() for name, text in files.items()})
    line = msgspec.json.encode(CheckLine(archives=(archive,), wheels=listed, **of))
    command = [sys.executable, "-c", _COUNTING]
    done = subprocess.run(command, cwd=ROOT, input=line + b"\n" + data, capture_output=True, check=True)
    assert done.stderr.decode().split() == ["0"]


@pytest.mark.parametrize(
    ("wheels", "field", "words"),
    [
        (
            [wheel("fe-a", requires=["fe-b"])],
            "fe-a 1.0",
            "fe-b is asked for, and is neither .* `flotilla package push` brings those",
        ),
        ([wheel("fe-a"), wheel("fe-b")], WHEELS_FILE, "fe_b-1.0-py3-none-any.whl: nothing asks for it"),
        (
            [wheel("fe-a", "0.5")],
            "requirements.txt",
            "fe-a>=1 is asked for, and the wheel there is of fe-a 0.5",
        ),
        ([wheel("fe-a", requires=["numpy<1"])], "fe-a 1.0", "engines have numpy"),
        (
            [wheel("fe-a"), wheel("numpy", "1.0")],
            WHEELS_FILE,
            "numpy-1.0-py3-none-any.whl: engines have numpy",
        ),
        ([wheel("fe-a", files={"msgspec/__init__.py": ""})], "package", "msgspec: fe-a 1.0"),
        ([wheel("fe-a", tag="cp313-cp313-win_amd64")], "package", "it is not for what engines run on here"),
        ([wheel("fe-a", files={"a.py": "x"}, record={"a.py": "y"})], "package", "RECORD has another SHA-256"),
    ],
)
def test_wheels_that_do_not_do_are_refused_by_their_names(
    wheels: list[tuple[str, bytes]], field: str, words: str
) -> None:
    (problem,) = checked({"mine.py": SOUND, "requirements.txt": "fe-a>=1"}, *wheels).problems
    assert problem.field == field
    assert re.search(words, problem.message), problem


def test_a_wheel_that_comes_cut_or_as_another_is_refused() -> None:
    name, data = wheel("fe-a")
    listed = (OpenWheel(data, name).as_listed,)
    (problem,) = checked(NEEDING, (name, data[:-20]), listed=listed).problems
    assert "fe_a-1.0-py3-none-any.whl" in problem.message


def test_a_check_says_which_python_it_is() -> None:
    line = msgspec.json.encode(CheckLine(is_python=True)) + b"\n"
    command = [sys.executable, "-m", "flotilla.engine_sidecar.checking"]
    done = subprocess.run(command, cwd=ROOT, input=line, capture_output=True, check=True)
    found = msgspec.json.decode(done.stdout, type=EnginePython)
    assert found.label.startswith("CPython 3.13 on Linux")
    assert found.installed["nautilus-trader"] == version("nautilus_trader")
    assert str(next(sys_tags())) == found.tags[0]


BESIDE = """
from decimal import Decimal
from nautilus_trader.accounting.margin_models import MarginModel
from nautilus_trader.backtest.config import FeeModelConfig, FillModelConfig, SimulationModuleConfig
from nautilus_trader.backtest.models import FeeModel, FillModel, LatencyModel
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.core.data import Data
from nautilus_trader.execution.algorithm import ExecAlgorithm
from nautilus_trader.execution.config import ExecAlgorithmConfig
from nautilus_trader.model.custom import customdataclass

class WatchConfig(ActorConfig, frozen=True):
    every: int = 5
class Watch(Actor):
    \"\"\"Looks on.\"\"\"
class Bare(Actor): pass
class SlicesConfig(ExecAlgorithmConfig, frozen=True):
    parts: int
class Slices(ExecAlgorithm):
    def __init__(self, config: SlicesConfig) -> None:
        super().__init__(config)
class Rent(SimulationModule): pass
class FeesConfig(FeeModelConfig, frozen=True):
    rate: Decimal = Decimal("0.1")
class Fees(FeeModel):
    def __init__(self, config: FeesConfig) -> None:
        self.rate = config.rate
class Fills(FillModel): pass
class Slow(LatencyModel): pass
class Margin(MarginModel):
    def __init__(self, config) -> None:
        self.config = config.config
@customdataclass
class News(Data):
    text: str = ""
class _Hidden(Actor): pass
"""


def test_all_that_runs_beside_strategies_is_found_described_and_built(check: Check) -> None:
    found = check({"beside.py": BESIDE})
    assert (found.problems, found.strategies, found.notes) == ((), (), ())
    assert [(str(each.kind), each.path, each.config_path) for each in found.components] == [
        ("actor", "beside:Bare", "nautilus_trader.common.config:ActorConfig"),
        ("actor", "beside:Watch", "beside:WatchConfig"),
        ("exec_algorithm", "beside:Slices", "beside:SlicesConfig"),
        ("simulation_module", "beside:Rent", "nautilus_trader.backtest.config:SimulationModuleConfig"),
        ("fill_model", "beside:Fills", "nautilus_trader.backtest.config:FillModelConfig"),
        ("fee_model", "beside:Fees", "beside:FeesConfig"),
        ("latency_model", "beside:Slow", "nautilus_trader.backtest.config:LatencyModelConfig"),
        ("margin_model", "beside:Margin", None),
        ("data", "beside:News", None),
    ]
    parameters = {each.path: each.parameters for each in found.components}
    assert list(parameters["beside:Watch"]) == ["every"]
    assert parameters["beside:Slices"]["parts"].required
    assert list(parameters["beside:Fills"]) == ["prob_fill_on_limit", "prob_slippage", "random_seed"]
    assert found.components[1].description == "Looks on."


@pytest.mark.parametrize(
    ("source", "field", "words"),
    [
        ("class Watch(Actor):\n    def __init__(self, config): 1 / 0\n", "beside:Watch", "ZeroDivisionError"),
        ("class FeesConfig: pass\n", "beside:Fees", "does not have NautilusConfig as its base"),
        (
            "class WatchConfig(ActorConfig, frozen=True):\n    what: int | Actor = 1\n",
            "beside:WatchConfig.what",
            "type",
        ),
    ],
)
def test_what_cannot_run_beside_strategies_is_refused_by_its_class(
    check: Check, source: str, field: str, words: str
) -> None:
    (problem,) = check({"beside.py": f"{BESIDE}\n{source}"}).problems
    assert problem.field == field
    assert words in problem.message


def test_what_nobody_could_build_is_a_note_and_cannot_be_chosen(check: Check) -> None:
    """It may be made by the package itself: only what has a config class is meant to be chosen."""
    source = "class Inner(Actor):\n    def __init__(self, one, other): ...\n"
    found = check({"mine.py": SOUND + "from nautilus_trader.common.actor import Actor\n" + source})
    assert (found.problems, found.components) == ((), ())
    assert "mine:Inner cannot be chosen, for want of a config class" in found.notes[0]


def test_a_class_that_takes_no_config_is_a_note_and_a_margin_model_that_needs_one_can_be_chosen(
    check: Check,
) -> None:
    source = f"""{SOUND}
from nautilus_trader.accounting.margin_models import MarginModel
from nautilus_trader.common.actor import Actor
class Inner(Actor):
    def __init__(self, config: dict) -> None:
        super().__init__()
class Margin(MarginModel):
    def __init__(self, config) -> None:
        self.each = config.config["each"]
"""
    found = check({"mine.py": source})
    assert (found.problems, [each.path for each in found.components]) == ((), ["mine:Margin"])
    assert "mine:Inner cannot be chosen: its config class dict" in found.notes[0]
    assert "mine:Margin was not built without a `config`" in found.notes[1]


def test_data_without_a_schema_is_a_note(check: Check) -> None:
    source = f"{SOUND}\nfrom nautilus_trader.core.data import Data\nclass News(Data): pass\n"
    found = check({"mine.py": source})
    assert [str(each.kind) for each in found.components] == ["data"]
    assert "no Arrow schema" in found.notes[0]
