"""Every command of the README is run, in its order, in one shell environment as a reader would have it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MADE = {"flotilla-demo.html", "first.html", "forward.html", "mine.csv", "feed.creds", "mine"}


@pytest.fixture(scope="module")
def shell() -> Iterator[dict[str, str]]:
    """The environment of the commands: a state folder of its own, and our programs on PATH."""
    state = Path(tempfile.mkdtemp(prefix="flotilla-readme-"))
    path = f"{ROOT / 'tests/bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    # A reader's make knows nothing of the one that may run these tests.
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))
    }
    env = {**outside, "PATH": path, "FLOTILLA_STATE": str(state), "COLUMNS": "100"}
    yield env
    subprocess.run(["flotilla", "down"], env=env, check=False)
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: all of the checkout is there, and what they make in it is thrown away."""
    folder = tmp_path_factory.mktemp("checkout")
    for entry in ROOT.iterdir():
        if entry.name not in MADE:  # what somebody made there before is theirs
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "number", range(len(BLOCKS)), ids=lambda number: BLOCKS[number][1].split("\n")[0][:40]
)
def test_the_commands_of_the_readme_work(
    number: int, shell: dict[str, str], port: int, checkout: Path
) -> None:
    language, text = BLOCKS[number]
    text = text.replace("localhost:8001", f"localhost:{port}").replace(
        "up --detach", f"up --detach --port {port}"
    )
    argv = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    done = subprocess.run(
        argv,
        env=shell,
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_what_they_made_is_not_left_in_the_checkout(checkout: Path) -> None:
    assert {entry.name for entry in checkout.iterdir() if not entry.is_symlink()} == MADE


def test_the_readme_has_commands_to_run() -> None:
    commands = "\n".join(text for _, text in BLOCKS)
    for expected in (
        "make demo",
        "flotilla up",
        "flotilla engine start",
        "curl",
        "nats req",
        "nats sub",
        "nats micro ls",
        "flotilla down",
    ):
        assert expected in commands


def test_every_file_that_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        path, _, heading = target.partition("#")
        assert (ROOT / path).exists(), target
        assert not heading or heading in headings(ROOT / path), target


def headings(page: Path) -> set[str]:
    """The headings of a page of Markdown, as links name them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}
