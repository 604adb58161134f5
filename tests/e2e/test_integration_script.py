"""`test-engine-integration.py` passes against a stack that works, and fails when any one part of it is broken."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla import SyncFlotilla
from flotilla.schemas.states import RunState
from tests.e2e.conftest import require_docker
from tests.e2e.stacks import RunningStack, is_running

SCRIPT = Path(__file__).parents[2] / "test-engine-integration.py"


class Script:
    """One run of the script against a stack, found by its state folder as a user would."""

    def __init__(self, stack: RunningStack, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.report_file = stack.root / f"report-{time.monotonic_ns()}.md"
        own = {"FLOTILLA_STATE": str(stack.folder.root), **(env or {})}
        # -S: nothing but the standard library is there to be imported.
        argv = [sys.executable, "-S", str(SCRIPT), "--report", str(self.report_file), *arguments]
        self._process = subprocess.Popen(
            argv,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=stack.root,
        )

    def end(self, timeout_s: float = 240) -> tuple[int, str]:
        """Exit code, and what it printed."""
        said, _ = self._process.communicate(timeout=timeout_s)
        return self._process.returncode, said

    @property
    def report(self) -> str:
        return self.report_file.read_text()


def failures(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("FAIL")]


def left(stack: RunningStack) -> list[str]:
    """The engines and containers that are there, but for the worker that the fleet keeps for its next backtests."""
    known = [one["instance_id"] for one in stack.json("engine", "ls")["engines"]]
    known += [one["instance_id"] for one in stack.json("container", "ls")["containers"]]
    return [name for name in known if not name.startswith("worker-")]


@pytest.fixture(scope="module")
def own_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of templates."""
    folder = tmp_path_factory.mktemp("templates")
    (folder / "strategies").mkdir()
    return folder


@pytest.fixture(scope="module")
def stack(own_templates: Path) -> Iterator[RunningStack]:
    """One of local processes, with templates of the user's own."""
    made = RunningStack("process")
    made.start("--templates", str(own_templates))
    yield made
    made.remove()


def test_it_passes_against_a_stack_that_works_and_leaves_nothing(stack: RunningStack) -> None:
    script = Script(stack)
    code, said = script.end()
    assert (code, failures(said)) == (0, []), said
    passed, total = re.findall(r"\*\*(\d+)/(\d+) tests passed\*\*", script.report)[0]
    assert passed == total
    assert int(total) > 45
    assert re.search(r"^PASS +a backtest is queued, runs and is completed", said, re.MULTILINE)
    assert re.search(r"^PASS +a backtest is cancelled", said, re.MULTILINE)
    assert f"{passed}/{total} tests passed" in said
    assert left(stack) == []


def test_it_fails_when_a_template_file_is_broken(stack: RunningStack, own_templates: Path) -> None:
    broken = own_templates / "strategies/mine.json"
    broken.write_text('{"name": "mine", ')
    try:
        # The rest is what the test before this one shows.
        script = Script(stack, "--until", "templates")
        code, said = script.end()
    finally:
        broken.unlink()
    assert code == 1, said
    assert len(failures(said)) == 1
    assert "mine.json" in failures(said)[0]


def test_it_fails_when_an_engine_is_killed_in_the_middle(stack: RunningStack) -> None:
    # Heard of as it trades: whoever looked with one command after the other killed it, on a busy machine, when the script was done with it.
    with SyncFlotilla(stack.connection) as fleet, fleet.watch(kinds=("heartbeat",)) as heartbeats:
        script = Script(stack, "--until", "stops")
        pid = next(
            beat.payload.engine_pid
            for beat in heartbeats
            if beat.instance_id.startswith("check-") and beat.payload.state is RunState.TRADING
        )
        os.kill(pid, signal.SIGKILL)
    code, said = script.end()
    assert code == 1, said
    assert failures(said)
    assert "FAIL" in script.report
    assert not is_running(pid)
    assert left(stack) == [], "nothing is left after a failure either"


def test_it_fails_when_nats_does_not_answer(stack: RunningStack) -> None:
    pid = stack.pid_of("nats-server")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        code, said = Script(stack).end()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert code == 1, said
    assert any("ready for commands" in line for line in failures(said))
    assert "PASS           check-" not in said


def test_it_fails_when_no_stack_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT)],
        env={**os.environ, "FLOTILLA_STATE": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "flotilla up" in done.stderr


def test_in_docker_it_passes_and_fails_when_docker_does_not_answer() -> None:
    require_docker()
    stack = RunningStack("docker")
    stack.start()
    try:
        code, said = Script(stack, "--runtime-required", "docker", "--until", "containers").end()
        assert (code, failures(said)) == (0, []), said
        assert "PASS           docker --version and the Docker engine answer" in said
        assert "PASS           Docker runs the engine's container" in said
        away = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
        code, said = Script(stack, "--until", "docker", env=away).end()
    finally:
        stack.remove()
    assert code == 1, said
    assert "FAIL           docker --version" in failures(said)[0]


def test_docker_that_is_required_and_not_used_is_a_failure(stack: RunningStack) -> None:
    away = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    # The rest is what the first test shows.
    code, said = Script(stack, "--runtime-required", "docker", "--until", "docker", env=away).end()
    assert code == 1
    assert any("Docker engine answer" in line for line in failures(said))
