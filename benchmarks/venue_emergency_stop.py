"""An emergency stop of twenty engines, each with a position on an exchange of its own, against twenty bare nodes that flatten.

Every exchange answers each request after 50 ms. Like is held against like: the time is until each one has confirmed by the venue's own report that
it is flat, and is gone, which is when our stop returns; a bare node stops itself once it is flat, and its process ends. When the ledgers had the
last of the fills, and when all bare nodes had confirmed, is told as well.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pinger
from benchmarks.rounds import report
from benchmarks.stack import running_stack
from benchmarks.venues import ExchangeProcess, bare_node, engine_on, exchange
from flotilla.client.client import Flotilla
from flotilla.state.settings import Connection

ENGINES = 20
ANSWER_S = 0.05
LIMIT = 1.5
HELD = "0.010"


@dataclass(frozen=True)
class Took:
    """Seconds until flat by the ledgers, until all have confirmed it, and until all are gone."""

    flat_s: float
    confirmed_s: float
    gone_s: float


def require(venues: Sequence[ExchangeProcess], held: Sequence[str]) -> None:
    """Raises RuntimeError unless every exchange has just these positions."""
    for venue in venues:
        found = [each["amount"] for each in venue.account()["positions"]]
        if found != list(held):
            raise RuntimeError(f"the exchange on port {venue.port} has {found}, not {list(held)}")


def took(venues: Sequence[ExchangeProcess], began_ns: int, confirmed_ns: int, gone_ns: int) -> Took:
    """What it took from then on. Raises RuntimeError unless all are flat."""
    require(venues, [])
    last_ms = max(fill["time"] for venue in venues for fill in venue.account()["fills"])
    return Took(last_ms / 1e3 - began_ns / 1e9, (confirmed_ns - began_ns) / 1e9, (gone_ns - began_ns) / 1e9)


async def bare(venues: Sequence[ExchangeProcess]) -> Took:
    """Nodes that flatten by themselves, and end."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(bare_node(venue.port, 1)) for venue in venues]
        await asyncio.gather(*(node.next("fill") for node in nodes))
        require(venues, [HELD])
        began_ns = time.time_ns()
        for node in nodes:
            node.flatten()
        await asyncio.gather(*(node.next("flat") for node in nodes))
        confirmed_ns = time.time_ns()
        await asyncio.gather(*(node.ended() for node in nodes))
        return took(venues, began_ns, confirmed_ns, time.time_ns())


async def ours(connection: Connection, venues: Sequence[ExchangeProcess]) -> Took:
    """The emergency stop. Raises RuntimeError for what it did not confirm."""
    async with Flotilla.connect(connection) as fleet:
        pushed = await fleet.push_package(Path(pinger.__file__))
        for number, venue in enumerate(venues):
            await asyncio.to_thread(venue.keep_secret, connection, f"bench_{number}")
        async with fleet.watch(kinds=["fill"]) as fills:
            for number in range(len(venues)):
                config = engine_on(
                    f"bench_{number}", f"{pushed.name}@{pushed.version}", f"pinger-{number}", 1
                )
                await fleet.start_engine(config)
                await fleet.wait_for(config.instance_id, timeout_s=60)
            left = {f"pinger-{number}" for number in range(len(venues))}
            async for fill in fills:
                left.discard(fill.instance_id)
                if not left:
                    break
        require(venues, [HELD])
        began_ns = time.time_ns()
        stopped = await fleet.emergency_stop()
        now_ns = time.time_ns()
        result = took(venues, began_ns, now_ns, now_ns)
    confirmed = [receipt for receipt in stopped.receipts if receipt.is_flat]
    if len(confirmed) < len(venues):
        raise RuntimeError(f"{len(confirmed)} of {len(venues)} were confirmed: {stopped}")
    return result


def main() -> int:
    """Local processes; 1 when ours takes too long."""
    with ExitStack() as stack:
        venues = [stack.enter_context(exchange()) for _ in range(ENGINES)]
        for venue in venues:
            venue.control("fault", on="*", kind="slow", seconds=ANSWER_S)
        theirs = asyncio.run(bare(venues))
        sys.stderr.write(f"bare: {theirs}\n")
        mine = asyncio.run(ours(stack.enter_context(running_stack("process")), venues))
        sys.stderr.write(f"ours: {mine}\n")
    name = f"emergency stop of {ENGINES} engines on exchanges"
    return report(name, mine.gone_s, theirs.gone_s, "s", LIMIT)


if __name__ == "__main__":
    sys.exit(main())
