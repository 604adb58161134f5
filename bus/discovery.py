"""Answers $SRV.PING, INFO and STATS, so that `nats micro ls|info|stats` sees our services, schemas included.

The format is ADR-32 of the NATS architecture decision records. nats.micro is not used: its handlers run one at a time and
its stop cancels them (ADR 0003).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import INBOX, Endpoint

_TYPE = "io.nats.micro.v1"


class Discovery:
    """Speaks for one service instance: `service_id` is unique, `metadata` says which host or engine it serves."""

    def __init__(self, bus: Bus, name: str, service_id: str, version: str, metadata: dict[str, str]) -> None:
        self._bus = bus
        self._identity = {"name": name, "id": service_id, "version": version, "metadata": metadata}
        self._started = datetime.now(UTC)

    async def start(self) -> None:
        """Subscribes to the verbs for all services, for our name, and for our id."""
        verbs: dict[str, Callable[[], dict[str, Any]]] = {
            "PING": self.ping,
            "INFO": self.info,
            "STATS": self.stats,
        }
        for verb, answer in verbs.items():
            for scope in (
                "",
                f".{self._identity['name']}",
                f".{self._identity['name']}.{self._identity['id']}",
            ):
                await self._bus.client.subscribe(f"$SRV.{verb}{scope}", cb=self._responder(answer))
        await self._bus.flush()

    def ping(self) -> dict[str, Any]:
        """Who we are."""
        return {**self._identity, "type": f"{_TYPE}.ping_response"}

    def info(self) -> dict[str, Any]:
        """What we serve, with the JSON Schemas of each request and reply."""
        endpoints = [
            {
                **_name(endpoint),
                "metadata": {
                    "summary": endpoint.call.summary,
                    "request.schema": _schema(endpoint.call.request),
                    "response.schema": _schema(endpoint.call.reply),
                },
            }
            for endpoint in self._bus.endpoints
        ]
        return {**self._identity, "description": "", "endpoints": endpoints, "type": f"{_TYPE}.info_response"}

    def stats(self) -> dict[str, Any]:
        """How often each endpoint was asked, how often it refused, and how long it took, in nanoseconds."""
        endpoints = [
            {
                **_name(endpoint),
                **msgspec.to_builtins(endpoint.stats),
                "average_processing_time": endpoint.stats.processing_time
                // max(1, endpoint.stats.num_requests),
            }
            for endpoint in self._bus.endpoints
        ]
        return {
            **self._identity,
            "started": self._started.isoformat(),
            "endpoints": endpoints,
            "type": f"{_TYPE}.stats_response",
        }

    def _responder(self, answer: Callable[[], dict[str, Any]]) -> Callable[[Msg], Any]:
        async def respond(message: Msg) -> None:
            if message.reply.startswith(INBOX):
                await self._bus.client.publish(message.reply, msgspec.json.encode(answer()))

        return respond


def _name(endpoint: Endpoint) -> dict[str, str]:
    return {
        "name": re.sub(r"[^A-Za-z0-9_-]", "_", endpoint.subject),
        "subject": endpoint.subject,
        "queue_group": str(endpoint.call.owner),
    }


def _schema(of: Any) -> str:
    return msgspec.json.encode(msgspec.json.schema(of)).decode()
