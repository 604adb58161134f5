"""What a manifest says of a strategy's code is the code that ran, whatever Python has cached of it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_RUN = """
import json, sys
if sys.argv[1] == "ours":
    from flotilla.engine_sidecar.backtest.manifest import import_strategies
    digests = import_strategies(["mine.strategy"]).digests
else:
    digests = {}
import mine.strategy
print(json.dumps({"value": mine.strategy.VALUE, "digests": digests}))
"""


def write(folder: Path, value: int) -> None:
    """The same size, and the same moment of the last change, whatever the value."""
    (folder / "mine").mkdir(exist_ok=True)
    (folder / "mine/__init__.py").touch()
    for name, text in (("settings", f"VALUE = {value}\n"), ("strategy", "from mine.settings import VALUE\n")):
        (folder / "mine" / f"{name}.py").write_text(text)
        os.utime(folder / "mine" / f"{name}.py", (1_700_000_000, 1_700_000_000))


def run(folder: Path, how: str) -> Any:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, how], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_an_edit_that_python_takes_for_none_runs_and_is_told_with_what_the_strategy_imports(
    tmp_path: Path,
) -> None:
    write(tmp_path, 1)
    assert run(tmp_path, "theirs")["value"] == 1
    write(tmp_path, 2)
    assert run(tmp_path, "theirs")["value"] == 1  # Python's cache is stale
    told = run(tmp_path, "ours")
    assert told["value"] == 2
    files = {"mine": "__init__", "mine.settings": "settings", "mine.strategy": "strategy"}
    assert told["digests"] == {
        name: hashlib.sha256((tmp_path / f"mine/{file}.py").read_bytes()).hexdigest()
        for name, file in files.items()
    }


def test_what_is_installed_is_told_by_the_module_that_was_asked_for_alone(tmp_path: Path) -> None:
    code = (
        "import json; from flotilla.engine_sidecar.backtest.manifest import import_strategies;"
        "print(json.dumps(import_strategies(['nautilus_trader.examples.strategies.ema_cross']).digests))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    assert list(told) == ["nautilus_trader.examples.strategies.ema_cross"]
    assert len(told["nautilus_trader.examples.strategies.ema_cross"]) == 64


def test_our_own_code_is_told_by_the_names_that_stand_on_record_from_before_it_moved() -> None:
    code = (
        "import json; from flotilla.engine_sidecar.backtest.manifest import import_strategies;"
        "print(json.dumps(import_strategies(['engine_sidecar.strategies.grid']).digests))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    assert "engine_sidecar.strategies.bars" in told
    assert not [name for name in told if name.startswith("flotilla.")]
