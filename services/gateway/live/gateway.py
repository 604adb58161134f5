"""The parts of a running gateway that its handlers use."""

import asyncio
from dataclasses import dataclass, field

from flotilla.bus.bus import Bus
from flotilla.services.gateway.live.connections import Door
from flotilla.services.gateway.live.containers import KnownContainers
from flotilla.services.gateway.live.engine_reads import EngineReads
from flotilla.services.gateway.live.fleet_memory import FleetMemory
from flotilla.services.gateway.live.hosts import KnownHosts
from flotilla.services.gateway.live.http_metrics import Meter
from flotilla.services.gateway.live.labels import KnownLabels
from flotilla.services.gateway.live.refusals import Refusals
from flotilla.services.gateway.live.streams import Hub
from flotilla.services.gateway.live.watch import FleetWatch
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.gateway.web.auth import TokenFile
from flotilla.services.gateway.web.dashboard import Dashboard
from flotilla.services.gateway.web.limits import Limits
from flotilla.services.gateway.web.sessions import Sessions


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Made once, by `__main__`. `document` is the OpenAPI document as JSON, `page` the same for people, `drawing` is held while a tear sheet
    is made, `figuring` while a scrape is answered."""

    settings: GatewaySettings
    bus: Bus
    hub: Hub
    fleet: FleetMemory
    reads: EngineReads
    containers: KnownContainers
    labels: KnownLabels
    watch: FleetWatch
    hosts: KnownHosts
    tokens: TokenFile
    sessions: Sessions
    limits: Limits
    door: Door
    meter: Meter
    refusals: Refusals
    document: bytes
    page: str
    dashboard: Dashboard
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)
    figuring: asyncio.Lock = field(default_factory=asyncio.Lock)
