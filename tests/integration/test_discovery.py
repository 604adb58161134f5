"""What `nats micro ls|info|stats` and `nats req` do, said by hand: ADR-32 requests on $SRV and plain requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from nats.aio.msg import Msg

from flotilla.bus.bus import Bus
from flotilla.bus.discovery import Discovery
from flotilla.bus.host import HealthProbe, host
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, ListEngines
from flotilla.schemas.health import ReadHealth
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs


async def request_many(bus: Bus, subject: str, wait_s: float = 0.3) -> list[dict[str, Any]]:
    """Every answer that comes within `wait_s`, as the stock CLI collects them."""
    answers: list[dict[str, Any]] = []

    async def keep(message: Msg) -> None:
        answers.append(msgspec.json.decode(message.data))

    inbox = bus.client.new_inbox()
    subscription = await bus.client.subscribe(inbox, cb=keep)
    await bus.client.publish(subject, b"", reply=inbox)
    await asyncio.sleep(wait_s)  # how long to listen is the caller's choice, as it is the stock CLI's
    await subscription.unsubscribe()
    return answers


async def _no_engines(_: ListEngines) -> EngineList:
    return EngineList(engines=(), total_count=0)


async def test_every_instance_answers_ping_info_and_stats(connect_as: ConnectAs) -> None:
    operator = await connect_as(Actor.OPERATOR)
    for number in range(2):
        service = await connect_as(Actor.ORCHESTRATOR)
        await service.serve(contract.ENGINE_LIST, _no_engines)
        await Discovery(service, "orchestrator", f"id{number}", "0.1.0", {"host": "h1"}).start()
    for _ in range(10):
        await operator.client.request("fleet.engine.list", b"")

    pings = await request_many(operator, "$SRV.PING")
    assert {ping["id"] for ping in pings} == {"id0", "id1"}
    assert all(ping["type"] == "io.nats.micro.v1.ping_response" for ping in pings)

    (info,) = await request_many(operator, "$SRV.INFO.orchestrator.id0")
    (endpoint,) = info["endpoints"]
    assert endpoint["subject"] == "fleet.engine.list"
    schema = msgspec.json.decode(endpoint["metadata"]["request.schema"])
    assert schema["$defs"]["ListEngines"]["properties"]["limit"]["maximum"] == 1000

    stats = await request_many(operator, "$SRV.STATS.orchestrator")
    assert sum(each["endpoints"][0]["num_requests"] for each in stats) == 10
    assert all(each["endpoints"][0]["num_errors"] == 0 for each in stats)


class _Probe:
    def __init__(self, state: str) -> None:
        self._state = state

    def checks(self) -> dict[str, str]:
        return {"postgres": self._state}

    def metrics(self) -> dict[str, float]:
        return {"engines": 3}


async def test_a_hosted_service_tells_its_health_and_is_found(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    operator = await connect_as(Actor.OPERATOR)

    @asynccontextmanager
    async def service(_: Bus) -> AsyncIterator[HealthProbe]:
        yield _Probe("connection refused")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(host(Actor.ORCHESTRATOR, nats.settings(Actor.ORCHESTRATOR), service))
        health = await operator.call(contract.HEALTH[Actor.ORCHESTRATOR], ReadHealth())
        assert not health.is_ready
        assert health.checks == {"postgres": "connection refused"}
        assert health.metrics["engines"] == 3
        assert health.metrics["bus_reconnects_total"] == 0
        (ping,) = await request_many(operator, "$SRV.PING.orchestrator")
        assert ping["name"] == "orchestrator"
        task.cancel()
