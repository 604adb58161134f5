"""What a gateway tells of itself, and its life as a process."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.contract import HEALTH, Actor
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.health import Health, ReadHealth
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.stack.servers.nats import NatsServer
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, ENGINE, NOW, Orchestrator, Stage, engine, staged


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


@asynccontextmanager
async def anonymous(stage: Stage) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(stage.address) as session:
        yield session


async def test_probes_and_documents_are_open_to_all(stage: Stage) -> None:
    async with anonymous(stage) as http:
        for route in ROUTES:
            if route.role is None and route.method == "GET":
                for method in ("GET", "HEAD"):
                    async with http.request(method, route.path) as answer:
                        assert answer.status == 200, route.path
                        assert answer.content_type == route.media


async def test_ready_means_bus_and_orchestrator(stage: Stage) -> None:
    async with anonymous(stage) as http:
        async with http.get("/readyz") as answer:
            assert await answer.json() == {"status": "ready", "checks": {"bus": "ok", "orchestrator": "ok"}}
        health = stage.orchestrator.answers[HEALTH[Actor.ORCHESTRATOR].subject]
        unwell = msgspec.structs.replace(health, is_ready=False, checks={"postgres": "password is wrong"})
        for trouble in (unwell, fault(FaultCode.UNAVAILABLE, "away")):
            stage.orchestrator.answers[HEALTH[Actor.ORCHESTRATOR].subject] = trouble
            async with http.get("/readyz") as answer:
                assert answer.status == 503
                assert "Retry-After" in answer.headers
                assert await answer.json() == {
                    "status": "not ready",
                    "checks": {"bus": "ok", "orchestrator": "failing"},
                }
        async with http.get("/healthz") as answer:
            assert answer.status == 200


async def test_the_bus_away_is_not_ready_and_503_until_it_is_back(stage: Stage, nats: NatsServer) -> None:
    nats.kill()
    async with anonymous(stage) as http:
        async with http.get("/readyz") as answer:
            assert (await answer.json())["checks"]["bus"] == "failing"
        async with stage.http.post(f"{ENGINE}/start", json={"config": {}}) as answer:
            assert answer.status == 503
        async with stage.http.get(f"{ENGINE}/status") as answer:
            assert answer.status == 200
            assert (await answer.json())["success"] is False
        assert stage.orchestrator.requests == []
        nats.start()
        async with asyncio.timeout(10):
            while True:
                async with http.get("/readyz") as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.05)
    async with stage.http.get(f"{ENGINE}/status") as answer:
        assert (await answer.json())["success"] is True


async def test_metrics_count_by_route_and_name_no_path_and_no_person(stage: Stage) -> None:
    for path in ("engines/my-secret-engine", "engines/my-secret-engine/logs", "nothing/my-secret-engine"):
        async with stage.http.get(f"{API}/{path}"):
            pass
    async with stage.http.request("DELETE", f"{API}/engines/my-secret-engine"):
        pass
    await heard(stage.orchestrator.bus, engines=2.0)
    async with anonymous(stage) as http:
        async with http.get("/metrics") as answer:
            assert answer.status == 401
        async with http.get("/metrics", headers=stage.bearer(Role.OBSERVER)) as answer:
            text = await answer.text()
    assert "my-secret-engine" not in text
    assert "admin" not in text
    assert (
        'flotilla_gateway_http_requests_total{method="GET",route="/api/v1/nautilus/engines/{instance_id}",status="200"} 1'
        in text
    )
    assert 'flotilla_gateway_http_requests_total{method="GET",route="unmatched",status="404"} 1' in text
    assert "flotilla_orchestrator_engines 2.0" in text
    assert 'flotilla_up{service="orchestrator"} 1.0' in text


async def heard(orchestrator: Bus, **figures: float) -> None:
    """The orchestrator says how it is, as it does each second."""
    said = Health(service="orchestrator", version="1", is_ready=True, started_at=NOW, metrics=figures)
    await orchestrator.publish(contract.ORCHESTRATOR_HEARTBEAT, said)
    await orchestrator.flush()


async def test_metrics_ask_nobody_and_tell_an_orchestrator_that_is_away(stage: Stage) -> None:
    await heard(stage.orchestrator.bus, engines=2.0)
    stage.orchestrator.answers[HEALTH[Actor.ORCHESTRATOR].subject] = fault(FaultCode.UNAVAILABLE, "away")
    before = len(stage.orchestrator.requests)
    async with stage.http.get("/metrics") as answer:
        text = await answer.text()
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'flotilla_engine_state{engine="e1",state="trading"} 1.0' in text
    assert 'flotilla_up{service="orchestrator"} 1.0' in text
    assert len(stage.orchestrator.requests) == before


async def test_metrics_are_open_to_all_where_the_settings_say_so_and_nothing_else_is(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, metrics_open=True) as stage, anonymous(stage) as http:
        async with http.get("/metrics") as answer:
            assert (answer.status, "flotilla_engine_state{" in await answer.text()) == (200, True)
        async with http.get("/metrics", headers={"Authorization": "Bearer guessed"}) as answer:
            assert answer.status == 401
        async with http.get(f"{API}/fleet") as answer:
            assert answer.status == 401


async def test_engines_beyond_the_setting_are_counted_and_not_named(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, metrics_engines=1) as stage:
        for name in ("e2", "e3"):
            await stage.orchestrator.publish(engine(name))
        async with asyncio.timeout(5):
            while True:
                async with stage.http.get("/metrics") as answer:
                    text = await answer.text()
                if "flotilla_engines_left_out 2.0\n" in text:
                    break
                await asyncio.sleep(0.02)
    assert 'flotilla_engines{mode="paper",state="trading"} 3.0\n' in text
    assert text.count("\nflotilla_engine_info{") == 1


async def test_docs_are_one_page_that_loads_nothing(stage: Stage) -> None:
    async with stage.http.get("/docs") as answer:
        page = await answer.text()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for loading in ("<script", "<link", "<img", "@import", "url(", "src="):
        assert loading not in page
    for route in ROUTES:
        assert f'id="{route.name}"' in page
        assert route.path in page


async def test_the_access_log_has_request_id_status_and_time(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    headers = {"X-Request-Id": "find-me", **stage.bearer(Role.VIEWER)}
    for path in (f"{ENGINE}/logs", f"{ENGINE}/status"):  # the second is asked for all the time, and noise
        async with stage.http.get(path, headers=headers):
            pass
    lines = [getattr(record, "fields") for record in caplog.records if record.getMessage() == "request"]  # noqa: B009
    assert lines[-1]["status"] == 200
    assert lines[-1]["path"] == f"{ENGINE}/logs"
    assert lines[-1]["caller"] == "viewer"
    assert 0 <= lines[-1]["ms"] < 5_000
    assert stage.tokens[Role.VIEWER] not in str([vars(record) for record in caplog.records])


class Running:
    """`python -m flotilla.services.gateway`, and the lines of its log."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def line(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            while text := await self.process.stderr.readline():
                self.lines.append(json.loads(text))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"it ended without {event!r}: {self.lines}")


@asynccontextmanager
async def running(nats: NatsServer, folder: Path, **env: str) -> AsyncIterator[Running]:
    variables = {
        **os.environ,
        "FLOTILLA_NATS_URL": nats.url,
        "FLOTILLA_NATS_CREDS": str(nats.keys.write_credentials(Actor.GATEWAY)),
        "FLOTILLA_STATE": str(folder),
        "FLOTILLA_HTTP_PORT": "0",
        **env,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flotilla.services.gateway", env=variables, stderr=PIPE
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_process_serves_from_its_environment_and_ends_with_0_on_sigterm(
    nats: NatsServer, connect_as: ConnectAs, tmp_path: Path
) -> None:
    orchestrator = Orchestrator(await connect_as(Actor.ORCHESTRATOR))
    await orchestrator.start()
    token = create_token(tmp_path / "tokens.jsonl", "me", Role.TRADER)
    async with running(nats, tmp_path) as gateway:
        address = (await gateway.line("listening"))["address"]
        await gateway.line("service ready")
        async with aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {token}"}) as http:
            body = {"config": {"engine_type": "live", "trading_mode": "paper", "instance_id": "trading-001"}}
            async with http.post(f"{ENGINE}/start", json=body, headers={"X-Request-Id": "r-1"}) as answer:
                assert answer.status == 200
            line = await gateway.line("request")
            assert (line["request_id"], line["status"], line["service"]) == ("r-1", 200, "gateway")
            async with http.get(f"{API}/stream") as stream:
                operator = await connect_as(Actor.OPERATOR)
                health = await operator.call(HEALTH[Actor.GATEWAY], ReadHealth())
                assert health.is_ready
                assert health.metrics["stream_clients"] == 1
                gateway.process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(10):
                    await stream.content.read()
                    assert await gateway.process.wait() == 0


async def test_a_port_that_is_taken_ends_the_process_with_a_word(
    nats: NatsServer, connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with (
        staged(connect_as, tmp_path) as stage,
        running(nats, tmp_path, FLOTILLA_HTTP_PORT=stage.address.rpartition(":")[2]) as gateway,
    ):
        line = await gateway.line("gateway ends")
        assert "address already in use" in line["error"]
        assert await gateway.process.wait() == 1


async def test_settings_that_cannot_be_used_end_the_process_with_78(nats: NatsServer, tmp_path: Path) -> None:
    async with running(nats, tmp_path, FLOTILLA_HTTP_PORT="many") as gateway:
        _, said = await gateway.process.communicate()
        assert gateway.process.returncode == 78
        assert b"FLOTILLA_HTTP_PORT 'many'" in said
