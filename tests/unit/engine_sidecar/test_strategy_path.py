"""Where modules of people's own strategies are found."""

import subprocess
import sys
from pathlib import Path

_RUN = "from flotilla.engine_sidecar.strategies.import_path import extend_path; extend_path(); import bus, json, examples.mine, my_turns; print(my_turns.WHOSE, bus.WHOSE)"


def test_they_are_found_before_packages_of_others_and_hide_none_of_python(tmp_path: Path) -> None:
    for name, code in (
        ("bus", "WHOSE = 'theirs'"),
        ("json", "raise SystemExit('not Python')"),
        ("examples", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    (tmp_path / "my_turns.py").write_text("WHOSE = 'theirs'")
    env = {"FLOTILLA_STRATEGY_PATH": f":{tmp_path}:/nowhere"}
    (tmp_path / "examples/mine.py").touch()
    done = subprocess.run(
        [sys.executable, "-I", "-c", _RUN], env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("theirs theirs\n", "")
