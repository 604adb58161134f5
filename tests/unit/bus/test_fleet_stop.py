"""What an emergency stop of the fleet answers when those whom it asks let it down."""

import asyncio
from typing import Any

import msgspec
import pytest

from flotilla.bus import fleet_stop
from flotilla.bus.fleet_stop import FleetStop, OwnHost
from flotilla.bus.receipts import are_confirmed
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import AroundStopped, EmergencyReceipt, EmergencyStop, HostStopped


class Listening:
    async def close(self) -> None:
        """It listens no more."""


class DeafBus:
    """Nobody is heard on it, and nobody answers."""

    async def listen(self, feed: Any, handler: Any) -> Listening:
        return Listening()

    async def publish_durable(self, feed: Any, order: Any, *, message_id: str) -> None:
        raise fault(FaultCode.UNAVAILABLE, "it is not kept")

    def introduction(self) -> None:
        return None

    async def call(self, call: Any, request: Any, *, timeout_s: float, **ids: str) -> Any:
        raise fault(FaultCode.UNAVAILABLE, "nobody is there")


class FlatBus(DeafBus):
    """One host, whose engines were flat and gone at once."""

    def __init__(self, engines: int = 1) -> None:
        self.receipts = tuple(
            EmergencyReceipt(
                instance_id=f"e{number}",
                session_id=f"s{number}",
                host="h1",
                is_flat=True,
                is_gone=True,
                is_killed=False,
            )
            for number in range(1, engines + 1)
        )

    async def call(self, call: Any, request: Any, *, timeout_s: float, **ids: str) -> Any:
        return HostStopped(host="h1", receipts=self.receipts, flags=())


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEARCH_S", "HOST_AWAY_S", "ANSWER_S"):
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


@pytest.mark.parametrize("problem", ["hangs", "junk", "breaks"])
async def test_a_record_that_does_not_answer_as_it_should_costs_nobody_the_receipts(
    problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_stop, "HELD_ANSWER_S", 0.1)

    async def held(_: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        if problem == "hangs":
            await asyncio.sleep(60)
        raise msgspec.DecodeError("junk") if problem == "junk" else RuntimeError("broken")

    stop = FleetStop(FlatBus(), EmergencyStop(deadline_s=0.3), known_hosts=("h1",), held=held)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        done = await stop.run()
    assert [(one.session_id, one.is_flat) for one in done.receipts] == [("s1", True)]
    assert not are_confirmed(done), "the record is there, and did not say that nothing is open"
    assert "not compared with the record" in done.receipts[0].not_confirmed[0]


async def test_a_record_that_cannot_be_reached_says_nothing_against_anybody() -> None:
    async def held(_: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        raise fault(FaultCode.UNAVAILABLE, "the record is away")

    stop = FleetStop(FlatBus(), EmergencyStop(deadline_s=0.3), known_hosts=("h1",), held=held)  # type: ignore[arg-type]
    assert are_confirmed(await stop.run())


@pytest.mark.parametrize("answers", [3, 1])
async def test_every_engine_of_a_large_fleet_is_compared_with_the_record_or_named(
    answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_stop, "MOST_COMPARED", 4)
    monkeypatch.setattr(fleet_stop, "HELD_ANSWER_S", 0.1)
    asked: list[tuple[str, ...]] = []

    async def held(sessions: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        asked.append(sessions)
        if len(asked) > answers:
            await asyncio.sleep(60)
        return {}

    stop = FleetStop(FlatBus(10), EmergencyStop(deadline_s=0.3), known_hosts=("h1",), held=held)  # type: ignore[arg-type]
    done = await stop.run()
    compared = {one for some in asked[:answers] for one in some}
    assert len(compared) == (10 if answers == 3 else 4)
    assert {one.session_id for one in done.receipts if not one.not_confirmed} == compared
    assert are_confirmed(done) == (answers == 3)


class KeepingBus(FlatBus):
    """It keeps the stop, too."""

    async def publish_durable(self, feed: Any, order: Any, *, message_id: str) -> None:
        """It is kept."""


@pytest.mark.parametrize(
    ("bus", "ages_s", "is_over_early"),
    [
        (KeepingBus(), {"h1": 0.0}, True),
        (KeepingBus(), {"h1": 0.0, "gone": 60.0}, True),
        (KeepingBus(), {"h1": 0.0, "late": 0.7}, False),
        (KeepingBus(), {}, False),
        (FlatBus(), {"h1": 0.0}, False),
    ],
)
async def test_nobody_is_looked_for_where_all_hosts_are_known_and_later_ones_find_the_stop(
    bus: FlatBus, ages_s: dict[str, float], is_over_early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_stop, "SEARCH_S", 0.5)
    monkeypatch.setattr(fleet_stop, "HOST_AWAY_S", 1.0)
    stop = FleetStop(bus, EmergencyStop(deadline_s=2), known_hosts=("h1",), held=nothing_open)  # type: ignore[arg-type]
    if ages_s:
        stop.know_all(ages_s)
    began = asyncio.get_running_loop().time()
    assert are_confirmed(await stop.run())
    assert (asyncio.get_running_loop().time() - began < 0.4) == is_over_early


async def nothing_open(_: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    raise fault(FaultCode.UNAVAILABLE, "there is no record")


async def test_a_host_that_others_heard_is_asked_and_named_when_it_does_not_answer() -> None:
    stop = FleetStop(DeafBus(), EmergencyStop(deadline_s=0.3))  # type: ignore[arg-type]
    stop.know_all({"h1": 0.0, "h2": 60.0})
    assert (await stop.run()).unreached == ("h1",)
