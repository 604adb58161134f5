"""What load balancers, scrapers and people who want to know the API ask for; all but the figures is open to all."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from flotilla.schemas.contract import HEALTH, Actor
from flotilla.schemas.fault import FaultError
from flotilla.schemas.health import Health, ReadHealth
from flotilla.services.gateway.engines.replies import ProbeReply
from flotilla.services.gateway.live.fleet_figures import TOPICS, FleetFigures
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.http_metrics import MEDIA, Named, exposition
from flotilla.services.gateway.web.answer import Answer
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery

OWN_FIGURES: Final = {
    "requests_total": "Requests answered.",
    "fleet_clients": "Clients that follow the fleet.",
    "fleet_complete": "1 while it knows the whole fleet.",
    "stream_clients": "Clients that follow events.",
    "stream_frames_total": "Events told to them.",
    "stream_fell_behind_total": "How often one was too slow, and was told of a gap or read from the stream.",
    "stream_clients_dropped_total": "Clients that took nothing any more.",
    "connections": "Connections that are open.",
    "connections_refused_total": "Connections of addresses that held too many.",
    "connections_cut_total": "Connections of clients that were too slow.",
    "bus_reconnects_total": "How often the bus was away.",
    "bus_calls_total": "Requests to other services.",
    "bus_slow_consumer_drops_total": "Messages of the bus that were dropped because it was too slow.",
}
_TIMEOUT_S = 1.0


async def read_liveness(_: Gateway, __: Ask[NoQuery, None]) -> ProbeReply:
    """200 as long as the gateway answers at all."""
    return ProbeReply(status="ok")


async def read_readiness(gateway: Gateway, _: Ask[NoQuery, None]) -> Answer[ProbeReply]:
    """Whether commands can be carried out: bus and orchestrator."""
    health = await _orchestrator(gateway)
    checks = {
        "bus": _word(is_ok=gateway.bus.is_connected),
        "orchestrator": _word(is_ok=health is not None and health.is_ready),
    }
    is_ready = set(checks.values()) == {"ok"}
    reply = ProbeReply(status="ready" if is_ready else "not ready", checks=checks)
    if is_ready:
        return Answer(reply=reply, status=200)
    return Answer(reply=reply, status=503, headers={"Retry-After": "1"})


async def read_prometheus(gateway: Gateway, _: Ask[NoQuery, None]) -> web.Response:
    """The figures of the fleet in memory and of the gateway. One scrape at a time, in a thread: streams go on meanwhile."""
    async with gateway.figuring:
        fleet = FleetFigures(
            gateway.fleet.rows(TOPICS),
            datetime.now(UTC),
            most=gateway.settings.metrics_engines,
            is_bus_up=gateway.bus.is_connected,
        )
        own = Named("flotilla_gateway", own_figures(gateway), OWN_FIGURES)
        body = await asyncio.to_thread(exposition, (gateway.meter, own, fleet))
    return web.Response(body=body, headers={"Content-Type": MEDIA})


async def read_document(gateway: Gateway, _: Ask[NoQuery, None]) -> web.Response:
    """The OpenAPI document."""
    return web.Response(body=gateway.document, content_type="application/json")


async def read_docs(gateway: Gateway, _: Ask[NoQuery, None]) -> web.Response:
    """The OpenAPI document for people: one page, no script, nothing loaded from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return web.Response(
        text=gateway.page, content_type="text/html", headers={"Content-Security-Policy": policy}
    )


def own_figures(gateway: Gateway) -> dict[str, float]:
    """The gateway's figures by name."""
    hub, bus = gateway.hub.stats, gateway.bus.stats
    return {
        "requests_total": gateway.meter.requests,
        "fleet_clients": len(gateway.fleet),
        "fleet_complete": float(gateway.fleet.is_complete),
        "stream_clients": len(gateway.hub),
        "stream_frames_total": hub.frames,
        "stream_fell_behind_total": hub.fell_behind,
        "stream_clients_dropped_total": hub.clients_dropped,
        "connections": len(gateway.door),
        "connections_refused_total": gateway.door.stats.refused,
        "connections_cut_total": gateway.door.stats.cut,
        "bus_reconnects_total": bus.reconnects,
        "bus_calls_total": bus.calls,
        "bus_slow_consumer_drops_total": bus.slow_consumer_drops,
    }


async def _orchestrator(gateway: Gateway) -> Health | None:
    try:
        return await gateway.bus.call(HEALTH[Actor.ORCHESTRATOR], ReadHealth(), timeout_s=_TIMEOUT_S)
    except FaultError:
        return None


def _word(*, is_ok: bool) -> str:
    return "ok" if is_ok else "failing"
