"""What an emergency stop of the fleet answers when those whom it asks let it down."""

import asyncio
from typing import Any

import pytest

from bus import fleet_stop
from bus.fleet_stop import FleetStop, OwnHost
from schemas.fault import FaultCode, fault
from schemas.session import AroundStopped, EmergencyStop


class Listening:
    async def close(self) -> None:
        """It listens no more."""


class DeafBus:
    """Nobody is heard on it, and nobody answers."""

    async def listen(self, feed: Any, handler: Any) -> Listening:
        return Listening()

    async def call(self, call: Any, request: Any, *, timeout_s: float, **ids: str) -> Any:
        raise fault(FaultCode.UNAVAILABLE, "nobody is there")


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEARCH_S", "SILENT_S", "ANSWER_S"):
        monkeypatch.setattr(fleet_stop, name, 0.1)


async def test_a_way_around_the_bus_that_hangs_past_the_end_leaves_its_host_unreached() -> None:
    is_under_way = asyncio.Event()

    async def hangs(_: EmergencyStop) -> AroundStopped:
        is_under_way.set()
        return await asyncio.get_running_loop().create_future()

    stop = FleetStop(DeafBus(), EmergencyStop(deadline_s=0.3), own=OwnHost("h1", hangs))  # type: ignore[arg-type]
    done = await stop.run()
    assert is_under_way.is_set()
    assert done.unreached == ("h1",)
