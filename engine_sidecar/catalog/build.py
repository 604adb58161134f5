"""Makes NautilusTrader's own data objects of checked records."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity

from flotilla.engine_sidecar.catalog.columns import DataType
from flotilla.engine_sidecar.catalog.records import Record

type Build = Callable[[Record], Any]


def builder(data_type: DataType, instrument: Instrument, bar_type: BarType | None) -> Build:
    """A function from record to bar, quote or trade, at the instrument's precisions; `ts_init` equals `ts_event`."""

    def price(number: Decimal) -> Price:
        return Price.from_str(f"{number:.{instrument.price_precision}f}")

    def size(number: Decimal) -> Quantity:
        return Quantity.from_str(f"{number:.{instrument.size_precision}f}")

    def bar(record: Record) -> Bar:
        of = record.numbers
        prices = (price(of[field]) for field in ("open", "high", "low", "close"))
        return Bar(bar_type, *prices, size(of["volume"]), record.ts, record.ts)

    def quote(record: Record) -> QuoteTick:
        of = record.numbers
        prices = price(of["bid_price"]), price(of["ask_price"])
        return QuoteTick(
            instrument.id, *prices, size(of["bid_size"]), size(of["ask_size"]), record.ts, record.ts
        )

    def trade(record: Record) -> TradeTick:
        of = record.numbers
        return TradeTick(
            instrument.id,
            price(of["price"]),
            size(of["size"]),
            AggressorSide[record.side],
            TradeId(record.trade_id or f"T-{record.ts}"),
            record.ts,
            record.ts,
        )

    return {DataType.BARS: bar, DataType.QUOTES: quote, DataType.TRADES: trade}[data_type]
