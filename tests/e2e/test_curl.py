"""The REST API with curl, in the words of the original documentation."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stacks import RunningStack, until

PREFIX = "/api/v1/nautilus/engine"
START = {
    "config": {
        "engine_type": "live",
        "trading_mode": "paper",
        "instance_id": "trading-001",
        "log_level": "INFO",
    },
    "confirm_live_trading": False,
}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes: REST is the same with containers."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


def curl(
    stack: RunningStack, method: str, path: str, body: object = None, *, token: str | None = None
) -> tuple[int, Any]:
    """Status and answer of one request."""
    argv = ["curl", "-s", "-m", "30", "-X", method, "-w", "\n%{http_code}", stack.connection.http_url + path]
    argv += ["-H", f"Authorization: Bearer {stack.token if token is None else token}"]
    if body is not None:
        argv += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    text, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(text)


def test_start_status_and_stop_as_documented(stack: RunningStack) -> None:
    status, started = curl(stack, "POST", f"{PREFIX}/start", START)
    assert status == 200, started
    assert started["success"] is True
    session_id = started["data"]["session_id"]
    assert started["data"]["instance_id"] == "trading-001"
    assert started["data"]["container_name"] == f"nautilus-engine-{session_id}"

    def running() -> bool:
        _, answer = curl(stack, "GET", f"{PREFIX}/status")
        assert answer["success"] is True
        return bool(answer["status"]["state"] == "running")

    until(running, 30, "the state running")
    _, answer = curl(stack, "GET", f"{PREFIX}/status")
    assert answer["status"]["session_id"] == session_id
    assert answer["status"]["config"]["trading_mode"] == "paper"
    assert answer["status"]["container_info"]["name"] == f"nautilus-engine-{session_id}"
    status, health = curl(stack, "GET", f"{PREFIX}/health")
    assert (status, health["service"], health["engine_state"]) == (200, "nautilus-engine-api", "running")
    _, containers = curl(stack, "GET", f"{PREFIX}/containers")
    assert containers["active_count"] == 1
    assert containers["containers"][0]["name"] == f"nautilus-engine-{session_id}"

    def ten_lines() -> bool:
        # Log lines follow on a feed of their own: the state may be known before them.
        return len(curl(stack, "GET", f"{PREFIX}/logs?lines=10")[1]["logs"]) == 10

    until(ten_lines, 30, "ten lines of its log")
    status, stopped = curl(stack, "POST", f"{PREFIX}/stop")
    assert (status, stopped["success"]) == (200, True), stopped

    def idle() -> bool:
        return bool(curl(stack, "GET", f"{PREFIX}/status")[1]["status"]["state"] == "stopped")

    until(idle, 30, "the state stopped")
    status, again = curl(stack, "POST", f"{PREFIX}/stop")
    assert (status, again["success"]) == (200, True), again


def test_templates_are_those_that_exist(stack: RunningStack) -> None:
    status, answer = curl(stack, "GET", f"{PREFIX}/strategies/templates")
    assert (status, answer["success"]) == (200, True)
    assert "ema_cross" in [template["name"] for template in answer["strategies"]]


DOCUMENTED = {
    "start": """\
curl -X POST http://localhost:8001/api/v1/nautilus/engine/start \\
  -H "Content-Type: application/json" \\
  -d '{
    "config": {
      "engine_type": "live",
      "trading_mode": "paper",
      "instance_id": "trading-001",
      "log_level": "INFO"
    },
    "confirm_live_trading": false
  }'""",
    "status": "curl http://localhost:8001/api/v1/nautilus/engine/status",
    "templates": "curl http://localhost:8001/api/v1/nautilus/engine/strategies/templates",
    "containers": "curl http://localhost:8001/api/v1/nautilus/engine/containers",
}
"""Word for word as the original documentation has them."""


@pytest.fixture
def shell(stack: RunningStack, tmp_path: Path) -> Callable[[str], Any]:
    """Runs a documented command. The credential, and on which port this stack listens, stand in curl's own configuration."""
    port = stack.connection.http_url.rpartition(":")[2]
    lines = (
        f'header = "Authorization: Bearer {stack.token}"',
        f'connect-to = "localhost:8001:127.0.0.1:{port}"',
        "silent",
        "max-time = 30",
    )
    (tmp_path / ".curlrc").write_text("\n".join(lines))
    env = {**os.environ, "CURL_HOME": str(tmp_path)}

    def run(name: str) -> Any:
        done = subprocess.run(
            ["sh", "-c", DOCUMENTED[name]], capture_output=True, text=True, check=True, env=env
        )
        return json.loads(done.stdout)

    return run


def test_the_documented_commands_work_as_they_stand(stack: RunningStack, shell: Callable[[str], Any]) -> None:
    started = shell("start")
    assert (started["success"], started["data"]["instance_id"]) == (True, "trading-001"), started
    session_id = started["data"]["session_id"]

    def running() -> bool:
        answer = shell("status")
        assert answer["success"] is True
        assert answer["status"]["state"] in ("starting", "running"), answer
        return bool(answer["status"]["state"] == "running")

    until(running, 60, "the state running")
    status = shell("status")["status"]
    assert (status["session_id"], status["last_error"]) == (session_id, None)
    assert (status["config"]["engine_type"], status["config"]["trading_mode"]) == ("live", "paper")
    (container,) = [one for one in shell("containers")["containers"] if one["is_active"]]
    assert container["name"] == f"nautilus-engine-{session_id}"
    templates = shell("templates")
    assert templates["total_count"] == len(templates["strategies"]) >= 2
    status_code, stopped = curl(stack, "POST", f"{PREFIX}/stop?wait=true")
    assert (status_code, stopped["success"], stopped["state"]) == (200, True, "stopped"), stopped


@pytest.mark.parametrize("path", ["/start", "/stop"])
def test_without_a_token_nothing_is_started_or_stopped(stack: RunningStack, path: str) -> None:
    status, answer = curl(stack, "POST", PREFIX + path, START if path == "/start" else None, token="wrong")
    assert status == 401
    assert answer["success"] is False
    assert answer["detail"] == answer["message"]


def test_a_refusal_names_the_field_and_starts_nothing(stack: RunningStack) -> None:
    body = {"config": {**START["config"], "instance_id": "bad", "max_cpu": "many"}}  # type: ignore[dict-item]
    status, answer = curl(stack, "POST", f"{PREFIX}/start", body)
    assert status == 422
    assert answer["errors"][0]["field"] == "config.max_cpu"
    assert stack.cli("engine", "inspect", "bad").returncode == 4


def test_live_trading_needs_its_confirmation(stack: RunningStack) -> None:
    body = {"config": {**START["config"], "trading_mode": "LIVE"}}  # type: ignore[dict-item]
    status, answer = curl(stack, "POST", f"{PREFIX}/start", body)
    assert status == 400
    assert "confirm_live_trading" in answer["detail"]
