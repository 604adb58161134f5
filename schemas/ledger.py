"""Ledgers over all engines: orders, fills, positions and accounts, as the events on record tell of them.

Money, prices and quantities are decimal strings as NautilusTrader prints them; times that end in `_ns` or begin with `ts_` are UNIX
nanoseconds by the engine's clock, which in a replay is that of its data. `at` is always when it was said.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import InstanceId, InstrumentId, SessionId
from flotilla.schemas.labels import Labels
from flotilla.schemas.telemetry import Balance

T = TypeVar("T")

Cursor = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,300}\Z", description="Where the page before ended: its `next`.")
]
Venue = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_:/-]{1,40}\Z", description="A venue, such as BINANCE.")]
TradingStrategy = Annotated[
    str,
    Meta(
        pattern=r"\A[\x21-\x2b\x2d-\x7e]{1,100}\Z", description="A strategy's id, as NautilusTrader has it."
    ),
]
Word = Annotated[
    str, Meta(pattern=r"\A[A-Z_]{1,40}\Z", description="A word of NautilusTrader's, such as BUY.")
]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339, with its time zone.")]
Most = Annotated[int, Meta(ge=1, le=1000)]
_MOST_NAMES: Final = 1000
Engines = Annotated[tuple[InstanceId, ...], Meta(max_length=_MOST_NAMES)]
Venues = Annotated[tuple[Venue, ...], Meta(max_length=_MOST_NAMES)]
Instruments = Annotated[tuple[InstrumentId, ...], Meta(max_length=_MOST_NAMES)]
Strategies = Annotated[tuple[TradingStrategy, ...], Meta(max_length=_MOST_NAMES)]
Words = Annotated[tuple[Word, ...], Meta(max_length=40)]


class LedgerOrder(StrEnum):
    """Which rows come first, by `at`."""

    NEWEST = "newest"
    OLDEST = "oldest"


class ReadLedger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for rows whose `at` is from `since` on and before `until`; a filter that is empty keeps everything.

    `labels` keeps engines whose configuration, as it is shown, has all of them; one that was removed has none.
    """

    instance_ids: Engines = ()
    labels: Labels = {}
    session_id: SessionId | None = None
    venues: Venues = ()
    since: Moment | None = None
    until: Moment | None = None
    order: LedgerOrder = LedgerOrder.NEWEST
    cursor: Cursor | None = None
    limit: Most = 100


class ReadTraded(ReadLedger, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, for what has an instrument, a strategy and a side."""

    instrument_ids: Instruments = ()
    strategy_ids: Strategies = ()
    sides: Words = ()


class ReadFills(ReadTraded, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for executions."""


class ReadOrders(ReadTraded, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for orders; `is_open` keeps those that the present session of their engine said last to be open."""

    statuses: Words = ()
    is_open: bool = False


class ReadPositions(ReadTraded, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for positions; `is_open` keeps those that the present session of their engine said last to be open."""

    is_open: bool = False


class ReadAccounts(ReadLedger, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for balances, a row for each time they changed; `is_latest` keeps the last of each account in the engine's present session."""

    is_latest: bool = False


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is when the engine first told of it, by its sidecar's clock, in the event `seq` of the session."""

    instance_id: InstanceId
    session_id: SessionId
    at: datetime
    seq: int
    venue: str


class OrderRow(LedgerRow, frozen=True, kw_only=True):
    """An order after the last event about it, which was number `last_seq`, at `last_at`; see OrderUpdate for the fields.

    `is_open`: open as it was last heard. `is_continued`: a later session of the engine took it over and has a row of its own for it,
    whose `at` is this one's.
    """

    last_at: datetime
    last_seq: int
    is_open: bool
    is_continued: bool
    instrument_id: str
    strategy_id: str
    client_order_id: str
    event: str
    status: str
    side: str
    order_type: str
    quantity: str
    filled_qty: str
    time_in_force: str
    ts_event: int
    venue_order_id: str | None = None
    price: str | None = None
    trigger_price: str | None = None
    avg_px: str | None = None
    reason: str | None = None
    is_reduce_only: bool = False
    is_claim: bool = False


class FillRow(LedgerRow, frozen=True, kw_only=True):
    """One execution, once, however many sessions told of it; see Fill for the fields.

    `account` is what the session had leased at the venue; null where it had nothing leased. (`trade_id`, `instrument_id`) names an execution
    within an account, or within an engine without one. `is_restored`: no session told of it while it happened.
    """

    account: str | None
    trade_id: str
    client_order_id: str
    instrument_id: str
    strategy_id: str
    side: str
    last_qty: str
    last_px: str
    currency: str
    commission: str
    liquidity_side: str
    ts_event: int
    venue_order_id: str | None = None
    position_id: str | None = None
    is_restored: bool = False


class PositionRow(LedgerRow, frozen=True, kw_only=True):
    """A position from where it opened to where it closed, after the last event about it; see PositionUpdate and OrderRow for the fields."""

    last_at: datetime
    last_seq: int
    is_open: bool
    is_continued: bool
    instrument_id: str
    strategy_id: str
    position_id: str
    event: str
    side: str
    quantity: str
    signed_qty: str
    avg_px_open: str
    currency: str
    realized_pnl: str
    ts_event: int
    ts_opened: int
    ts_closed: int
    avg_px_close: str | None = None


class AccountRow(LedgerRow, frozen=True, kw_only=True):
    """The balances of an account after they changed; `is_latest`: the session said nothing later of it."""

    account_id: str
    account_type: str
    balances: tuple[Balance, ...]
    ts_event: int
    is_latest: bool
    base_currency: str | None = None


class LedgerPage(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Rows in the order asked for; `next` is the cursor of the page after this one, null where there is none."""

    rows: tuple[T, ...]
    next: str | None = None


class LedgerName(StrEnum):
    """The ledgers."""

    ORDERS = "orders"
    FILLS = "fills"
    POSITIONS = "positions"
    ACCOUNTS = "accounts"


LEDGER_ROWS: Final[dict[LedgerName, type[Any]]] = {
    LedgerName.ORDERS: OrderRow,
    LedgerName.FILLS: FillRow,
    LedgerName.POSITIONS: PositionRow,
    LedgerName.ACCOUNTS: AccountRow,
}
"""What the rows of each ledger are."""
LEDGER_QUESTIONS: Final[dict[LedgerName, type[ReadLedger]]] = {
    LedgerName.ORDERS: ReadOrders,
    LedgerName.FILLS: ReadFills,
    LedgerName.POSITIONS: ReadPositions,
    LedgerName.ACCOUNTS: ReadAccounts,
}
"""What asks for them."""


def cells(row: Any) -> tuple[Any, ...]:
    """A row as a table has it, column by column: what is a list is JSON."""
    return tuple(
        msgspec.json.encode(value).decode() if isinstance(value, tuple) else value
        for value in (getattr(row, name) for name in row.__struct_fields__)
    )
