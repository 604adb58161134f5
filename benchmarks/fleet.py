"""A gateway on a bus of its own, with an orchestrator that says how it is and answers what a gateway asks when it starts."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.logs import configure
from flotilla.bus.streams import ensure_streams
from flotilla.bus.tasks import Tasks
from flotilla.bus.tokens import add_token
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.alerting import AlertList
from flotilla.schemas.backtest import BacktestList
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, EngineView, ListEngines
from flotilla.schemas.health import Health
from flotilla.schemas.heartbeats import BEAT_S
from flotilla.schemas.history import DayStarts
from flotilla.schemas.ledger import LedgerPage
from flotilla.schemas.session import ContainerFacts, ContainerList, ContainerStatus
from flotilla.services.gateway.service import GatewayProbe, serve
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.stack.servers.nats import NatsServer

_LEDGERS: Final = (contract.LEDGER_ORDERS, contract.LEDGER_POSITIONS, contract.LEDGER_ACCOUNTS)
_PAGE: Final = 200
"""Views that fit into one answer of the bus."""


class StandIn:
    """In the orchestrator's place: it knows these engines, and nothing happens to them."""

    def __init__(self, bus: Bus, views: Sequence[EngineView]) -> None:
        self._bus = bus
        self._views = views

    async def serve(self) -> None:
        """Answers what a gateway asks for the whole fleet."""
        now = datetime.now(UTC)
        await self._bus.serve(contract.ENGINE_LIST, self._engines)
        answers: tuple[tuple[contract.Call[Any, Any], Any], ...] = (
            (contract.BACKTEST_LIST, BacktestList(backtests=(), total_count=0)),
            (contract.ALERT_LIST, AlertList(alerts=())),
            (contract.CONTAINER_LIST, ContainerList(containers=tuple(map(_container, self._views[:_PAGE])))),
            (contract.HISTORY_DAYS, DayStarts(since=now, days={})),
            *((ledger, LedgerPage(rows=())) for ledger in _LEDGERS),
        )
        for call, reply in answers:
            await self._bus.serve(call, _always(reply))

    async def beat(self) -> None:
        """Says once a second that it is there, until cancelled."""
        began = datetime.now(UTC)
        said = Health(service=Actor.ORCHESTRATOR, version="1", is_ready=True, started_at=began)
        while True:
            await self._bus.publish(contract.ORCHESTRATOR_HEARTBEAT, said)
            await asyncio.sleep(BEAT_S)

    async def _engines(self, asked: ListEngines) -> EngineList:
        names = [view.instance_id for view in self._views]
        start = names.index(asked.cursor) + 1 if asked.cursor else 0
        page = tuple(self._views[start : start + _PAGE])
        is_last = start + _PAGE >= len(names)
        return EngineList(
            engines=page, total_count=len(names), next=None if is_last else page[-1].instance_id
        )


class FleetGateway(msgspec.Struct, frozen=True):
    """A gateway that knows its whole fleet; `token` is a viewer's, `says` a connection that may say anything."""

    probe: GatewayProbe
    token: str
    says: Bus


@asynccontextmanager
async def gateway_of(
    server: NatsServer, folder: Path, views: Sequence[EngineView], **settings: Any
) -> AsyncIterator[FleetGateway]:
    """A gateway in this process, whose lines of the log go where a stack has them: into a file."""
    with (folder / "gateway.log").open("w") as log:
        configure("gateway", "INFO", log)
        tokens = folder / "tokens.jsonl"
        token, _ = add_token(tokens, "viewer", Role.VIEWER, now=datetime.now(UTC))
        answers = await connect(server.settings(Actor.OPERATOR))
        await ensure_streams(answers)
        stand_in = StandIn(answers, views)
        await stand_in.serve()
        bus = await connect(server.settings(Actor.GATEWAY))
        usual = GatewaySettings.from_env({"FLOTILLA_STATE": str(folder)})
        chosen = {"port": 0, "tokens_file": tokens, "rate": 1e9, **settings}
        tasks = Tasks()
        tasks.start(stand_in.beat(), name="heartbeat")
        try:
            async with serve(bus, msgspec.structs.replace(usual, **chosen)) as probe:
                await _known(probe)
                yield FleetGateway(probe, token, answers)
        finally:
            await tasks.close()
            for each in (bus, answers):
                await each.close()


def on_a_server(measure: Callable[[NatsServer, Path], Coroutine[Any, Any, int]]) -> int:
    """Runs a figure on a NATS server of its own; returns what it returns."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats", FleetKeys(Path(folder) / "keys"))
        server.start()
        try:
            return asyncio.run(measure(server, Path(folder)))
        finally:
            server.stop()


async def output_of(*arguments: str) -> list[str]:
    """The words that a module of ours prints, run in a process of its own. Raises RuntimeError when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {process.returncode}")
    return printed.decode().split()


async def _known(probe: GatewayProbe) -> None:
    """Waits until the gateway knows all there is. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while not probe.gateway.fleet.is_current:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.05)


def _container(view: EngineView) -> ContainerFacts:
    session = view.session
    if session is None:
        raise RuntimeError(f"{view.instance_id} has no session")
    return ContainerFacts(
        session_id=session.session_id,
        instance_id=view.instance_id,
        generation=1,
        host="h1",
        name=session.container_name,
        status=ContainerStatus.RUNNING,
        runtime="docker",
        image="flotilla-engine",
        created_at=session.created_at,
        started_at=session.created_at,
    )


def _always(reply: Any) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    async def answer(_: Any) -> Any:
        return reply

    return answer
