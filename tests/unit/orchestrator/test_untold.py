"""What the fleet must hear of is published until the bus takes it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from flotilla.schemas.contract import FLEET_PROBE
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.telemetry import FleetAlert, Severity, StoreProbe
from flotilla.services.orchestrator.backtests import announcements
from flotilla.services.orchestrator.backtests.announcements import Announcements
from flotilla.services.orchestrator.backtests.core.model import Backtest
from flotilla.services.orchestrator.engines.actions import Alerts
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.untold import Untold
from tests.unit.orchestrator.makers import NOW
from tests.unit.orchestrator.test_backtest_turns import backtest


class Bus:
    """Takes what is published, or not."""

    def __init__(self) -> None:
        self.takes = True
        self.taken: list[str] = []

    async def publish_durable(self, feed: Any, _: Any, *, message_id: str, **ids: str) -> int:
        if not self.takes:
            raise fault(FaultCode.UNAVAILABLE, "nobody acknowledged")
        self.taken.append(message_id)
        return 1


class Record:
    """Knows one backtest, or answers nothing."""

    def __init__(self) -> None:
        self.now = backtest(version=2)
        self.answers = True

    async def backtests(self, ids: Sequence[str]) -> dict[str, Backtest]:
        if not self.answers:
            raise fault(FaultCode.UNAVAILABLE, "the record is away")
        return dict.fromkeys(ids, self.now)

    async def changed_since(self, _: Any) -> tuple[Backtest, ...]:
        return ()


@pytest.fixture
def bus() -> Bus:
    return Bus()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


async def test_a_key_stays_until_the_bus_takes_a_message_of_it(bus: Bus) -> None:
    untold = Untold[str](cast(Any, bus))

    async def publish(key: str, message_id: str) -> None:
        await untold.publish(key, FLEET_PROBE, StoreProbe(at=NOW), message_id=message_id)

    bus.takes = False
    await publish("b", "b-1")
    await publish("a", "a-1")
    assert tuple(untold) == ("b", "a")
    bus.takes = True
    await publish("b", "b-2")
    assert (tuple(untold), bus.taken) == (("a",), ["b-2"])
    assert (untold.take(), tuple(untold)) == (("a",), ())
    untold.add("c")
    assert tuple(untold) == ("c",)


async def test_an_alert_is_told_once_and_until_it_is_taken(bus: Bus) -> None:
    alerts = Alerts(cast(Any, bus))
    alert = FleetAlert(at=NOW, severity=Severity.WARNING, code="x", message="y")
    bus.takes = False
    for _ in range(2):
        await alerts.tell(RaiseAlert(alert, "k1"))
    await alerts.tell_again()
    bus.takes = True
    for _ in range(2):
        await alerts.tell_again()
    assert bus.taken == ["k1"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "_ROUND_S", 0.002)


@pytest.mark.usefixtures("quick")
async def test_a_backtest_is_told_as_the_record_has_it_once_bus_and_record_are_back(bus: Bus) -> None:
    record = Record()
    made = Announcements(cast(Any, bus), cast(Any, record), lambda: NOW)
    bus.takes = record.answers = False
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        made.tell(backtest(version=1))
        await asyncio.sleep(0.01)
        bus.takes = True
        await asyncio.sleep(0.01)
        assert bus.taken == []
        record.answers = True
        await until(lambda: bus.taken == ["backtest-b-2"])
        running.cancel()
    await made.close()


@pytest.mark.usefixtures("quick")
async def test_a_doubt_outlives_an_earlier_change_that_is_told_meanwhile(bus: Bus) -> None:
    record = Record()
    made = Announcements(cast(Any, bus), cast(Any, record), lambda: NOW)
    made.doubt("b")
    made.tell(backtest(version=1))
    await until(lambda: bus.taken == ["backtest-b-1"])
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await until(lambda: bus.taken[-1:] == ["backtest-b-2"])
        running.cancel()
    await made.close()
