"""Where modules of people's own strategies are found."""

import subprocess
import sys
from pathlib import Path

_RUN = "from engine_sidecar.strategy_path import extend_path; extend_path(); import bus.bus, my_turns; print(my_turns.WHOSE)"


def test_they_are_found_and_hide_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus/__init__.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "my_turns.py").write_text("WHOSE = 'theirs'")
    env = {"FLOTILLA_STRATEGY_PATH": f":{tmp_path}:/nowhere"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _RUN], env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("theirs\n", "")
