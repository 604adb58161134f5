"""The bodies of answers about ledgers."""

import msgspec

from flotilla.schemas.ledger import AccountRow, FillRow, OrderRow, PositionRow


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the `cursor` of the page after this one, null at the end."""

    success: bool = True
    count: int
    next: str | None


class OrdersReply(_Page, frozen=True, kw_only=True):
    """A page of orders; `next` is the `cursor` of the page after this one, null at the end."""

    orders: tuple[OrderRow, ...]


class FillsReply(_Page, frozen=True, kw_only=True):
    """A page of executions; `next` is the `cursor` of the page after this one, null at the end."""

    fills: tuple[FillRow, ...]


class PositionsReply(_Page, frozen=True, kw_only=True):
    """A page of positions; `next` is the `cursor` of the page after this one, null at the end."""

    positions: tuple[PositionRow, ...]


class AccountsReply(_Page, frozen=True, kw_only=True):
    """A page of balances; `next` is the `cursor` of the page after this one, null at the end."""

    accounts: tuple[AccountRow, ...]
