"""`make venues` and `make soak`: the long counts, on whole stacks and exchanges of our own. Exits with 1 when something is wrong.

  make venues                              200 kill points, 108 stops, each fault for 60 s
  make venues ARGS="kills --each 5"        of one kind; also: stops, faults
  make venues ARGS="faults --place okx"    on another exchange
  make venues ARGS="faults --seconds 10 --only 'cut private'"
  make soak ARGS="--minutes 5"

The seed is printed. `--seed` draws the same again; what a moment hits is decided by the machine.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import SystemRandom

from tests.venues import faults, kills, soak, stops
from tests.venues.arena import Arena, arena
from tests.venues.menus import MENUS
from tests.venues.places import PLACES
from tests.venues.tally import Tally, say

COUNTS = ("kills", "stops", "faults")


def main() -> int:
    """The exit code."""
    chosen = _options()
    # A run that is ended lets its stack and its exchanges go; a shell has those in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    tallies = asyncio.run(_run(chosen))
    say("\n" + "\n\n".join(each.table() for each in tallies))
    return 1 if any(each.wrong for each in tallies) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make venues", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=[*COUNTS, "soak", []], help="what is counted")
    parser.add_argument(
        "--each", type=int, help="kill points of each kind, warm and cold (25); stops by policy and mood (9)"
    )
    parser.add_argument("--kind", choices=kills.KINDS, nargs="+", default=kills.KINDS, help="kinds of kills")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each fault lasts (60)")
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="these faults only")
    parser.add_argument(
        "--place", choices=PLACES, default="binance", help="the exchange of kills, stops and faults (binance)"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the soak takes (60)")
    parser.add_argument(
        "--exchanges", nargs="+", choices=PLACES, default=["binance", "okx"], help="those of the soak"
    )
    parser.add_argument("--at-once", type=int, default=2, help="engines at once in stops and faults (2)")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    chosen = parser.parse_args()
    names = [each.name for each in MENUS[PLACES[chosen.place].name].faults]
    if unknown := set(chosen.only or ()) - set(names):
        parser.error(f"--only: no fault {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return chosen


async def _run(chosen: argparse.Namespace) -> Sequence[Tally]:
    with tempfile.TemporaryDirectory() as folder:
        async with arena(Path(folder)) as made:
            return [each async for each in _tallies(made, chosen)]


async def _tallies(made: Arena, chosen: argparse.Namespace) -> AsyncIterator[Tally]:
    place, seed, what = PLACES[chosen.place], chosen.seed, chosen.what or COUNTS
    if "kills" in what:
        yield await kills.count(made, place, seed, chosen.each or 25, chosen.kind)
    if "stops" in what:
        yield await stops.count(made, place, seed, stops.ALL * (chosen.each or 9), chosen.at_once)
    if "faults" in what:
        menu = tuple(each for each in MENUS[place.name].faults if not chosen.only or each.name in chosen.only)
        yield await faults.count(made, place, seed, chosen.seconds, menu, chosen.at_once)
    if "soak" in what:
        yield await soak.run(made, [PLACES[name] for name in chosen.exchanges], seed, chosen.minutes * 60)


if __name__ == "__main__":
    sys.exit(main())
