"""A gateway on a real bus and a real port, and an orchestrator that answers what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bus.bus import Bus
from schemas import contract
from schemas.catalog import CatalogEntry, CatalogView, Parameter, TemplateList, TemplateView
from schemas.config import EngineConfig
from schemas.contract import HEALTH, Actor, Call
from schemas.engine import (
    EngineAccepted,
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    SessionList,
    SessionView,
)
from schemas.fault import FaultError
from schemas.health import Health
from schemas.session import ContainerFacts, ContainerList, ContainerStatus, container_name
from schemas.states import ClientState, DesiredState, RunState
from schemas.telemetry import Resources
from services.gateway.auth import Role
from services.gateway.service import serve
from services.gateway.settings import GatewaySettings
from services.gateway.tokens import create_token
from tests.integration.conftest import ConnectAs

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
API = "/api/v1/nautilus"
ENGINE = f"{API}/engine"


def session(session_id: str = "s1", instance_id: str = "e1", **changes: Any) -> SessionView:
    known: dict[str, Any] = {
        "session_id": session_id,
        "instance_id": instance_id,
        "generation": 1,
        "state": RunState.TRADING,
        "container_name": container_name(session_id),
        "created_at": NOW,
        "started_at": NOW,
        **changes,
    }
    return SessionView(**known)


def engine(instance_id: str = "e1", session_id: str = "s1", **changes: Any) -> EngineView:
    known: dict[str, Any] = {
        "instance_id": instance_id,
        "state": ClientState.RUNNING,
        "desired": DesiredState.RUNNING,
        "config": EngineConfig(instance_id=instance_id),
        "session": session(session_id, instance_id),
        "heartbeat_age_s": 0.4,
        "resources": Resources(
            cpu_fraction=0.0123, memory_bytes=512 << 20, memory_limit_bytes=2 << 30, pids=7
        ),
        **changes,
    }
    return EngineView(**known)


def accepted(instance_id: str = "e1", session_id: str | None = "s1", **changes: Any) -> EngineAccepted:
    known: dict[str, Any] = {
        "request_id": "replaced",
        "instance_id": instance_id,
        "message": f"engine {instance_id} is starting",
        "state": ClientState.STARTING,
        "session_id": session_id,
        "container_name": container_name(session_id) if session_id else None,
        "started_at": NOW,
        "config": EngineConfig(instance_id=instance_id),
        **changes,
    }
    return EngineAccepted(**known)


TEMPLATE = TemplateView(
    name="ema_cross",
    kind="strategy",
    file="strategies/ema_cross.json",
    description="Crosses two averages.",
    parameters={
        "bar_type": Parameter(type="bar_type", help="Bars.", required=True),
        "fast": Parameter(type="integer", help="Fast.", default=10),
    },
    strategy_class="engine_sidecar.strategies.ema_cross:EMACross",
)


class Orchestrator:
    """Answers every call of the fleet with what stands in `answers` by subject: a value, a fault, or a function."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.requests: list[Any] = []
        self.answers: dict[str, Any] = {
            "fleet.engine.start": accepted(),
            "fleet.engine.stop": accepted(message="engine e1 is stopping", state=ClientState.STOPPING),
            "fleet.engine.restart": accepted(session_id="s2", message="engine e1 is restarting"),
            "fleet.engine.status": FleetStatus(engine=engine(), active=(engine(),)),
            "fleet.engine.list": EngineList(engines=(engine(),), total_count=1),
            "fleet.engine.sessions": SessionList(sessions=(session(),)),
            "fleet.engine.logs": EngineLogs(instance_id="e1", lines=("one", "two"), total_lines=2),
            "fleet.engine.events": EventList(session_id="s1", events=(msgspec.Raw(b'{"seq":1}'),)),
            "fleet.container.list": ContainerList(
                containers=(
                    ContainerFacts(
                        session_id="s1",
                        instance_id="e1",
                        generation=1,
                        host="h1",
                        name=container_name("s1"),
                        status=ContainerStatus.RUNNING,
                        runtime="docker",
                        image="flotilla-engine:latest",
                        created_at=NOW,
                        started_at=NOW,
                    ),
                )
            ),
            "fleet.template.list": TemplateList(templates=(TEMPLATE,)),
            "fleet.catalog.list": CatalogView(
                path="/secret/place",
                entries=(
                    CatalogEntry(
                        data_type="bars",
                        identifier="SPX.SIM-1-DAY-LAST-EXTERNAL",
                        instrument_id="SPX.SIM",
                        start=NOW,
                        end=NOW,
                        files=1,
                        size_bytes=9,
                    ),
                ),
            ),
            HEALTH[Actor.ORCHESTRATOR].subject: Health(
                service="orchestrator", version="1", is_ready=True, started_at=NOW, metrics={"engines": 2.0}
            ),
        }

    async def start(self) -> None:
        for call in contract.CALLS:
            if call.subject in self.answers:
                await self.bus.serve(call, self._answer(call))

    def _answer(self, call: Call[Any, Any]) -> Callable[[Any], Awaitable[Any]]:
        async def answer(request: Any) -> Any:
            if call is not HEALTH[Actor.ORCHESTRATOR]:
                self.requests.append(request)
            reply = self.answers[call.subject]
            reply = reply(request) if callable(reply) else reply
            reply = await reply if asyncio.iscoroutine(reply) else reply
            if isinstance(reply, FaultError):
                raise reply
            if isinstance(reply, EngineAccepted) and reply.request_id == "replaced":
                reply = msgspec.structs.replace(reply, request_id=request.request_id)
            return reply

        return answer

    async def publish(self, view: EngineView) -> None:
        """Tells the fleet of an engine."""
        await self.bus.publish(contract.FLEET_STATE, view, instance_id=view.instance_id)


class Stage:
    """What a test plays on: `http` speaks as an admin."""

    def __init__(
        self, address: str, http: aiohttp.ClientSession, orchestrator: Orchestrator, tokens: dict[Role, str]
    ) -> None:
        self.address = address
        self.http = http
        self.orchestrator = orchestrator
        self.tokens = tokens

    def bearer(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}


@asynccontextmanager
async def staged(connect_as: ConnectAs, folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    """A gateway with its orchestrator."""
    file = folder / "tokens.jsonl"
    tokens = {role: create_token(file, str(role), role) for role in Role}
    orchestrator = Orchestrator(await connect_as(Actor.ORCHESTRATOR))
    await orchestrator.start()
    gateway = await connect_as(Actor.GATEWAY)
    chosen = GatewaySettings(**{"tokens_file": file, "port": 0, **settings})
    async with (
        serve(gateway, chosen) as probe,
        aiohttp.ClientSession(
            probe.address, headers={"Authorization": f"Bearer {tokens[Role.ADMIN]}"}
        ) as http,
    ):
        yield Stage(probe.address, http, orchestrator, tokens)
