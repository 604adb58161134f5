"""What the verbs of this exchange's own take. Amounts and prices are decimals, `account` is the first one if it is left out."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from exchanges.asked import Body, Count, Days


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


class Hand(Body):
    symbol: str
    qty: Decimal
    price: Decimal
    age_days: Days = 0.0
    account: str | None = None


class Status(Body):
    symbol: str
    status: Literal["TRADING", "TRADING_HALT", "SETTLING", "CLOSE"] = "TRADING_HALT"


class Lose(Body):
    symbol: str
    times: int = 1


class Tick(Body):
    symbol: str
    tick: Decimal
    step: Decimal | None = None


class Which(Body):
    which: Literal["private", "market", "all"] = "private"


class Ban(Body):
    seconds: Annotated[int, msgspec.Meta(ge=1)] = 120


class Limit(Body):
    weight: Count | None = None
    orders_minute: Count | None = None
    orders_ten_seconds: Count | None = None


class Rate(Body):
    symbol: str
    rate: Decimal
