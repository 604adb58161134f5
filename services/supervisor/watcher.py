"""What the supervisor tells unasked: that the host lives, and every change of a container."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import HOST_CONTAINER, HOST_HEARTBEAT
from flotilla.schemas.heartbeats import BEAT_S
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.telemetry import HostHeartbeat, StopFlag
from flotilla.services.supervisor.core.facts import is_running
from flotilla.services.supervisor.ports import CacheUsers, ContainerRuntime, RuntimeProbe

log = get_logger(__name__)

RETELL_S: Final = 30.0
PROBE_S: Final = 2.0
_VERSION: Final = version("flotilla")


class HostWatch:
    """Publishes the host's heartbeat and its containers' facts, and keeps the last of each for whoever asks.

    `saw` is told of every change of a container as well.
    """

    def __init__(
        self,
        bus: Bus,
        runtime: ContainerRuntime,
        cache: CacheUsers,
        host: str,
        *,
        labels: Mapping[str, str],
        stop_flags: Callable[[], tuple[StopFlag, ...]],
        saw: Callable[[ContainerFacts], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._bus = bus
        self._runtime = runtime
        self._cache = cache
        self._has_cache = False
        self._has_beaten = False
        self._host = host
        self._labels = dict(labels)
        self._stop_flags = stop_flags
        self._saw = saw
        self._now = now
        self._containers: dict[str, ContainerFacts] = {}
        self.probe = RuntimeProbe(is_up=False, detail="not looked at yet")

    @property
    def containers(self) -> tuple[ContainerFacts, ...]:
        """As last seen."""
        return tuple(self._containers.values())

    @property
    def running(self) -> int:
        """How many sessions run."""
        return sum(is_running(facts) for facts in self._containers.values())

    async def follow(self) -> None:
        """Publishes each change of a container, for ever."""
        async with aclosing(self._runtime.watch()) as changes:
            async for facts in changes:
                self._remember(facts)
                self._saw(facts)
                await self._tell(facts)

    async def beat(self) -> None:
        """Publishes the heartbeat once a second, and all containers now and then and after the bus was away, for ever.

        The first says whether there is a Redis: an engine that needs one would be refused by a host that had not looked yet.
        """
        self._has_cache = await self._cache.look(())
        loop = asyncio.get_running_loop()
        reconnects, retell_at = self._bus.stats.reconnects, loop.time() + RETELL_S
        while True:
            next_beat = loop.time() + BEAT_S
            self.probe = await self._probe()
            self._has_beaten = True
            await self.tell_flags()
            if self._bus.stats.reconnects != reconnects or loop.time() >= retell_at:
                reconnects, retell_at = self._bus.stats.reconnects, loop.time() + RETELL_S
                for facts in self.containers:
                    await self._tell(facts)
            await asyncio.sleep(max(0.0, next_beat - loop.time()))

    async def tell_flags(self) -> None:
        """Publishes a heartbeat at once, with what the runtime said last; none before the first, which has the flags as well.

        Who lifted a stop may start an engine right after: the orchestrator hears of it no later than of that.
        """
        if self._has_beaten:
            await self._bus.publish(HOST_HEARTBEAT, self._heartbeat(), host=self._host)

    async def look_after_cache(self) -> None:
        """Keeps the users of running engines in Redis, and knows whether it is there, for ever."""
        while True:
            running = {facts.session_id for facts in self.containers if is_running(facts)}
            self._has_cache = await self._cache.look(running)
            await asyncio.sleep(BEAT_S)

    async def _probe(self) -> RuntimeProbe:
        try:
            async with asyncio.timeout(PROBE_S):
                return await self._runtime.probe()
        except TimeoutError:
            last = self.probe
            return RuntimeProbe(
                is_up=False,
                cpus=last.cpus,
                memory_bytes=last.memory_bytes,
                detail=f"no answer within {PROBE_S:g} s",
            )

    def _heartbeat(self) -> HostHeartbeat:
        probe = self.probe
        return HostHeartbeat(
            host=self._host,
            runtime=self._runtime.kind,
            at_ns=round(self._now().timestamp() * 1e9),
            cpus=probe.cpus,
            memory_bytes=probe.memory_bytes,
            sessions=self.running,
            version=_VERSION,
            is_runtime_up=probe.is_up,
            has_cache=self._has_cache,
            stop_flags=self._stop_flags(),
            detail={"runtime_version": probe.version, "text": probe.detail},
            labels=self._labels,
        )

    def _remember(self, facts: ContainerFacts) -> None:
        if facts.status == ContainerStatus.GONE:
            self._containers.pop(facts.session_id, None)
        else:
            self._containers[facts.session_id] = facts

    async def _tell(self, facts: ContainerFacts) -> None:
        await self._bus.publish(HOST_CONTAINER, facts, host=self._host)
