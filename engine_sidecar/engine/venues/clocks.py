"""How far the machine's clock is from a venue's: venues refuse what was signed at another time, with words that say little of it."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from flotilla.engine_sidecar.engine.venues.reports import in_time

ANSWER_S: Final = 2.0
LEAST_S: Final = 1.0
"""What is less is not told: Binance refuses what is more than a second ahead."""


async def clock_words(client: Any) -> str:
    """`clock 3.0 s ahead of the venue`; empty where it is not, or where the client cannot be asked: only those of Binance, OKX and
    BitMEX know their venue's time.
    """
    if (ask := _time_of(client)) is None:
        return ""
    before = time.time()
    try:
        venue_s = float(await in_time(_answer(ask), ANSWER_S)) / 1_000
    except Exception:  # noqa: BLE001 - whatever an adapter raises: the reason why there is none is told elsewhere
        return ""
    after = time.time()
    ahead_s = (before + after) / 2 - venue_s
    if abs(ahead_s) < max(LEAST_S, after - before):
        return ""
    return f"clock {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the venue"


def _time_of(client: Any) -> Callable[[], Awaitable[Any]] | None:
    """What asks for Unix milliseconds."""
    for part, name in (("_http_market", "request_server_time"), ("_http_client", "get_server_time")):
        if (ask := getattr(getattr(client, part, None), name, None)) is not None:
            found: Callable[[], Awaitable[Any]] = ask
            return found
    return None


async def _answer(ask: Callable[[], Awaitable[Any]]) -> Any:
    """As a coroutine: what Rust gives is a future."""
    return await ask()
