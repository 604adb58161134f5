"""What Interactive Brokers has instead of an instrument that it does not have: it has no list, but finds symbols by how they begin."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

_UNRESOLVED: Final = "Unable to resolve configured Interactive Brokers instruments"
_FEW: Final = 2
"""So many letters of a symbol are searched for where nothing begins with all of it."""
SEARCH_S: Final = 4.0
"""How long the gateway may take to find names, which nothing but a message waits for."""


def is_unknown(error: Exception) -> bool:
    """True for what the adapter raises for instruments that the gateway does not have."""
    return isinstance(error, RuntimeError) and str(error).startswith(_UNRESOLVED)


async def names_like(client: Any, symbol: str) -> tuple[str, ...]:
    """Names of stocks and currency pairs that begin like the symbol; none where the client's gateway finds none, or not in time."""
    search = getattr(getattr(client, "_client", None), "get_matching_contracts", None)
    if search is None:
        return ()
    try:
        async with asyncio.timeout(SEARCH_S):
            for pattern in dict.fromkeys((symbol, symbol[:_FEW])):
                if names := tuple(dict.fromkeys(_names(await search(pattern) or ()))):
                    return names
    except TimeoutError:
        pass
    return ()


def _names(contracts: Iterable[Any]) -> Iterator[str]:
    """As NautilusTrader has them, as far as a symbol and its exchange tell: of a future they do not."""
    for contract in contracts:
        if contract.secType == "STK" and contract.primaryExchange:
            # The gateway adds a tier, as in NASDAQ.NMS.
            yield f"{contract.symbol}.{contract.primaryExchange.partition('.')[0]}"
        elif contract.secType == "CASH":
            yield f"{contract.symbol}/{contract.currency}.IDEALPRO"
