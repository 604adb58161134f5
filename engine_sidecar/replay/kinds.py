"""The kinds of market data in a catalog: NautilusTrader's class and folder of each, and how rows become its objects.

NautilusTrader reads no index price back, funding rates as text instead of the Decimal that venues' adapters give, and in some kinds a
word or a number that it does not know ends its process: those are read and checked here.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model.data import (
    Bar,
    CustomData,
    DataType,
    FundingRateUpdate,
    IndexPriceUpdate,
    InstrumentClose,
    InstrumentStatus,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import InstrumentCloseType, MarketStatusAction
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import FIXED_PRECISION, PRICE_MAX, Price
from nautilus_trader.persistence.funcs import class_to_filename
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer, list_schemas

from flotilla.schemas.backtest import DataKind

KINDS: Final[dict[DataKind, type[Any]]] = {
    DataKind.BARS: Bar,
    DataKind.FUNDING_RATES: FundingRateUpdate,
    DataKind.INDEX_PRICES: IndexPriceUpdate,
    DataKind.INSTRUMENT_CLOSES: InstrumentClose,
    DataKind.INSTRUMENT_STATUS: InstrumentStatus,
    DataKind.MARK_PRICES: MarkPriceUpdate,
    DataKind.ORDER_BOOK_DELTAS: OrderBookDelta,
    DataKind.ORDER_BOOK_DEPTHS: OrderBookDepth10,
    DataKind.QUOTES: QuoteTick,
    DataKind.TRADES: TradeTick,
}
FOLDERS: Final[dict[type[Any], str]] = {kind: class_to_filename(kind) for kind in KINDS.values()}
"""Below `data/` of a catalog."""


def folder_of(kind: type[Any]) -> str:
    """Below `data/` of a catalog, of a class of somebody's own too."""
    return FOLDERS.get(kind) or class_to_filename(kind)


_PRICED: Final = (MarkPriceUpdate, IndexPriceUpdate)
_WORDS: Final[dict[type[Any], tuple[str, Collection[str]]]] = {
    InstrumentStatus: ("action", MarketStatusAction.__members__),
    InstrumentClose: ("close_type", InstrumentCloseType.__members__),
}
_RAW_MAX: Final = int(PRICE_MAX) * 10**FIXED_PRECISION


def events_of(kind: type[Any], table: pa.Table) -> list[Any]:
    """The rows of a catalog's file as NautilusTrader's objects. Raises ValueError for what they cannot be."""
    if kind not in FOLDERS:
        return _custom(kind, table)
    if kind in _WORDS:
        check_words(kind, table)
    try:
        return _decoded(kind, table)
    except (ArithmeticError, TypeError) as error:
        raise ValueError(f"a cell is empty, or no number: {error}") from error


def _custom(kind: type[Any], table: pa.Table) -> list[Any]:
    """Rows of a class of somebody's own, as NautilusTrader's catalog gives them: each in a CustomData, which is published by its class."""
    if kind not in list_schemas():
        raise ValueError(
            f"{kind.__name__} has no Arrow schema: @customdataclass gives one, or register_arrow"
        )
    try:
        made = list(ArrowSerializer.deserialize(kind, table))
    except Exception as error:
        raise ValueError(
            f"{kind.__name__} does not take these rows: {type(error).__name__}: {error}"
        ) from error
    if len(made) != table.num_rows or not all(isinstance(one, kind) for one in made):
        raise ValueError(f"{kind.__name__} made {len(made)} objects of {table.num_rows} rows, or others")
    data_type = DataType(kind)
    return [CustomData(data_type, one) for one in made]


def _decoded(kind: type[Any], table: pa.Table) -> list[Any]:
    if kind in _PRICED:
        return _priced(kind, table)
    if kind is FundingRateUpdate:
        return _funding_rates(table)
    made: list[Any] = ArrowSerializer.deserialize(kind, table)
    return made if made and isinstance(made[0], kind) else list(kind.from_pyo3_list(made))


def check_words(kind: type[Any], table: pa.Table) -> None:
    """Raises ValueError for a status or a type of close that NautilusTrader does not have."""
    column, known = _WORDS[kind]
    for word in pc.unique(table[column].cast(pa.string())).to_pylist():
        if word not in known:
            raise ValueError(f"{column} {word} is none that NautilusTrader has")


def _priced(kind: type[Any], table: pa.Table) -> list[Any]:
    metadata = table.schema.metadata
    instrument_id = InstrumentId.from_str(metadata[b"instrument_id"].decode())
    precision = int(metadata[b"price_precision"])
    made = []
    columns = (table[name].to_pylist() for name in ("value", "ts_event", "ts_init"))
    for value, ts_event, ts_init in zip(*columns, strict=True):
        raw = int.from_bytes(value, "little", signed=True)
        if abs(raw) > _RAW_MAX:
            raise ValueError(f"a value of {raw} is more than any price")
        made.append(kind(instrument_id, Price.from_raw(raw, precision), ts_event, ts_init))
    return made


def _funding_rates(table: pa.Table) -> list[Any]:
    instrument_id = InstrumentId.from_str(table.schema.metadata[b"instrument_id"].decode())
    columns = (
        table[name].to_pylist() for name in ("rate", "interval", "next_funding_ns", "ts_event", "ts_init")
    )
    made = []
    for rate, interval, next_funding_ns, ts_event, ts_init in zip(*columns, strict=True):
        value = msgspec.json.decode(rate, type=Decimal)
        if not value.is_finite():
            raise ValueError(f"a funding rate of {value} is none")
        made.append(FundingRateUpdate(instrument_id, value, ts_event, ts_init, interval, next_funding_ns))
    return made
