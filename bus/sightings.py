"""What is heard on the bus while an emergency stop is under way: hosts, engines, how sessions and containers end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec
from nats import errors

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.bus.streams import last_kept
from flotilla.schemas.contract import HEARTBEAT, HOST_CONTAINER, HOST_HEARTBEAT, STATE, Feed
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import ContainerFacts
from flotilla.schemas.telemetry import EngineEvent, Heartbeat, HostHeartbeat, StateChange

log = get_logger(__name__)

MOST_ENGINES: Final = 20_000
"""Of how many engines is kept what they say; a stop of more names the hosts that did not answer only."""


class Sighted(msgspec.Struct, frozen=True):
    """A session that ran when the stop began, or since."""

    instance_id: str
    session_id: str
    generation: int
    is_worker: bool = False


class Sightings:
    """Hosts are those that beat: only the credential of a supervisor may publish that, anybody could answer a question.

    `hosts` says when each was heard last, by the loop's clock; `engines` the latest session of each, by its heartbeat or by a change
    of its state, since it may end before it beats again; `ends` and `containers` go by session.
    """

    def __init__(self, bus: Bus, on_new_host: Callable[[], object] = lambda: None) -> None:
        self._bus = bus
        self._on_new_host = on_new_host
        self.hosts: dict[str, float] = {}
        self.engines: dict[str, Sighted] = {}
        self.ends: dict[str, StateChange] = {}
        self.containers: dict[str, ContainerFacts] = {}

    def saw(self, session: Sighted) -> None:
        """Takes a session, unless a newer one of the engine is known."""
        known = self.engines.get(session.instance_id)
        if known is None and len(self.engines) >= MOST_ENGINES:
            return
        if known is None or known.generation <= session.generation:
            self.engines[session.instance_id] = session

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listens. Raises FaultError `unavailable` without a bus."""
        async with AsyncExitStack() as stack:
            feeds: tuple[tuple[Feed[Any], Any], ...] = (
                (HOST_HEARTBEAT, self._host),
                (HOST_CONTAINER, self._container),
                (HEARTBEAT, self._engine),
                (STATE, self._state),
            )
            try:
                for feed, handler in feeds:
                    listener = await self._bus.listen(feed, handler)
                    stack.push_async_callback(listener.close)
            except (errors.Error, TimeoutError) as error:
                raise fault(
                    FaultCode.UNAVAILABLE, f"the bus is away: {error!r}", retry_after_s=1.0
                ) from error
            yield

    async def look_back(self, session: Sighted, *, timeout_s: float) -> None:
        """Finds the end of a session that said it before we listened, and was heard after: its last words are kept."""
        try:
            kept = await last_kept(self._bus, STATE, timeout_s=timeout_s, instance_id=session.instance_id)
            event = None if kept is None else msgspec.json.decode(kept, type=STATE.payload)
        except (FaultError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.info(
                "what an engine said last cannot be read", instance_id=session.instance_id, error=str(error)
            )
            return
        if event is not None and event.session_id == session.session_id and event.data.state.is_terminal:
            self.ends.setdefault(session.session_id, event.data)

    async def _host(self, _: HostHeartbeat, ids: Mapping[str, str]) -> None:
        is_new = ids["host"] not in self.hosts
        self.hosts[ids["host"]] = asyncio.get_running_loop().time()
        if is_new:
            self._on_new_host()

    async def _container(self, facts: ContainerFacts, ids: Mapping[str, str]) -> None:
        if facts.host == ids["host"]:
            self.containers[facts.session_id] = facts

    async def _engine(self, beat: Heartbeat, ids: Mapping[str, str]) -> None:
        # An engine may say what it likes of itself, and of nobody else.
        if beat.instance_id == ids["instance_id"]:
            self.saw(Sighted(beat.instance_id, beat.session_id, beat.generation, beat.is_worker))

    async def _state(self, event: EngineEvent[StateChange], ids: Mapping[str, str]) -> None:
        if event.instance_id != ids["instance_id"]:
            return
        facts = self.containers.get(event.session_id)
        is_worker = facts is not None and facts.is_worker
        if event.instance_id not in self.engines:
            self.saw(Sighted(event.instance_id, event.session_id, event.generation, is_worker))
        if event.data.state.is_terminal:
            self.ends[event.session_id] = event.data
