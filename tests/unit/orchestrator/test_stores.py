"""Whether what happens can be kept, from the outcome of writes and the room on a disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from flotilla.schemas import contract
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.telemetry import FleetAlert, StoreProbe
from flotilla.services.orchestrator.engines import stores
from flotilla.services.orchestrator.engines.actions import Alerts
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.engines.core.disk import Space
from flotilla.services.orchestrator.engines.stores import Stores
from flotilla.services.orchestrator.handlers import BEGINNINGS

GIB = 1 << 30
AWAY = fault(FaultCode.UNAVAILABLE, "no space left on device", retry_after_s=1.0)


class Parts:
    """The bus and the record, each of which stores or does not; and a disk."""

    def __init__(self) -> None:
        self.does_stream, self.does_record, self.free = True, True, 50 * GIB
        self.probes = 0
        self.alerts: list[FleetAlert] = []

    async def publish_durable(self, feed: Any, payload: Any, **_: Any) -> int:
        if not self.does_stream:
            raise AWAY
        self.probes += isinstance(payload, StoreProbe)
        if isinstance(payload, FleetAlert):
            self.alerts.append(payload)
        return 1

    async def keep_time(self, _: Any) -> None:
        if not self.does_record:
            raise AWAY

    def spaces(self, folders: Any) -> dict[int, tuple[Path, Space]]:
        return {7: (Path("/data"), Space(100 * GIB, self.free))}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts()
    monkeypatch.setattr(stores, "ROUND_S", 0.005)
    monkeypatch.setattr(stores, "_spaces", made.spaces)
    return made


@asynccontextmanager
async def watched(parts: Parts) -> AsyncIterator[Stores]:
    bus = cast(Any, parts)
    made = Stores(bus, bus, RecordClock(), folders=[Path("/data")], alerts=Alerts(bus))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await until(lambda: states(made) == (True, True, True))
        yield made
        running.cancel()


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


def states(made: Stores) -> tuple[bool, bool, bool]:
    checks = made.checks()
    return checks["record"] == "ok", checks["events"] == "ok", checks["disk"] == "ok"


async def test_nothing_is_begun_before_every_store_was_tried(parts: Parts) -> None:
    bus = cast(Any, parts)
    made = Stores(bus, bus, RecordClock(), folders=[], alerts=Alerts(bus))
    with pytest.raises(FaultError, match="not tried yet"):
        made.refuse_unless_kept()


@pytest.mark.parametrize("what", ["record", "events", "disk"])
async def test_a_store_that_fails_refuses_with_a_time_to_try_again_until_it_does_not(
    parts: Parts, what: str
) -> None:
    async with watched(parts) as made:
        made.refuse_unless_kept()
        parts.does_record, parts.free = what != "record", 50 * GIB if what != "disk" else 60 << 20
        parts.does_stream = what != "events"
        made._probed_at_s = -1e9  # due: while all is well it is tried every ten seconds only
        await until(lambda: made.checks()[what] != "ok")
        with pytest.raises(FaultError, match=what) as raised:
            made.refuse_unless_kept()
        assert (raised.value.fault.code, raised.value.fault.retry_after_s) == (FaultCode.UNAVAILABLE, 2.0)
        parts.does_record = parts.does_stream = True
        parts.free = 50 * GIB
        await until(lambda: states(made) == (True, True, True))
        made.refuse_unless_kept()


async def test_the_stream_is_tried_again_whenever_something_else_failed(parts: Parts) -> None:
    async with watched(parts):
        before = parts.probes
        parts.does_record = False
        await until(lambda: parts.probes > before)


async def test_low_room_is_told_once_and_its_end_once(parts: Parts) -> None:
    async with watched(parts) as made:
        for free, count in (
            (2 * GIB, 0),
            (GIB - 1, 1),
            (GIB // 2, 1),
            (GIB + 1, 1),
            (2 * GIB, 2),
            (GIB - 1, 3),
        ):
            parts.free = free
            await until(lambda free=free: made.metrics() == {"disk_free_bytes": free})
            await until(lambda count=count: len(parts.alerts) == count)
    assert [alert.code for alert in parts.alerts] == ["disk_low", "disk_low_over", "disk_low"]


def test_ends_are_never_refused_for_want_of_room() -> None:
    ends = {
        contract.ENGINE_STOP,
        contract.STRATEGY_STOP,
        contract.STRATEGY_REMOVE,
        contract.BACKTEST_CANCEL,
        contract.STUDY_CANCEL,
        contract.EMERGENCY_STOP,
        contract.LIFT_STOP,
    }
    assert not ends & set(BEGINNINGS)
    assert {contract.ENGINE_START, contract.ENGINE_RESTART, contract.BACKTEST_RUN, contract.STUDY_RUN} <= set(
        BEGINNINGS
    )
