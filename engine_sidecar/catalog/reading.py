"""What people say of their files where these do not tell it themselves."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from flotilla.schemas.backtest import DataKind


class DataType(StrEnum):
    """The kinds that are read row by row, whichever columns a file has."""

    BARS = DataKind.BARS.value
    QUOTES = DataKind.QUOTES.value
    TRADES = DataKind.TRADES.value


class Stamp(StrEnum):
    """Which moment of a bar its time is."""

    OPEN = "open"
    CLOSE = "close"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read what the file itself does not tell; `step` is a bar's length.

    A precision of None keeps all decimals; otherwise numbers are rounded half to even. `columns` names those of a file
    without header; with `no_header` alone they are those of the data type in their order. `skip` lines come before either,
    `delimiter` parts a line, None being what the first line tells. `thousands` is a mark that sets thousands apart.
    `fixed_decimals` is how many decimals a price has that is written as a whole number, None when the header has to tell.
    `prices` chooses between a bar's own prices and those scaled to its adjusted close. `default_size` is that of rows whose
    file has no column of sizes. Of files with several symbols the rows of `symbol` are taken. With `sort` rows may come in any order, with `dedupe` more than once.
    """

    data_type: DataType
    zone: ZoneInfo | None = None
    step: timedelta | None = None
    stamp: Stamp | None = None
    price_precision: int | None = None
    size_precision: int | None = None
    columns: tuple[str, ...] = ()
    no_header: bool = False
    delimiter: str | None = None
    skip: int = 0
    time_format: str | None = None
    decimal_mark: str = "."
    thousands: str | None = None
    fixed_decimals: int | None = None
    prices: str | None = None
    default_size: Decimal | None = None
    symbol: str | None = None
    sort: bool = False
    dedupe: bool = False
    may_be_negative: bool = False

    @property
    def step_ns(self) -> int:
        """The length of a bar, 0 where it has no fixed one."""
        return self.step // timedelta(microseconds=1) * 1000 if self.step else 0
