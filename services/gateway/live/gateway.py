"""The parts of a running gateway that its handlers use."""

from dataclasses import dataclass

from flotilla.bus.bus import Bus
from flotilla.services.gateway.live.hosts import KnownHosts
from flotilla.services.gateway.live.http_metrics import Meter
from flotilla.services.gateway.live.refusals import Refusals
from flotilla.services.gateway.live.streams import Hub
from flotilla.services.gateway.live.watch import FleetWatch
from flotilla.services.gateway.settings import GatewaySettings
from flotilla.services.gateway.web.auth import TokenFile


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Made once, by `__main__`. `document` is the OpenAPI document as JSON, `page` the same for people."""

    settings: GatewaySettings
    bus: Bus
    hub: Hub
    watch: FleetWatch
    hosts: KnownHosts
    tokens: TokenFile
    meter: Meter
    refusals: Refusals
    document: bytes
    page: str
