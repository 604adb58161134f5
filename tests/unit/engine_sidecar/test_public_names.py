"""The names on record of our strategies and clients mean the modules that we have."""

import subprocess
import sys
from pathlib import Path

_RUN = """
import sys
import flotilla.engine_sidecar.strategies.sizing as ours
import engine_sidecar.strategies.sizing as named
assert named is ours and sys.modules["engine_sidecar.strategies"] is sys.modules["flotilla.engine_sidecar.strategies"]
assert ours.__spec__.name == ours.__name__ == "flotilla.engine_sidecar.strategies.sizing"
try:
    import engine_sidecar.strategies.nowhere
except ModuleNotFoundError as error:
    print(error.name)
"""


def test_a_public_name_is_the_same_module_whatever_else_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "engine_sidecar").mkdir()
    (tmp_path / "engine_sidecar/__init__.py").write_text("raise SystemExit('not ours')")
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_RUN}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", run], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("flotilla.engine_sidecar.strategies.nowhere\n", "")
