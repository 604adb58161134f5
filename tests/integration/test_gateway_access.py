"""Tokens that end while they are used, and what an observer sees."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.tokens import remove_token
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.backtest import BacktestList
from flotilla.schemas.states import ClientState
from flotilla.schemas.telemetry import FleetAlert, Severity
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.stack.servers.nats import NatsServer
from tests.access import OBSERVED, create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import backtest, unfinished
from tests.integration.gateways import API, ENGINE, NOW, Stage, concrete, engine, staged
from tests.integration.logins import engine_login
from tests.integration.test_gateway_stream import Reader, alert

STREAM = f"{API}/stream"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


@pytest.fixture
async def sidecar(nats: NatsServer) -> AsyncIterator[Bus]:
    bus = await connect(engine_login(nats, "e1"))
    yield bus
    await bus.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def removed(file: Path) -> None:
    remove_token(file, "me")


def replaced(file: Path) -> None:
    create_token(file, "me", Role.VIEWER)


def promoted(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line.replace("viewer", "trader") if '"me"' in line else line for line in lines))


def gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (removed, "token_removed"),
        (replaced, "token_replaced"),
        (promoted, "token_changed"),
        (gone, "token_removed"),
    ],
)
async def test_the_streams_of_a_token_that_ends_say_so_within_a_second_and_no_other_ends(
    stage: Stage, sidecar: Bus, tmp_path: Path, end: Callable[[Path], None], reason: str
) -> None:
    file = tmp_path / "tokens.jsonl"
    token = create_token(file, "me", Role.VIEWER)
    async with stage.http.get(STREAM, headers=bearer(token)) as mine, stage.http.get(STREAM) as other:
        reader, others = Reader(mine), Reader(other)
        await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        assert (await reader.event())[0] == (await others.event())[0] == "alert"
        began = time.monotonic()
        end(file)
        assert await reader.event() == ("end", {"reason": reason})
        with pytest.raises(EOFError):
            await reader.event()
        assert time.monotonic() - began < 1
        if end is not gone:
            await sidecar.publish(contract.ALERT, alert(2), instance_id="e1")
            assert (await others.event())[1]["seq"] == 2
    again = 200 if end is promoted else 401
    async with stage.http.get(f"{ENGINE}/status", headers=bearer(token)) as answer:
        assert answer.status == again


async def test_a_stream_ends_when_its_token_expires(stage: Stage, tmp_path: Path) -> None:
    token = create_token(tmp_path / "tokens.jsonl", "me", Role.VIEWER, lifetime=timedelta(seconds=1.5))
    async with stage.http.get(STREAM, headers=bearer(token)) as mine:
        assert mine.status == 200
        began = time.monotonic()
        assert await Reader(mine).event() == ("end", {"reason": "token_expired"})
        assert time.monotonic() - began < 2.5
    async with stage.http.get(f"{ENGINE}/status", headers=bearer(token)) as answer:
        assert answer.status == 401
        assert "expired at" in (await answer.json())["message"]


async def test_a_client_that_reads_nothing_is_cut_when_its_token_ends(
    stage: Stage, sidecar: Bus, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.jsonl"
    token = create_token(file, "me", Role.VIEWER)
    host, port = stage.address.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, int(port)))
    client.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(20):
            while await _clients(stage) < 1:
                await asyncio.sleep(0.02)
            for number in range(600):  # far more than its socket takes
                await sidecar.publish(contract.ALERT, alert(number, "x" * 40_000), instance_id="e1")
            await sidecar.flush()
            await asyncio.sleep(0.3)  # so that the writer is at it
            remove_token(file, "me")
            began = time.monotonic()
            while await _clients(stage) > 0:
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < 1
    finally:
        client.close()


async def _clients(stage: Stage) -> float:
    async with stage.http.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("flotilla_gateway_stream_clients ")
    )


async def test_an_observer_sees_engines_and_nothing_else(stage: Stage) -> None:
    for route in ROUTES:
        if route.role is None or route.name == "stream":
            continue
        async with stage.http.request(
            route.method, concrete(route), headers=stage.bearer(Role.OBSERVER)
        ) as answer:
            assert (answer.status == 403) == (route.name not in OBSERVED), route.name
    assert {route.name for route in ROUTES} >= OBSERVED


async def test_an_observers_status_and_stream_have_no_backtests(stage: Stage) -> None:
    running = BacktestList(backtests=(unfinished(),), total_count=1)
    stage.orchestrator.answers["fleet.backtest.list"] = running
    for role, count in ((Role.OBSERVER, None), (Role.VIEWER, 1)):
        async with stage.http.get(f"{ENGINE}/status", headers=stage.bearer(role)) as answer:
            status = (await answer.json())["status"]
        assert status["backtest_count"] == count
        assert bool(status["active_backtests"]) == (count is not None)
    async with stage.http.get(
        f"{STREAM}?kinds=alert,backtest", headers=stage.bearer(Role.OBSERVER)
    ) as answer:
        assert answer.status == 403
        assert "kinds: observer does not see backtest" in (await answer.json())["message"]
    async with stage.http.get(STREAM, headers=stage.bearer(Role.OBSERVER)) as mine:
        await _published(stage)
        assert (await Reader(mine).event())[0] == "fleet_alert"


async def _published(stage: Stage) -> None:
    """A backtest, and then an alert of the fleet."""
    bus = stage.orchestrator.bus
    view = backtest()
    await bus.publish(contract.FLEET_BACKTEST, view, backtest_id=view.backtest_id)
    told = FleetAlert(at=NOW, severity=Severity.INFO, code="test", message="look")
    await bus.publish(contract.FLEET_ALERT, told)
    await bus.flush()


async def test_who_has_the_token_but_not_the_role_is_named_in_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with stage.http.get(f"{API}/audit", headers=stage.bearer(Role.OBSERVER)) as answer:
        assert answer.status == 403
    lines = [getattr(record, "fields") for record in caplog.records if record.getMessage() == "request"]  # noqa: B009
    assert lines[-1]["caller"] == "observer"


async def test_a_token_may_come_as_an_api_key_and_only_once(stage: Stage) -> None:
    token = stage.tokens[Role.VIEWER]
    async with aiohttp.ClientSession() as http:
        for headers, status, words in (
            ({"X-API-Key": token}, 200, ""),
            ({"X-API-Key": "garbage"}, 401, "the X-API-Key is not known"),
            ({"X-API-Key": ""}, 401, "a bearer token is needed"),
            ({"X-API-Key": token, "Authorization": f"Bearer {token}"}, 401, "exactly one is needed"),
        ):
            async with http.get(f"{stage.address}{ENGINE}/status", headers=headers) as answer:
                assert answer.status == status, headers
                assert words in (await answer.text())


async def test_health_is_told_without_a_credential_and_then_without_names(stage: Stage) -> None:
    url = f"{stage.address}{ENGINE}/health"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            told = await answer.json()
            assert (answer.status, told["status"], told["container_count"]) == (200, "healthy", 1)
            assert (told["session_id"], told["active_containers"]) == (None, [])
        await stage.orchestrator.publish(engine(state=ClientState.ERROR))
        async with asyncio.timeout(5):
            while told["status"] != "unhealthy":
                async with http.get(url) as answer:
                    told = await answer.json()
        async with http.get(url, headers={"Authorization": "Bearer garbage"}) as answer:
            assert answer.status == 401


async def test_two_authorization_headers_are_no_credential(stage: Stage) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    good = stage.bearer(Role.ADMIN)["Authorization"]
    for second in (good, "Bearer x", "Basic x"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"GET {ENGINE}/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        writer.write(f"{head}Authorization: {good}\r\nAuthorization: {second}\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_tokens_that_cannot_be_read_are_a_trouble_of_ours(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    file.unlink()
    file.mkdir()
    async with aiohttp.ClientSession(stage.address) as http:
        async with http.get(f"{ENGINE}/status", headers=stage.bearer(Role.ADMIN)) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "5"
        async with http.get(f"{ENGINE}/status") as answer:
            assert answer.status == 401
