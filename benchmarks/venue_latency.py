"""An order's way to the exchange, and its fill's way back to a client on the bus, against a bare node with the same strategy.

The exchange's ledger says when it had the order and when it filled it, cut to ms; of that half a ms is given back on average. The
bare node's fill is taken where its strategy hears of it, ours where a client of the bus does. The bare node keeps no state, so neither does the
engine that it is held against; what an engine needs that keeps its state in Redis, as engines do, is told beside it.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import pinger
from benchmarks.stack import running_stack
from benchmarks.venues import ExchangeProcess, bare_node, engine_on, exchange
from flotilla.client.client import Flotilla
from flotilla.schemas.states import RunState
from flotilla.state.settings import Connection

ORDERS = 100
"""Of a round; an even number leaves it flat."""
ROUNDS = 4
CUT_MS = 0.5
MOST_LATER_MS = 5.0
MOST_RATIO = 1.05


@dataclass
class Times:
    """In ms: submit → the exchange has it, and filled there → heard."""

    to_venue: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    def add(self, venue: ExchangeProcess, heard_ns: Mapping[str, int]) -> None:
        """The orders that were heard of, by the exchange's ledger. Raises RuntimeError for one that it does not have."""
        account = venue.account()
        orders = {order["clientOrderId"]: order for order in account["orders"]}
        filled_ms = {fill["orderId"]: fill["time"] for fill in account["fills"]}
        if missing := heard_ns.keys() - orders.keys():
            raise RuntimeError(f"the exchange does not know {sorted(missing)}")
        for name, at_ns in heard_ns.items():
            order = orders[name]
            self.to_venue.append(order["time"] + CUT_MS - int(name[1:]) / 1e6)
            self.back.append(at_ns / 1e6 - filled_ms[order["orderId"]] - CUT_MS)


async def bare_round(venue: ExchangeProcess, times: Times) -> None:
    """A bare node trades."""
    async with bare_node(venue.port, ORDERS) as node:
        said = [await node.next("fill") for _ in range(ORDERS)]
    times.add(venue, {one["id"]: one["at_ns"] for one in said})


async def our_round(
    fleet: Flotilla, venue: ExchangeProcess, strategy: str, times: Times, *, keeps_state: bool
) -> None:
    """An engine of ours trades."""
    instance_id, heard = f"pinger-{'kept' if keeps_state else 'not-kept'}", dict[str, int]()
    config = engine_on("bench", strategy, instance_id, ORDERS, keeps_state=keeps_state)
    async with fleet.watch(instance_id, kinds=["fill"]) as fills:
        await fleet.start_engine(config)
        async for fill in fills:
            if fill.payload.data.is_restored:
                continue  # of the round before: what an engine kept of the last minute is told again
            heard[fill.payload.data.client_order_id] = time.time_ns()
            if len(heard) == ORDERS:
                break
    await fleet.stop_engine(instance_id)
    await fleet.wait_for(instance_id, {RunState.STOPPED}, timeout_s=30)
    times.add(venue, heard)


async def measure(connection: Connection, venue: ExchangeProcess) -> int:
    """Rounds in turn; 1 when a limit is passed."""
    ours, kept, bare = Times(), Times(), Times()
    await asyncio.to_thread(venue.keep_secret, connection, "bench")
    async with Flotilla.connect(connection) as fleet:
        pushed = await fleet.push_package(Path(pinger.__file__))
        strategy = f"{pushed.name}@{pushed.version}"
        for _ in range(ROUNDS):
            await bare_round(venue, bare)
            await our_round(fleet, venue, strategy, ours, keeps_state=False)
            await our_round(fleet, venue, strategy, kept, keeps_state=True)
    code = max(report_back(ours.back, bare.back), report_there(ours.to_venue, bare.to_venue))
    there, back = (statistics.median(times) for times in (kept.to_venue, kept.back))
    sys.stdout.write(
        f"with its state kept: order to the exchange {there:.2f} ms, fill to the bus {back:.1f} ms\n"
    )
    return code


def report_back(ours: list[float], bare: list[float]) -> int:
    """Prints by how much later our events are; 1 when it is too much."""
    code = 0
    for name, part in (("p50", 49), ("p99", 98)):
        mine, theirs = (statistics.quantiles(values, n=100)[part] for values in (ours, bare))
        verdict = "ok" if mine - theirs <= MOST_LATER_MS else "over the limit"
        code |= int(mine - theirs > MOST_LATER_MS)
        sys.stdout.write(
            f"exchange's fill to the bus, {name}: {mine:.1f} ms, a bare node's strategy {theirs:.1f} ms, "
            f"{mine - theirs:+.1f} ms (limit +{MOST_LATER_MS:g}): {verdict}\n"
        )
    return code


def report_there(ours: list[float], bare: list[float]) -> int:
    """Prints how long orders took to the exchange; 1 when it is too long."""
    mine, theirs = statistics.median(ours), statistics.median(bare)
    verdict = "ok" if mine / theirs <= MOST_RATIO else "over the limit"
    sys.stdout.write(
        f"order to the exchange: ours {mine:.2f} ms, bare {theirs:.2f} ms, "
        f"ratio {mine / theirs:.2f} (limit {MOST_RATIO:g}): {verdict}\n"
    )
    return int(mine / theirs > MOST_RATIO)


def main() -> int:
    """Local processes: what Docker's network adds is not ours."""
    with exchange() as venue, running_stack("process") as connection:
        return asyncio.run(measure(connection, venue))


if __name__ == "__main__":
    sys.exit(main())
