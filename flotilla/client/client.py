"""The typed client: what an operator can ask of a fleet, over the bus. Every call raises FaultError when it is refused."""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.settings import BusSettings
from flotilla.bus.streams import history
from flotilla.client.alert_calls import AlertCalls
from flotilla.client.backtest_calls import BacktestCalls, StudyCalls
from flotilla.client.data_calls import DataCalls
from flotilla.client.engine_calls import EngineCalls
from flotilla.client.history_calls import HistoryCalls
from flotilla.client.host_calls import HostCalls
from flotilla.client.package_calls import PackageCalls
from flotilla.client.strategy_calls import StrategyCalls
from flotilla.client.watch import FEEDS, Watch
from flotilla.schemas import contract
from flotilla.schemas.audit import Caller
from flotilla.schemas.engine import EngineView, ListEngines
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineEvent, LogLines
from flotilla.state.errors import EngineFailedError
from flotilla.state.settings import OPERATOR, Connection, find_connection

ENDED: Final = frozenset({RunState.COMPLETED, RunState.STOPPED, RunState.FAILED})
_PAGE: Final = 1000
_POLL_S: Final = 1.0


def is_going(engine: EngineView) -> bool:
    """True for an engine whose session has not ended, and for one that waits for its next restart."""
    session = engine.session
    return engine.restart_at is not None or (session is not None and session.state not in ENDED)


async def engines_going(bus: Bus, labels: Mapping[str, str] | None = None) -> list[EngineView]:
    """Every engine that goes and carries the labels, however many there are. Raises FaultError."""
    found: dict[str, EngineView] = {}
    cursor: str | None = None
    while True:
        asked = ListEngines(limit=_PAGE, labels=dict(labels or {}), cursor=cursor)
        page = await bus.call(contract.ENGINE_LIST, asked)
        news = {view.instance_id: view for view in page.engines if view.instance_id not in found}
        found |= news
        if page.next is None or not news:
            return [view for view in found.values() if is_going(view)]
        cursor = page.next


class Flotilla(
    EngineCalls,
    StrategyCalls,
    HostCalls,
    AlertCalls,
    BacktestCalls,
    StudyCalls,
    PackageCalls,
    DataCalls,
    HistoryCalls,
):
    """One connection to a fleet. Made by `connect`; all times in seconds."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, to: Connection | str | Path | None = None, *, wait_s: float = 5.0, via: str = "python"
    ) -> AsyncIterator[Self]:
        """Connects to a stack: by its Connection, its state folder, or as `find_connection` finds it.

        `via` stands in the audit beside the account and the machine that this runs as.
        """
        found = to if isinstance(to, Connection) else find_connection(to)
        bus = await connect(bus_settings(found), wait_s=wait_s)
        introduce(bus, via)
        try:
            yield cls(bus)
        finally:
            await bus.drain()
            await bus.close()

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

        One that is awaited to trade has, when it is completed, and does not, when it is impaired. Raises EngineFailedError when it
        is that or can no longer get there, FaultError `outcome_unknown` when time ran out first.
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


def introduce(bus: Bus, via: str) -> None:
    """Says with every command whose account gave it and where: a claim, which the audit keeps as one."""
    who = Caller(name=_account(), origin=socket.gethostname(), via=via)
    bus.introduction = lambda: who


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def bus_settings(connection: Connection) -> BusSettings:
    """How an operator connects. Raises FaultError `unavailable` when the credentials or certificates cannot be read."""
    try:
        creds, ca = (
            Path(path).read_text() if path else "" for path in (connection.nats_creds, connection.nats_ca)
        )
    except OSError as error:
        raise fault(FaultCode.UNAVAILABLE, f"no credentials for the bus: {error}") from None
    return BusSettings(url=connection.nats_url, name=OPERATOR, creds=creds, ca=ca)


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
    is_to_trade = RunState.TRADING in states
    if is_to_trade and session.state == RunState.COMPLETED:
        return True
    if session.state.is_terminal or (is_to_trade and session.state in (RunState.IMPAIRED, RunState.MISMATCH)):
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
