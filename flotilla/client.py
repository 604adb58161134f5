"""The typed client: what an operator can ask of a fleet, over the bus. Every call raises FaultError when it is refused."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from bus.bus import Bus, connect
from bus.settings import BusSettings
from bus.streams import history
from flotilla.problem import EngineFailedError
from flotilla.settings import OPERATOR, Connection, find_connection
from flotilla.watch import FEEDS, Watch
from schemas import contract
from schemas.catalog import CatalogView, ListCatalog, ListTemplates, TemplateList
from schemas.config import EngineConfig
from schemas.contract import HEALTH, Actor
from schemas.engine import (
    EngineAccepted,
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    ListEngines,
    ListSessions,
    ReadEvents,
    ReadLogs,
    RestartEngine,
    SessionList,
    StartEngine,
    StopEngine,
    WhichEngine,
)
from schemas.fault import FaultCode, fault
from schemas.health import Health, ReadHealth
from schemas.session import ContainerList, ListContainers
from schemas.states import RunState, StopPolicy
from schemas.telemetry import EngineEvent, LogLines

ENDED: Final = frozenset({RunState.STOPPED, RunState.FAILED})
_PAGE: Final = 1000
_POLL_S: Final = 1.0


class Flotilla:
    """One connection to a fleet. Made by `connect`; all times in seconds."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, to: Connection | str | Path | None = None, *, wait_s: float = 5.0
    ) -> AsyncIterator[Self]:
        """Connects to a stack: by its Connection, its state folder, or as `find_connection` finds it."""
        found = to if isinstance(to, Connection) else find_connection(to)
        bus = await connect(bus_settings(found), wait_s=wait_s)
        try:
            yield cls(bus)
        finally:
            await bus.drain()
            await bus.close()

    async def start_engine(
        self,
        config: EngineConfig | None = None,
        *,
        confirm_live_trading: bool = False,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Starts a new session; returns when that is on record. `wait_for` tells when it trades."""
        request = StartEngine(
            config=config or EngineConfig(), confirm_live_trading=confirm_live_trading, request_id=request_id
        )
        return await self.bus.call(contract.ENGINE_START, request)

    async def stop_engine(
        self,
        instance_id: str | None = None,
        *,
        force: bool = False,
        policy: StopPolicy | None = None,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Stops an engine; `force` kills it. Stopping a stopped one is a success."""
        request = StopEngine(instance_id=instance_id, force=force, policy=policy, request_id=request_id)
        return await self.bus.call(contract.ENGINE_STOP, request)

    async def restart_engine(
        self,
        instance_id: str | None = None,
        *,
        confirm_live_trading: bool = False,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """Stops an engine if it runs, then starts a new session with its last configuration."""
        request = RestartEngine(
            instance_id=instance_id, confirm_live_trading=confirm_live_trading, request_id=request_id
        )
        return await self.bus.call(contract.ENGINE_RESTART, request)

    async def status(self, instance_id: str | None = None) -> FleetStatus:
        """The engine meant, and every active one."""
        return await self.bus.call(contract.ENGINE_STATUS, WhichEngine(instance_id=instance_id))

    async def engine(self, instance_id: str) -> EngineView:
        """One engine. Raises FaultError `not_found`."""
        found = (await self.status(instance_id)).engine
        if found is None:
            raise fault(FaultCode.NOT_FOUND, f"no engine {instance_id}")
        return found

    async def engines(self, *, active: bool = False, limit: int = 100) -> EngineList:
        """Engines, most recent first; `active` keeps those whose session has not ended."""
        return await self.bus.call(contract.ENGINE_LIST, ListEngines(active=active, limit=limit))

    async def sessions(self, instance_id: str, *, limit: int = 20) -> SessionList:
        """The sessions of an engine, newest first."""
        return await self.bus.call(
            contract.ENGINE_SESSIONS, ListSessions(instance_id=instance_id, limit=limit)
        )

    async def logs(
        self,
        instance_id: str | None = None,
        *,
        lines: int = 100,
        level: str | None = None,
        since: datetime | None = None,
    ) -> EngineLogs:
        """The last lines of an engine's log, also after its container is gone."""
        request = ReadLogs(instance_id=instance_id, lines=lines, level=level, since=since)
        return await self.bus.call(contract.ENGINE_LOGS, request)

    async def follow_logs(self, instance_id: str, *, lines: int = 100) -> AsyncIterator[LogLines]:
        """The last `lines` lines of an engine's log, then new ones as they come, each once; never ends."""
        async with self.watch(instance_id, kinds=("log",)) as updates:
            kept = await history(self.bus, contract.LOG, limit=lines, instance_id=instance_id)
            seen: dict[str, int] = {}
            for chunk in _last([msgspec.json.decode(one.data, type=LogLines) for one in kept], lines):
                seen[chunk.session_id] = chunk.first + len(chunk.lines)
                yield chunk
            async for update in updates:
                chunk = update.payload
                if fresh := chunk.lines[max(0, seen.get(chunk.session_id, 1) - chunk.first) :]:
                    seen[chunk.session_id] = chunk.first + len(chunk.lines)
                    first = seen[chunk.session_id] - len(fresh)
                    yield msgspec.structs.replace(chunk, first=first, lines=fresh)

    async def events(
        self,
        instance_id: str,
        *,
        session_id: str | None = None,
        after_seq: int = 0,
        kind: str | None = None,
        limit: int = 100,
    ) -> EventList:
        """Durable events of a session (the present one when none is named) from the record, oldest first."""
        request = ReadEvents(
            instance_id=instance_id, session_id=session_id, after_seq=after_seq, kind=kind, limit=limit
        )
        return await self.bus.call(contract.ENGINE_EVENTS, request)

    async def all_events(
        self, instance_id: str, *, session_id: str | None = None, kind: str | None = None
    ) -> AsyncIterator[EngineEvent[dict[str, Any]]]:
        """Every event of a session, page by page."""
        after = 0
        while True:
            page = await self.events(
                instance_id, session_id=session_id, after_seq=after, kind=kind, limit=_PAGE
            )
            for raw in page.events:
                event = msgspec.json.decode(raw, type=EngineEvent[dict[str, Any]])
                after = event.seq
                yield event
            # A page is also cut where it would be too large for one message, so that only an empty one is the end.
            if not page.events:
                return

    def watch(self, instance_id: str | None = None, *, kinds: Iterable[str] = tuple(FEEDS)) -> Watch:
        """`async with fleet.watch("my-engine", kinds=("fill",)) as updates: async for update in updates: …`."""
        return Watch(self.bus, kinds, instance_id)

    async def wait_for(
        self,
        instance_id: str,
        states: Collection[RunState] = (RunState.TRADING,),
        *,
        session_id: str | None = None,
        timeout_s: float = 60.0,
    ) -> EngineView:
        """The engine once its session (`session_id`, else the present one) is in one of `states`.

        Raises EngineFailedError when it can no longer get there, FaultError `outcome_unknown` when time ran out first.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        async with self.watch(instance_id, kinds=("engine",)) as updates:
            view = await self.engine(instance_id)
            while not _arrived(view, states, session_id):
                if loop.time() >= deadline:
                    raise _still(view, timeout_s)
                update = await updates.next(_POLL_S)
                view = update.payload if update else await self.engine(instance_id)
        return await self.engine(instance_id)

    async def containers(self) -> ContainerList:
        """The engine containers of every host in sight."""
        return await self.bus.call(contract.CONTAINER_LIST, ListContainers())

    async def templates(self, kind: str = "strategy") -> TemplateList:
        """Templates of a kind, `strategy` or `engine`."""
        return await self.bus.call(contract.TEMPLATE_LIST, ListTemplates(kind=kind))

    async def catalog(self) -> CatalogView:
        """What the data catalog holds."""
        return await self.bus.call(contract.CATALOG_LIST, ListCatalog())

    async def health(self, service: Actor) -> Health:
        """How the orchestrator, a supervisor or the gateway is."""
        return await self.bus.call(HEALTH[service], ReadHealth())


def bus_settings(connection: Connection) -> BusSettings:
    """How an operator connects. Raises FaultError `unavailable` when the credentials cannot be read."""
    try:
        creds = Path(connection.nats_creds).read_text() if connection.nats_creds else ""
    except OSError as error:
        raise fault(FaultCode.UNAVAILABLE, f"no credentials for the bus: {error}") from None
    return BusSettings(url=connection.nats_url, name=OPERATOR, creds=creds)


def _arrived(engine: EngineView, states: Collection[RunState], session_id: str | None) -> bool:
    session = engine.session
    if session is None:
        return False
    if session_id is not None and session.session_id != session_id:
        # Session ids sort by time: an older one is what was there before ours.
        if session.session_id > session_id:
            raise EngineFailedError(engine)
        return False
    if session.state in states:
        return True
    if session.state.is_terminal:
        raise EngineFailedError(engine)
    return False


def _still(engine: EngineView, timeout_s: float) -> Exception:
    state = engine.session.state if engine.session else "not started"
    return fault(
        FaultCode.OUTCOME_UNKNOWN, f"engine {engine.instance_id} is still {state} after {timeout_s:g} s"
    )


def _last(chunks: list[LogLines], lines: int) -> list[LogLines]:
    kept: list[LogLines] = []
    for chunk in reversed(chunks):
        if lines <= 0:
            break
        tail = chunk.lines[-lines:]
        first = chunk.first + len(chunk.lines) - len(tail)
        kept.append(msgspec.structs.replace(chunk, first=first, lines=tail))
        lines -= len(tail)
    return kept[::-1]
