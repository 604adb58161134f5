"""What may stand in the queries of calls about ledgers."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import SessionId
from flotilla.schemas.ledger import (
    Cursor,
    Engines,
    Instruments,
    LedgerOrder,
    Moment,
    Strategies,
    Venues,
    Words,
)
from flotilla.services.gateway.web.queries import LabelFilter, Limit


class LedgerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: several values of a filter are separated by commas, and a filter that is left out keeps everything."""

    engine: Engines = ()
    label: LabelFilter = ()
    session_id: SessionId | None = None
    venue: Venues = ()
    since: Moment | None = None
    until: Moment | None = None
    order: LedgerOrder = LedgerOrder.NEWEST


class TradedFilter(LedgerFilter, frozen=True, kw_only=True):
    """The same, for what has an instrument, a strategy and a side."""

    instrument_id: Instruments = ()
    strategy_id: Strategies = ()
    side: Words = ()


class FillsQuery(TradedFilter, frozen=True, kw_only=True):
    """A page of executions."""

    cursor: Cursor | None = None
    limit: Limit = 100


class OrdersQuery(FillsQuery, frozen=True, kw_only=True):
    """A page of orders."""

    status: Words = ()
    open: Annotated[
        bool, Meta(description="Only what the engine's present session said last to be open.")
    ] = False


class PositionsQuery(FillsQuery, frozen=True, kw_only=True):
    """A page of positions."""

    open: Annotated[
        bool, Meta(description="Only what the engine's present session said last to be open.")
    ] = False


class AccountsQuery(LedgerFilter, frozen=True, kw_only=True):
    """A page of balances."""

    latest: Annotated[
        bool, Meta(description="Only the last of each account in the engine's present session.")
    ] = False
    cursor: Cursor | None = None
    limit: Limit = 100


class FillsExport(TradedFilter, frozen=True, kw_only=True):
    """All executions, in a format."""

    format: Literal["csv", "json"] = "csv"


class OrdersExport(FillsExport, frozen=True, kw_only=True):
    """All orders, in a format."""

    status: Words = ()
    open: bool = False


class PositionsExport(FillsExport, frozen=True, kw_only=True):
    """All positions, in a format."""

    open: bool = False


class AccountsExport(LedgerFilter, frozen=True, kw_only=True):
    """All balances, in a format."""

    latest: bool = False
    format: Literal["csv", "json"] = "csv"
