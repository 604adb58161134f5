"""What the verbs of this exchange's own take. Prices are decimals, quantities contracts, `account` is the first one if it is left out."""

from decimal import Decimal
from typing import Literal

from exchanges.asked import Body, Count, Days


class Touch(Body):
    instrument: str
    bid: Decimal
    ask: Decimal
    size: Decimal | None = None


class Market(Body):
    instrument: str


class Bar(Body):
    instrument: str
    interval: str = "1m"


class Hand(Body):
    instrument: str
    qty: Decimal
    price: Decimal
    age_days: Days = 0.0
    account: str | None = None


class Status(Body):
    instrument: str
    status: Literal["live", "suspend", "settling", "expired"] = "suspend"


class Tick(Body):
    instrument: str
    tick: Decimal
    step: Decimal | None = None


class Rate(Body):
    instrument: str
    rate: Decimal


class Which(Body):
    which: Literal["public", "private", "business", "all"] = "private"


class Limit(Body):
    orders_two_seconds: Count | None = None
