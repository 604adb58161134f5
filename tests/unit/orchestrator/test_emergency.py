"""An emergency stop through the orchestrator: which requests are the same."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.session import EmergencyStop, FleetStopped
from flotilla.services.orchestrator.engines import emergency
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.emergency import Emergency
from flotilla.services.orchestrator.engines.ledger import Ledger

NOW = datetime(2026, 1, 31, tzinfo=UTC)


class Record:
    async def command(self, _: str) -> None:
        return None

    async def add_command(self, _: Any) -> None:
        """Keeps it."""


class Alerts:
    async def tell(self, _: Any) -> None:
        """Tells it."""


async def test_the_same_stop_at_the_same_time_is_one_and_another_engines_is_carried_out_although_it_has_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []

    async def stop_fleet(_: Any, request: EmergencyStop, **__: Any) -> FleetStopped:
        asked.append(request.instance_id)
        await asyncio.sleep(0.05)
        return FleetStopped(receipts=(), flags=(), milliseconds=50.0)

    monkeypatch.setattr(emergency, "stop_fleet", stop_fleet)
    record: Any = Record()
    nothing: Any = None
    ledger = Ledger(record, lambda: NOW, audit=nothing)
    alerts: Any = Alerts()
    made = Emergency(nothing, record, Fleet(), FleetSightings(NOW), lambda: NOW, ledger=ledger, alerts=alerts)
    one, other = (EmergencyStop(instance_id=name, request_id="r1") for name in ("e1", "e2"))
    await asyncio.gather(made.stop(one), made.stop(one), made.stop(other))
    assert asked == ["e1", "e2"]
    await made.close()
