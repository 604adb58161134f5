"""Tokens on a whole stack: made by a command while it runs, limited to a desk, taken away while a stream is open."""

import time
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.e2e.engines import PACED, paced
from tests.e2e.rest import API, ENGINE, ENGINES
from tests.e2e.stacks import RunningStack


@pytest.fixture(scope="module")
def runtime() -> str:
    """Nothing here depends on it."""
    return "process"


def configured(instance_id: str, labels: dict[str, str]) -> dict[str, Any]:
    return {**msgspec.to_builtins(paced(instance_id)), "labels": labels}


async def asked(
    stack: RunningStack, token: str, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(stack.connection.http_url, headers=headers) as http,
        http.request(method, path, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_trader_of_one_desk_does_not_command_anothers_engines(stack: RunningStack) -> None:
    made = stack.cli("access", "add", "desk-a", "--role", "trader", "--label", "desk=a", "--expires", "1h")
    token = made.stdout.strip()
    theirs = ["--strategy", "ema_cross", "--param", f"speed={PACED}", "--label", "desk=b"]
    stack.json("engine", "start", "theirs", *theirs)
    body = {"config": configured("mine", {"zone": "x"})}
    status, known = await asked(stack, token, "POST", f"{ENGINE}/start?wait=true", body)
    assert (status, known["data"]["config"]["labels"]) == (200, {"desk": "a", "zone": "x"}), known
    _, known = await asked(stack, token, "GET", ENGINES)
    assert [one["instance_id"] for one in known["engines"]] == ["mine"]
    status, known = await asked(stack, token, "GET", f"{ENGINE}/status")
    assert (status, known["status"]["instance_id"]) == (200, "mine")
    for method, path, wanted in (
        ("GET", f"{ENGINES}/theirs", 404),
        ("GET", f"{ENGINES}/theirs/logs", 404),
        ("POST", f"{ENGINES}/theirs/stop", 404),
        ("POST", f"{ENGINES}/theirs/emergency-stop", 404),
        ("POST", f"{ENGINE}/emergency-stop", 403),
        ("GET", f"{ENGINE}/containers", 403),
        ("GET", f"{API}/hosts", 403),
        ("GET", f"{ENGINE}/backtests", 403),
        ("GET", f"{API}/catalog", 200),
    ):
        status, known = await asked(stack, token, method, path)
        assert status == wanted, (path, known)
    for name, labels, wanted in (("theirs", {}, 409), ("third", {"desk": "b"}, 403)):
        body = {"config": configured(name, labels)}
        status, known = await asked(stack, token, "POST", f"{ENGINE}/start", body)
        assert status == wanted, known
    engines = {one["instance_id"]: one["state"] for one in stack.json("engine", "ls")["engines"]}
    assert engines == {"mine": "running", "theirs": "running"}
    status, known = await asked(stack, token, "POST", f"{ENGINES}/mine/emergency-stop")
    assert status == 200, known
    assert [one["instance_id"] for one in known["data"]["receipts"]] == ["mine"]
    stack.json("engine", "stop", "theirs")


async def test_a_token_that_is_taken_away_ends_its_stream_and_works_no_more(stack: RunningStack) -> None:
    token = stack.cli("access", "add", "watcher", "--role", "observer").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(stack.connection.http_url, headers=headers) as http:
        async with http.get(f"{API}/stream") as stream:
            assert stream.status == 200
            await stream.content.readline()
            assert stack.cli("access", "rm", "watcher").returncode == 0
            began = time.monotonic()
            said = await stream.content.read()
            assert time.monotonic() - began < 1
            assert b'event: end\ndata: {"reason":"token_removed"}\n' in said
        async with http.get(f"{ENGINE}/status") as answer:
            assert answer.status == 401
