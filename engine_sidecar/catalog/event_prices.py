"""The prices that an event of any kind has."""

from collections.abc import Callable
from typing import Any, Final

from nautilus_trader.model.data import (
    Bar,
    IndexPriceUpdate,
    InstrumentClose,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import BookAction, OrderSide

_PRICES: Final[dict[type[Any], Callable[[Any], tuple[Any, ...]]]] = {
    Bar: lambda bar: (bar.open, bar.high, bar.low, bar.close),
    IndexPriceUpdate: lambda update: (update.value,),
    InstrumentClose: lambda close: (close.close_price,),
    MarkPriceUpdate: lambda update: (update.value,),
    OrderBookDelta: lambda delta: () if delta.action == BookAction.CLEAR else (delta.order.price,),
    OrderBookDepth10: lambda depth: tuple(
        one.price for one in (depth.bids[0], depth.asks[0]) if one.side != OrderSide.NO_ORDER_SIDE
    ),
    QuoteTick: lambda quote: (quote.bid_price, quote.ask_price),
    TradeTick: lambda trade: (trade.price,),
}


def prices_of(event: Any) -> tuple[Any, ...]:
    """In the order of their time; of a book's levels the best of each side. Empty for a kind that has none."""
    found = _PRICES.get(type(event))
    return found(event) if found else ()
