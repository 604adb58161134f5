"""The fleet's stops and lifts on a host that could not be asked: what is in force, what is carried out, what stays."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import EmergencyStop, StopOrder
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.core.fleet_orders import OrderBook
from flotilla.services.supervisor.core.stop_flags import followed
from flotilla.services.supervisor.fleet_orders import FleetOrders
from flotilla.services.supervisor.stop_gate import StopGate
from tests.fakes.supervised import session

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def order(text: str) -> StopOrder:
    """`x1 stop e1`, `x2 stop all`, `x3 lift all`."""
    order_id, verb, of = text.split()
    return StopOrder(
        order_id=order_id, at=NOW, is_lift=verb == "lift", instance_id=None if of == "all" else of
    )


def book(*orders: str) -> OrderBook:
    made = OrderBook()
    for each in orders:
        made.take(order(each))
    return made


def flag(order_id: str | None, instance_id: str | None = None) -> StopFlag:
    return StopFlag(since=NOW, instance_id=instance_id, order_id=order_id)


@pytest.mark.parametrize(
    ("orders", "in_force", "lifted"),
    [
        ((), [], set()),
        (("a stop all",), ["a"], set()),
        (("a stop all", "b stop e1", "c lift e1"), ["a"], {"b"}),
        (("a stop e1", "b stop e2", "c lift all"), [], {"a", "b"}),
        (("a stop all", "b stop all", "c lift all"), [], {"a", "b"}),
        (("a stop all", "c lift all", "b stop all"), ["b"], {"a"}),
        (("a stop e1", "c lift e1", "a stop e1"), ["a"], set()),
        (("a stop all", "c lift e1"), ["a"], set()),
        (("c lift all",), [], set()),
    ],
)
def test_a_stop_is_in_force_until_a_later_lift(
    orders: tuple[str, ...], in_force: list[str], lifted: set[str]
) -> None:
    found = book(*orders)
    assert (list(found.in_force), found.lifted) == (in_force, lifted)


@pytest.mark.parametrize(
    ("flags", "orders", "left", "missed"),
    [
        ((), ("a stop all",), [(None, "a")], ["a"]),
        ((flag("a"),), ("a stop all",), [(None, "a")], []),
        ((flag("a"),), ("a stop all", "c lift all"), [], []),
        ((flag("a"),), ("a stop all", "c lift all", "b stop all"), [(None, "b")], ["b"]),
        ((flag("z"), flag(None, "e1")), ("a stop e2", "c lift all"), [(None, "z"), ("e1", None)], []),
        ((flag("a"),), ("a stop all", "b stop e1"), [(None, "a"), ("e1", "b")], ["b"]),
    ],
)
def test_a_host_has_the_flags_of_the_fleet_and_those_that_are_its_own(
    flags: tuple[StopFlag, ...],
    orders: tuple[str, ...],
    left: list[tuple[str | None, str | None]],
    missed: list[str],
) -> None:
    found, carried_out = followed(flags, book(*orders), NOW)
    assert [(each.instance_id, each.order_id) for each in found] == left
    assert [each.order_id for each in carried_out] == missed


class Log:
    """What is kept; `is_away` while nobody can read it, and `before_reading` happens in the middle of a look."""

    def __init__(self, *orders: str) -> None:
        self.kept = [msgspec.json.encode(order(each)) for each in orders]
        self.is_away = False
        self.reads = 0

    async def after(self, seq: int) -> tuple[int, bytes] | None:
        self.reads += 1
        if self.is_away:
            raise fault(FaultCode.UNAVAILABLE, "nobody can read it")
        await asyncio.sleep(0)
        return (seq + 1, self.kept[seq]) if seq < len(self.kept) else None


class Host:
    def __init__(self, folder: Path, log: Log) -> None:
        self.log = log
        self.reconnects = 0
        self.carried_out: list[EmergencyStop] = []
        self.orders = StopGate(StopFlagFile(folder), lambda: NOW, be_current=self._be_current)
        self.fleet = FleetOrders(
            log, self.orders, reconnects=lambda: self.reconnects, carry_out=self.carried_out.append
        )

    async def _be_current(self) -> None:
        await self.fleet.be_current()

    async def start(self, instance_id: str) -> FaultCode | None:
        try:
            async with self.orders.starting(session(instance_id=instance_id)):
                return None
        except FaultError as error:
            return error.fault.code


async def test_nothing_starts_before_the_fleets_stops_are_known_also_after_the_bus_was_away(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path, Log())
    host.log.is_away = True
    assert await host.start("e1") == FaultCode.UNAVAILABLE
    host.log.is_away = False
    assert await host.start("e1") is None
    host.log.is_away = True
    assert await host.start("e1") is None, "nothing can have come since"
    host.reconnects += 1
    assert await host.start("e1") == FaultCode.UNAVAILABLE
    host.log.kept.append(msgspec.json.encode(order("a stop e1")))
    host.log.is_away = False
    assert await host.start("e1") == FaultCode.CONFLICT
    assert [(each.instance_id, each.request_id) for each in host.carried_out] == [("e1", "a")]


async def test_a_stop_that_was_missed_is_carried_out_once_and_outlives_the_supervisor(tmp_path: Path) -> None:
    host = Host(tmp_path, Log("a stop all"))
    for _ in range(2):
        await host.fleet.catch_up()
    assert [each.request_id for each in host.carried_out] == ["a"]
    following = Host(tmp_path, Log("a stop all"))
    await following.fleet.catch_up()
    assert following.carried_out == [], "its flag was there"
    assert await following.start("e1") == FaultCode.CONFLICT


async def test_a_look_that_is_older_than_a_lift_sets_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, Log("a stop all"))
    looking = asyncio.get_running_loop().create_task(host.fleet.catch_up())
    await asyncio.sleep(0)  # it reads
    host.log.kept.append(msgspec.json.encode(order("c lift all")))
    host.log.kept, late = host.log.kept[:1], host.log.kept
    await host.orders.lift(None)
    host.log.kept = late
    await looking
    assert (host.orders.flags, host.carried_out) == ((), [])


async def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    host = Host(tmp_path, Log("a stop e1"))
    host.log.kept.insert(0, b"\xff")
    await host.fleet.catch_up()
    assert [each.instance_id for each in host.orders.flags] == ["e1"]
