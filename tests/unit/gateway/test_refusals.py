"""What the gateway tells the audit of requests that it turned away itself."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from flotilla.schemas.audit import Caller, GatewayRefusal
from flotilla.schemas.fault import Fault, FaultCode, fault
from flotilla.services.gateway.live import refusals
from flotilla.services.gateway.live.refusals import Refusals

NOW = datetime(2026, 1, 31, tzinfo=UTC)
STOP = "POST /api/v1/nautilus/engine/stop"
NO_TOKEN = Fault(code=FaultCode.UNAUTHENTICATED, message="the bearer token is not known")


class Bus:
    """Takes what is published, after it was away for the first time."""

    def __init__(self) -> None:
        self.is_away = True
        self.taken: list[GatewayRefusal] = []

    async def publish_durable(self, _: Any, told: GatewayRefusal, *, message_id: str) -> None:
        if self.is_away:
            self.is_away = False
            raise fault(FaultCode.UNAVAILABLE, "away")
        self.taken.append(told)


async def told(made: Refusals, bus: Bus, count: int) -> list[tuple[str, str, int]]:
    """Address, code and number of what the bus took, once it is so many entries."""
    running = asyncio.get_running_loop().create_task(made.run())
    async with asyncio.timeout(5):
        while len(bus.taken) < count:
            await asyncio.sleep(0.01)
    running.cancel()
    return [(one.caller.origin, str(one.code), one.count) for one in bus.taken]


def flood(made: Refusals, origin: str, times: int, problem: Fault = NO_TOKEN) -> None:
    for number in range(times):
        made.saw(f"r-{origin}-{number}", STOP, Caller(origin=origin, via="rest"), problem)


async def test_the_first_of_a_kind_is_told_at_once_and_a_flood_of_it_as_one_a_minute(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(refusals, "RETRY_S", 0.01)
    bus: Any = Bus()
    made = Refusals(bus, lambda: NOW)
    flood(made, "10.0.0.5", 5_000)
    flood(made, "10.0.0.6", 1, Fault(code=FaultCode.INVALID, message="no: wss://ann:hunter2@x"))
    made.end_window()
    made.end_window()
    flood(made, "10.0.0.5", 2)
    made.end_window()
    found = await told(made, bus, 5)
    assert found[:3] == [
        ("10.0.0.5", "unauthenticated", 1),
        ("10.0.0.6", "invalid", 1),
        ("10.0.0.5", "unauthenticated", 4_999),
    ]
    # After a minute without any, the first is told at once again.
    assert found[3:] == [("10.0.0.5", "unauthenticated", 1), ("10.0.0.5", "unauthenticated", 1)]
    assert bus.taken[1].message == "no: wss://***@x"


async def test_a_flood_from_many_addresses_fills_no_table() -> None:
    bus: Any = Bus()
    bus.is_away = False
    made = Refusals(bus, lambda: NOW)
    for number in range(1_000):
        flood(made, f"10.0.{number // 250}.{number % 250}", 3)
    made.end_window()
    found = await told(made, bus, 202)
    assert len(found) == 2 * refusals.MOST_KINDS + 2
    assert sum(count for _, _, count in found) == 3_000
