"""What the verbs of the control take. Amounts and prices are decimals, `account` is the first one if it is left out."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a verb takes."""


class Touch(Body):
    symbol: str
    bid: Decimal
    ask: Decimal
    size: Decimal | None = None


class Market(Body):
    symbol: str


class Bar(Body):
    symbol: str
    interval: str = "1m"


class Fill(Body):
    order_id: int | None = None
    client_id: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    account: str | None = None


class Place(Body):
    order: dict[str, str]
    account: str | None = None


class Named(Body):
    order_id: int
    account: str | None = None


class Hand(Body):
    symbol: str
    qty: Decimal
    price: Decimal
    age_days: float = 0.0
    account: str | None = None


class Money(Body):
    amount: Decimal
    account: str | None = None


class Status(Body):
    symbol: str
    status: Literal["TRADING", "TRADING_HALT", "SETTLING", "CLOSE"] = "TRADING_HALT"


class Tick(Body):
    symbol: str
    tick: Decimal
    step: Decimal | None = None


class Which(Body):
    which: Literal["private", "market", "all"] = "private"


class Seconds(Body):
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Ban(Body):
    seconds: Annotated[int, msgspec.Meta(ge=1)] = 120


class Limit(Body):
    weight: int | None = None
    orders_minute: int | None = None
    orders_ten_seconds: int | None = None


class Skew(Body):
    ms: int


class Conduct(Body):
    hold_fills: bool | None = None
    parts: int | None = None
    fill_after_cancel: int | None = None


class Stream(Body):
    mute: bool | None = None
    duplicate: bool | None = None
    swap: bool | None = None


class Rate(Body):
    symbol: str
    rate: Decimal


class Permission(Body):
    can_trade: bool
    account: str | None = None


class Whose(Body):
    account: str | None = None


class Since(Body):
    since: int = 0
