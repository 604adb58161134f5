"""What the verbs that every exchange has take. Amounts and prices are decimals, `account` is the first one if it is left out."""

from decimal import Decimal
from typing import Annotated

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a verb takes."""


Count = Annotated[int, msgspec.Meta(ge=0)]
Days = Annotated[float, msgspec.Meta(ge=0, le=3650)]


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


class Money(Body):
    amount: Decimal
    account: str | None = None


class Seconds(Body):
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Skew(Body):
    ms: Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]


class Conduct(Body):
    hold_fills: bool | None = None
    parts: Annotated[int, msgspec.Meta(ge=1)] | None = None
    fill_after_cancel: Count | None = None


class Stream(Body):
    mute: bool | None = None
    duplicate: bool | None = None
    swap: bool | None = None


class Permission(Body):
    can_trade: bool
    account: str | None = None


class Whose(Body):
    account: str | None = None


class Since(Body):
    since: int = 0
