"""The parts of a running gateway that its handlers use."""

from dataclasses import dataclass

from bus.bus import Bus
from services.gateway.live.hosts import HostWatch
from services.gateway.live.http_metrics import Meter
from services.gateway.live.refusals import Refusals
from services.gateway.live.streams import Hub
from services.gateway.live.watch import FleetWatch
from services.gateway.settings import GatewaySettings
from services.gateway.web.auth import TokenFile


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Made once, by `__main__`. `document` is the OpenAPI document as JSON, `page` the same for people."""

    settings: GatewaySettings
    bus: Bus
    hub: Hub
    watch: FleetWatch
    hosts: HostWatch
    tokens: TokenFile
    meter: Meter
    refusals: Refusals
    document: bytes
    page: str
