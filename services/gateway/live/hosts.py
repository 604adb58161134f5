"""The hosts that were heard of lately: an emergency stop asks those too that have fallen silent, and says when they do not answer."""

import asyncio
from collections.abc import Mapping
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import HOST_HEARTBEAT
from flotilla.schemas.heartbeats import HOST_GONE_S
from flotilla.schemas.telemetry import HostHeartbeat

FORGOTTEN_S: Final = 7 * 86_400.0


class KnownHosts:
    """When each host was last heard of, from its heartbeats."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._heard: dict[str, float] = {}

    async def start(self) -> None:
        """Subscribes; returns when the server knows of it. The bus unsubscribes when it drains."""
        await self._bus.listen(HOST_HEARTBEAT, self._receive)

    def heard_within(self, seconds: float) -> tuple[str, ...]:
        """The hosts that were heard of in the last `seconds`."""
        since = asyncio.get_running_loop().time() - seconds
        return tuple(sorted(host for host, at in self._heard.items() if at >= since))

    def quiet(self) -> tuple[str, ...]:
        """Those that were not heard of for HOST_GONE_S, but before."""
        return tuple(sorted(self._heard.keys() - set(self.heard_within(HOST_GONE_S))))

    async def _receive(self, _: HostHeartbeat, ids: Mapping[str, str]) -> None:
        now = asyncio.get_running_loop().time()
        self._heard = {host: at for host, at in self._heard.items() if at >= now - FORGOTTEN_S}
        self._heard[ids["host"]] = now
