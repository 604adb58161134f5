"""What the verbs of the control take. Amounts and prices are decimals, `symbol` is a contract's local one, `account` is the first one if it is left out."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from exchanges.core.faults import Kind


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a verb takes."""


class Touch(Body):
    symbol: str
    bid: Decimal
    ask: Decimal
    size: Decimal | None = None


class Market(Body):
    symbol: str


class Halt(Body):
    symbol: str
    halted: bool


class Fill(Body):
    perm_id: int | None = None
    ref: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None


class Place(Body):
    symbol: str
    side: Literal["BUY", "SELL"]
    qty: Decimal
    limit: Decimal | None = None
    account: str | None = None


class Named(Body):
    perm_id: int


class Hand(Body):
    symbol: str
    qty: Decimal
    price: Decimal
    age_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 0.0
    account: str | None = None


class Money(Body):
    amount: Decimal
    account: str | None = None


class Since(Body):
    since: int = 0


class Conduct(Body):
    hold_fills: bool | None = None
    parts: Annotated[int, msgspec.Meta(ge=1)] | None = None
    fill_after_cancel: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Stream(Body):
    mute: bool | None = None
    duplicate: bool | None = None
    swap: bool | None = None


class Client(Body):
    client: int | None = None


class Seconds(Body):
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Lose(Body):
    what: Literal["venue", "market", "history"]
    code: Literal[1100, 2110] = 1100
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Restore(Body):
    what: Literal["venue", "market", "history"]
    data_lost: bool = False


class Fault(Body):
    on: str
    kind: Kind
    times: int | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    code: int = 201
    msg: str = "Order rejected - reason:unknown"
