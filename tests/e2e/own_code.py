"""Stacks whose engines can import the venue and the strategies of this folder, on both runtimes."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stacks import RunningStack

ROOT = Path(__file__).parents[2]
MODULES = (
    "tests/__init__.py",
    "tests/hostile.py",
    "tests/strategies_for_tests.py",
    "tests/e2e/__init__.py",
    "tests/e2e/faulty_strategies.py",
    "tests/e2e/hostile_strategies.py",
    "tests/e2e/moody_venue.py",
)
ENGINE_IMAGE = os.environ.get("FLOTILLA_ENGINE_IMAGE", "flotilla-engine:latest")
DOCKERFILE = f"FROM {ENGINE_IMAGE}\nCOPY tests /app/own/tests\nENV FLOTILLA_STRATEGY_PATH=/app/own\n"


@contextmanager
def stack_with_own_code(
    runtime: str, folder: Path, *arguments: str, timeout_s: float = 60.0
) -> Iterator[RunningStack]:
    """A stack that is ready, started with these arguments; `folder` is for what the image is built from."""
    image = f"flotilla-engine-for-tests:{os.getpid()}"
    env = {"PYTHONPATH": str(ROOT), "FLOTILLA_STRATEGY_MODULES": "tests"}
    if runtime == "docker":
        _build(image, folder)
        env["FLOTILLA_ENGINE_IMAGE"] = image
    made = RunningStack(runtime, env=env)
    try:
        made.start(*arguments, timeout_s=timeout_s)
        yield made
    finally:
        made.remove()
        if runtime == "docker":
            subprocess.run(["docker", "rmi", image], check=True, capture_output=True)


def _build(image: str, folder: Path) -> None:
    for name in MODULES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    done = subprocess.run(
        ["docker", "build", "--tag", image, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
