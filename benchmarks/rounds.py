"""Interleaved rounds of two ways to do the same thing, so that a busy machine disturbs both alike."""

import statistics
import sys
from collections.abc import Awaitable, Callable


async def compare(
    ours: Callable[[], Awaitable[float]],
    raw: Callable[[], Awaitable[float]],
    *,
    rounds: int,
) -> tuple[float, float]:
    """Median of each over `rounds`, taken in turn; the callables return their own measurement."""
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(await raw())
        mine.append(await ours())
    return statistics.median(mine), statistics.median(theirs)


def report(name: str, ours: float, raw: float, unit: str, limit: float) -> int:
    """Prints both figures and their ratio; 1 when the ratio is over `limit`."""
    ratio = ours / raw
    verdict = "ok" if ratio <= limit else "over the limit"
    sys.stdout.write(
        f"{name}: ours {ours:.4g} {unit}, raw {raw:.4g} {unit}, ratio {ratio:.2f} (limit {limit:g}): {verdict}\n"
    )
    return int(ratio > limit)


def report_at_least(name: str, ours: float, raw: float, unit: str, limit: float) -> int:
    """The same for a rate: 1 when the ratio is under `limit`."""
    ratio = ours / raw
    verdict = "ok" if ratio >= limit else "under the limit"
    sys.stdout.write(
        f"{name}: ours {ours:,.4g} {unit}, raw {raw:,.4g} {unit}, ratio {ratio:.2f} (at least {limit:g}): {verdict}\n"
    )
    return int(ratio < limit)


def report_at_most(name: str, figure: float, unit: str, limit: float) -> int:
    """Prints one figure that is held against nothing but its limit; 1 when it is over that."""
    verdict = "ok" if figure <= limit else "over the limit"
    sys.stdout.write(f"{name}: {figure:.4g} {unit} (limit {limit:g}): {verdict}\n")
    return int(figure > limit)
