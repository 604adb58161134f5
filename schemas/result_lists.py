"""What the parts of a backtest's result are, once their pages are read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import (
    ClosedTrade,
    EquityPoint,
    ExposurePoint,
    Manifest,
    OpenPosition,
    PricePoint,
    ResultPart,
)
from flotilla.schemas.telemetry import Fill, OrderUpdate

LISTS: Final[dict[ResultPart, type[Any]]] = {
    ResultPart.TRADES: ClosedTrade,
    ResultPart.ORDERS: OrderUpdate,
    ResultPart.FILLS: Fill,
    ResultPart.EQUITY_CURVE: EquityPoint,
    ResultPart.OPEN_POSITIONS: OpenPosition,
    ResultPart.PRICES: PricePoint,
    ResultPart.EXPOSURE: ExposurePoint,
}
"""The parts of a result that are lists, and what of."""


def decoded(part: ResultPart, entries: Sequence[msgspec.Raw]) -> Any:
    """All entries of a part: a list of what LISTS says, a Manifest, the report's HTML as text, else a dict. Raises MsgspecError."""
    if part in LISTS:
        return [msgspec.json.decode(entry, type=LISTS[part]) for entry in entries]
    if part is ResultPart.REPORT:
        return "".join(msgspec.json.decode(entry, type=str) for entry in entries)
    return msgspec.json.decode(entries[0], type=Manifest if part is ResultPart.MANIFEST else dict)
