"""`make demo` on machines as they are: in a private folder of root, and for an ordinary user among settings that break other programs.

One clone, made as a fresh one is: its own .venv, by `make setup`.
"""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.services.supervisor.settings import DOCKER_SOCKET
from tests.e2e.clones import ROOT, clone_into
from tests.e2e.conftest import require_docker
from tests.e2e.stacks import processes_of

SOCKET = Path(DOCKER_SOCKET.removeprefix("unix://"))
USER = "nobody"
NAME = 'josé\'s #1 50% "x" a,b & \\'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


class Place:
    """A folder with a clone, somebody's home and foreign modules. Private to root until it is opened."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clone = root / "flotilla"
        self.scratch = root / "home" / NAME
        self.foreign = root / "foreign"
        clone_into(self.clone)
        for name in ("bus", "services", "schemas", "flotilla", "click"):
            (self.foreign / name).mkdir(parents=True)
            (self.foreign / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
        self.scratch.mkdir(parents=True)

    def open_to(self, user: str) -> None:
        """Lets everybody in, and gives `user` a home. The clone stays root's: for others it is read-only."""
        self.root.chmod(0o755)
        for folder in (self.scratch.parent, self.scratch):
            shutil.chown(folder, user)
            folder.chmod(0o700)

    def make(
        self,
        *arguments: str,
        env: dict[str, str],
        user: str | None = None,
        groups: Collection[int] = (),
        umask: int = 0o022,
    ) -> subprocess.CompletedProcess[str]:
        """Runs make in the clone with nothing in the environment but `env` and where programs and their libraries are."""
        account = pwd.getpwnam(user) if user else None
        path = f"{self.root / 'python/bin'}:{ROOT / '.tools/uv/bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["make", *arguments],
            cwd=self.clone,
            env={"PATH": path, "LD_LIBRARY_PATH": str(self.root / "python/lib"), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=list(groups) if account else None,
            umask=umask,
            check=False,
        )

    def demo(self, runtime: str, **how: Any) -> tuple[dict[str, Any], str]:
        """What `make demo` told, and what it said meanwhile; fails unless it exits with 0."""
        done = self.make("demo", f"ARGS=--json --runtime {runtime}", **how)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["problems"] == []
        assert len(told["fills"]) == 444
        assert told["events_recorded"] == told["events"]
        assert processes_of(self.root) == []
        return told, done.stderr


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="flotilla-first-run-"))
    made = Place(root)
    _bring_python(root / "python")
    # What this machine's own setup uses: its package index, certificates and cache.
    done = made.make("setup", env={name: text for name, text in os.environ.items() if name != "PATH"})
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    shutil.rmtree(root)


def _bring_python(folder: Path) -> None:
    """This Python in a place that an ordinary user can reach, as a system's own is: here it may be root's."""
    base = Path(sys.base_prefix)
    if base == Path("/usr"):
        return

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(base, folder, symlinks=True, copy_function=link)
    (folder / "bin").chmod(0o755)


def settings_of_others(place: Place) -> dict[str, str]:
    """What an ordinary user may have set for other programs."""
    return {
        "HOME": str(place.scratch.parent),
        "TMPDIR": str(place.scratch),
        **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9"),
        "PGSSLMODE": "require",
        "PGSERVICE": "office",
        "PGCHANNELBINDING": "require",
        "PYTHONPATH": str(place.foreign),
    }


def test_root_in_a_folder_that_nobody_else_may_enter(place: Place) -> None:
    assert stat.S_IMODE(place.root.stat().st_mode) == 0o700
    scratch = place.root / "tmp"
    scratch.mkdir(mode=0o700)
    told, _ = place.demo("auto", env={"HOME": "/root", "TMPDIR": str(scratch)})
    assert told["report"] == str(place.clone / "flotilla-demo.html")
    assert list(scratch.iterdir()) == []


def test_an_ordinary_user_with_settings_for_other_programs_and_no_right_to_use_docker(place: Place) -> None:
    place.open_to(USER)
    told, said = place.demo("auto", env=settings_of_others(place), user=USER, umask=0o077)
    assert told["runtime"] == "process"
    # The clone is another's.
    report = Path(told["report"])
    assert "Made by Flotilla from the record" in report.read_text()
    assert list(place.scratch.iterdir()) == [report.parent]
    if SOCKET.is_socket() and not SOCKET.stat().st_mode & 0o006:
        group = SOCKET.group()
        assert f"a Docker engine is there, but {USER} may not use {SOCKET}" in said
        assert f"as root: usermod -aG {group} {USER}, then log in again" in said


def test_an_ordinary_user_with_a_strict_umask_and_docker(place: Place) -> None:
    require_docker()
    place.open_to(USER)
    groups = (SOCKET.stat().st_gid,)
    env = settings_of_others(place)
    told, _ = place.demo("docker", env=env, user=USER, groups=groups, umask=0o077)
    assert told["runtime"] == "docker"
