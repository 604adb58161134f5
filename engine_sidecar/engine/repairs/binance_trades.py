"""Binance: of an account that traded more than 500 times in a week only the newest 500 trades are known to an engine that starts anew.

The adapter asks for trades without saying how many, and never for those before or after what it got. What its orders were filled beyond
that it makes up. It has a comment that says so of orders ("in the future we should add pagination"). So while a client
reports on its whole account, which is at the start and after a reconnect, trades are asked for in pages.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

MOST: Final = 1_000
"""Trades in a page, the most that the venue takes."""
PAGES: Final = 10
"""Each costs 5 of 2,400 a minute by weight."""


def repair_binance_trades(client: Any) -> None:
    """Has the execution client ask for all trades where it asks for what there is; clients of others are left alone."""
    account = getattr(client, "_http_account", None)
    if account is None or not hasattr(account, "query_user_trades"):
        return
    ask = account.query_user_trades

    async def in_pages(symbol: str, start_time: int | None = None, **asked: Any) -> list[Any]:
        first: list[Any] = await ask(symbol=symbol, start_time=start_time, **({"limit": MOST} | asked))
        if not client.reconciliation_active or len(first) < MOST:
            return first
        return await (_before if start_time is None else _after)(ask, symbol, first)

    account.query_user_trades = in_pages


async def _before(ask: Callable[..., Awaitable[list[Any]]], symbol: str, found: list[Any]) -> list[Any]:
    """With the trades before, as far back as the venue tells: a week."""
    page = found
    for _ in range(PAGES - 1):
        page = await ask(symbol=symbol, end_time=page[0].time, limit=MOST)
        # Several trades are of one millisecond.
        known = {each.id for each in found}
        older = [each for each in page if each.id not in known]
        found = older + found
        if len(page) < MOST or not older:
            break
    return found


async def _after(ask: Callable[..., Awaitable[list[Any]]], symbol: str, found: list[Any]) -> list[Any]:
    """With the trades after, to the newest."""
    page = found
    for _ in range(PAGES - 1):
        page = await ask(symbol=symbol, from_id=page[-1].id + 1, limit=MOST)
        found = found + page
        if len(page) < MOST:
            break
    return found
