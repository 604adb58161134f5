"""Parts of a result as rows of a table."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import OpenPosition, ResultPart
from flotilla.schemas.telemetry import Fill, OrderUpdate
from flotilla.services.gateway.backtests.replies import CurvePoint, Trade
from flotilla.services.gateway.backtests.views import shown

_LISTS: Final[Mapping[ResultPart, Any]] = {
    ResultPart.TRADES: Trade,
    ResultPart.EQUITY_CURVE: CurvePoint,
    ResultPart.ORDERS: OrderUpdate,
    ResultPart.FILLS: Fill,
    ResultPart.OPEN_POSITIONS: OpenPosition,
}
_DOCUMENTS: Final = {
    ResultPart.BALANCES: ("currency", "amount"),
    ResultPart.FEES: ("currency", "amount"),
    ResultPart.STATISTICS: ("of", "statistic", "value"),
}
TABLES: Final = frozenset({*_LISTS, *_DOCUMENTS})
"""The parts that are tables; the others are documents only."""


def is_list(part: ResultPart) -> bool:
    """False for a part that is one document."""
    return part in _LISTS


def columns(part: ResultPart) -> tuple[str, ...]:
    """The head of the table."""
    return _DOCUMENTS[part] if part in _DOCUMENTS else _LISTS[part].__struct_fields__


def rows(part: ResultPart, entry: msgspec.Raw) -> Iterator[tuple[Any, ...]]:
    """The rows of one entry: a list's entry is one, a document has several."""
    if is_list(part):
        value = shown(part, entry)
        value = msgspec.json.decode(value, type=_LISTS[part]) if isinstance(value, msgspec.Raw) else value
        yield msgspec.structs.astuple(value)
        return
    for name, value in msgspec.json.decode(entry).items():
        if part is ResultPart.STATISTICS:
            yield from ((name, statistic, figure) for statistic, figure in value.items())
        else:
            yield name, value


def csv_text(table: Iterator[tuple[Any, ...]]) -> bytes:
    """Rows as RFC 4180 has them; what is null is empty."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode()
