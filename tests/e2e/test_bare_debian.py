"""`make demo` on a bare Debian: nothing is there but what the README says to install."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clones import ROOT, clone_into
from tests.e2e.conftest import require_docker

SCRIPT = Path(__file__).with_name("bare_debian.sh")
README = (ROOT / "README.md").read_text()
BASE = "flotilla-base:trixie"
LIMIT_S = 480
# What pip, uv and apt of this machine are told of its network counts in the container too; of their settings nothing else.
TOLD = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
TOLD += ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
SETTINGS = {
    "/etc/pip.conf": (Path.home() / ".config/pip/pip.conf", Path("/etc/pip.conf")),
    "/etc/uv/uv.toml": (Path.home() / ".config/uv/uv.toml", Path("/etc/uv/uv.toml")),
}
"""Where the container has a setting for all accounts; here the account's own comes first."""


@pytest.fixture(scope="module")
def base() -> str:
    """Debian trixie, from this machine's own mirror; with Python, which is taken away again."""
    if os.geteuid() != 0:
        pytest.skip("only root can make the image, and be given what root of the container has made")
    require_docker()
    done = subprocess.run(
        [str(ROOT / "deploy/build-base.sh"), BASE], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    return BASE


@pytest.fixture
def name() -> Iterator[str]:
    """Of a container, which is gone afterwards."""
    made = f"flotilla-bare-{os.getpid()}"
    yield made
    subprocess.run(["docker", "rm", "--force", "--volumes", made], capture_output=True, check=False)


def as_this_machine_reaches_its_indexes() -> list[str]:
    """What `docker run` must be told."""
    told = [argument for name in TOLD if os.environ.get(name) for argument in ("--env", name)]
    bundle = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    if bundle.is_file():
        told += [f"--volume={bundle}:/ca.pem:ro", "--env=SSL_CERT_FILE=/ca.pem"]
    for there, files in SETTINGS.items():
        told += [f"--volume={file}:{there}:ro" for file in files if file.is_file()][:1]
    return told


@pytest.fixture
def home() -> Iterator[Path]:
    """Root's in the container, which only root may enter; with what uv has downloaded here, to save half a gigabyte.

    The files of uv's cache are linked, and so uv links them into .venv as on a machine of its own.
    """
    asked = [str(ROOT / "scripts/uv"), "cache", "dir"]
    cache = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    with tempfile.TemporaryDirectory(prefix="flotilla-bare-", dir=cache.parent) as folder:
        (Path(folder) / ".cache").mkdir()
        linked = ["cp", "--archive", "--link", str(cache), str(Path(folder) / ".cache/uv")]
        # What another uv takes away meanwhile is downloaded.
        subprocess.run(linked, check=False, timeout=100, stderr=subprocess.DEVNULL)
        yield Path(folder)


def test_the_demo_runs_on_a_bare_debian_with_what_the_readme_names(
    base: str, name: str, home: Path, tmp_path: Path
) -> None:
    asked = re.search(r"A bare Debian needs `(apt install [a-z0-9 -]+)`", README)
    takes = re.search(r"Linux, ([\d.]+) GB of disk", README)
    assert asked
    assert takes
    clone_into(tmp_path / "clone")
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--init", f"--name={name}", "--env=DEBIAN_FRONTEND=noninteractive"),
            *(f"--volume={tmp_path / 'clone'}:/clone:ro", f"--volume={SCRIPT}:/bare_debian.sh:ro"),
            *(f"--volume={home}:/root", *as_this_machine_reaches_its_indexes()),
            # It ends by itself although this test is killed.
            *(base, "timeout", str(LIMIT_S), "sh", "/bare_debian.sh", asked[1]),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S + 30,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    document, used = done.stdout.splitlines()
    told = json.loads(document)
    assert told["problems"] == []
    assert len(told["fills"]) == 444
    assert told["events_recorded"] == told["events"]
    assert told["backtest"]["status"] == "completed"
    assert int(used.split()[0]) < float(takes[1]) * 1000
