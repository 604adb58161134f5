"""Binance: of an account that traded more than 500 times in a week only the newest 500 trades are known to an engine that starts anew.

The adapter asks for trades without saying how many, and never for those before or after what it got. What its orders were filled beyond
that it makes up. It has a comment that says so of orders ("in the future we should add pagination"). So while a client
reports on its whole account, which is at the start and after a reconnect, trades are asked for in pages, and so are those since a moment:
of more than a page the venue gives the oldest.
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
        is_of_one = asked.get("order_id") is not None
        if is_of_one or (not client.reconciliation_active and start_time is None):
            found: list[Any] = await ask(symbol=symbol, start_time=start_time, **({"limit": MOST} | asked))
            return found
        newest = await ask(symbol=symbol, **({"limit": MOST} | asked))
        return await _back_to(start_time or 0, ask, symbol, newest)

    account.query_user_trades = in_pages


async def _back_to(
    start_time: int, ask: Callable[..., Awaitable[list[Any]]], symbol: str, newest: list[Any]
) -> list[Any]:
    """With the trades before, to `start_time` (UNIX ms) or as far back as the venue tells, a week, but the newest ones whatever their number:
    asked for from `start_time` on, the newest would be missing, and be made up, of an account with more than all pages hold.
    """
    found = page = newest
    for _ in range(PAGES - 1):
        if len(page) < MOST or page[0].time < start_time:
            break
        page = await ask(symbol=symbol, end_time=page[0].time, limit=MOST)
        # Several trades are of one millisecond.
        known = {each.id for each in found}
        older = [each for each in page if each.id not in known]
        if not older:
            break
        found = older + found
    return [each for each in found if each.time >= start_time]
