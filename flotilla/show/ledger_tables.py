"""Ledgers as tables."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from flotilla.schemas.ledger import AccountRow, FillRow, LedgerName, OrderRow, PositionRow
from flotilla.show import formats
from flotilla.show.output import table

_HEADS: Final = {
    LedgerName.ORDERS: (
        "AT",
        "ENGINE",
        "ORDER",
        "INSTRUMENT",
        "SIDE",
        ">QUANTITY",
        ">FILLED",
        ">PRICE",
        "STATUS",
    ),
    LedgerName.FILLS: ("AT", "ENGINE", "TRADE", "INSTRUMENT", "SIDE", ">QUANTITY", ">PRICE", ">COMMISSION"),
    LedgerName.POSITIONS: (
        "AT",
        "ENGINE",
        "INSTRUMENT",
        "SIDE",
        ">QUANTITY",
        ">OPENED AT",
        ">CLOSED AT",
        ">REALISED",
    ),
    LedgerName.ACCOUNTS: ("AT", "ENGINE", "ACCOUNT", "TYPE", "BALANCES"),
}


def ledger_table(name: LedgerName, rows: Sequence[Any]) -> RenderableType:
    """A row per entry."""
    if not rows:
        return Text(f"no {name} on record")
    made = table(*_HEADS[name])
    for row in rows:
        made.add_row(formats.moment(row.at), Text(row.instance_id), *map(_text, _cells(row)))
    return made


def _cells(row: Any) -> tuple[str, ...]:
    match row:
        case OrderRow():
            status = f"{row.status}?" if row.is_claim else row.status
            return (
                *(row.client_order_id, row.instrument_id, row.side, row.quantity, row.filled_qty),
                *(row.avg_px or row.price or "", status),
            )
        case FillRow():
            return (
                *(row.trade_id, row.instrument_id, row.side, row.last_qty, row.last_px),
                f"{row.commission} {row.currency}",
            )
        case PositionRow():
            return (
                *(row.instrument_id, row.side, row.quantity, row.avg_px_open, row.avg_px_close or ""),
                row.realized_pnl,
            )
        case AccountRow():
            held = ", ".join(f"{one.total} {one.currency}" for one in row.balances)
            return row.account_id, row.account_type, held
    raise TypeError(f"no row of a ledger: {row!r}")


def _text(value: str) -> Text:
    return Text(value, overflow="fold")
