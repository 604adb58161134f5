"""The end of a node: how long venues may take to confirm, and who is waited for. The node is scripted, time is the loop's."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine.exit.stopping import Stopping
from flotilla.schemas.states import StopPolicy


class Kernel:
    """Stops as NautilusTrader's does; its clients never say that they have disconnected."""

    def __init__(self) -> None:
        self.trader = SimpleNamespace(is_running=True, strategies=list, check_residuals=lambda: None)
        self.did: list[str] = []

    def _disconnect_clients(self) -> None:
        self.did.append("disconnect")

    async def _await_engines_disconnected(self) -> None:
        self.did.append("wait")

    async def stop_async(self) -> None:
        self._disconnect_clients()
        await self._await_engines_disconnected()
        self.did.append("stopped")


class Node:
    def __init__(self, cache: object = None) -> None:
        self.kernel = Kernel()
        self.trading = self.kernel
        self.cache = cache
        self.stop_s = 3.0
        self.barrier = None


class WindDown:
    cancel_ms = close_ms = None

    def __init__(self, *left: str) -> None:
        self._left = left

    async def run(self, _: object) -> None:
        """It has left the market already."""

    def look_again(self) -> None:
        """It looks at nothing."""

    def not_confirmed(self, _: object) -> tuple[str, ...]:
        return self._left

    def working_orders(self) -> list[Any]:
        return []

    presumed_orders = open_positions = working_orders


class Venues:
    is_needed = True

    def __init__(self, *differs: str) -> None:
        self._differs = differs
        self.had_s: list[float] = []

    async def not_agreed(self, _: object, until: float) -> tuple[str, ...]:
        self.had_s.append(until - asyncio.get_running_loop().time())
        return self._differs


def stopping(node: Node, venues: Venues, wind_down: WindDown | None = None) -> Stopping:
    async def settle(_: object) -> bool:
        return True

    withdrawing: Any = SimpleNamespace(
        wind_down_of=lambda: wind_down or WindDown(), shut=lambda _: None, settle=settle
    )
    tap: Any = SimpleNamespace(cancelled=0, closed=0, cancelled_since=lambda _: 0)
    made: Any = node
    asked: Any = venues
    now = asyncio.get_running_loop().time
    found = Stopping(made, tap, withdrawing, asked, now=now, on_shut=lambda: None)
    found.is_reconciled = True
    return found


async def stop(found: Stopping, timeout_s: float = 20.0) -> tuple[str, ...]:
    async def run() -> None:
        """The node has ended."""

    running = asyncio.get_running_loop().create_task(run())
    return (await found.stop(StopPolicy.FLATTEN, timeout_s, running))[0]


async def test_in_an_emergency_nobody_is_waited_for_once_the_venues_have_said_that_all_is_flat() -> None:
    node = Node()
    found = stopping(node, Venues())
    found.hurry(20.0)
    assert await stop(found) == ()
    assert node.kernel.did == ["stopped"]


@pytest.mark.parametrize("why", ["no emergency", "a venue differs", "a position is open", "state in Redis"])
async def test_the_clients_are_disconnected_in_order_otherwise(why: str) -> None:
    node = Node(cache=object() if why == "state in Redis" else None)
    venues = Venues(*(("V: order X",) if why == "a venue differs" else ()))
    wind_down = WindDown(*(("position P",) if why == "a position is open" else ()))
    found = stopping(node, venues, wind_down)
    if why != "no emergency":
        found.hurry(20.0)
    await stop(found)
    assert node.kernel.did == ["disconnect", "wait", "stopped"]


@pytest.mark.parametrize(
    ("timeout_s", "had_s"),
    [(60.0, 10.0), (11.0, 8.0), (4.0, 2.0)],
    ids=["no longer than a report may take", "all but the node's share", "at least half"],
)
async def test_venues_may_take_what_the_nodes_own_stop_does_not_need(timeout_s: float, had_s: float) -> None:
    venues = Venues()
    await stop(stopping(Node(), venues), timeout_s)
    assert venues.had_s == pytest.approx([had_s], abs=0.2)
