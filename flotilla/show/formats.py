"""Figures as people read them: durations, sizes, money, positions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from flotilla.schemas import figures

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def duration(seconds: float) -> str:
    """`4.2s`, `3m07s`, `5h12m`, `2d03h`."""
    whole = int(seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def size(count: float) -> str:
    """Bytes, such as `212 MiB`."""
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count /= 1024
        power += 1
    return f"{count:.0f} {_UNITS[power]}" if count >= 10 or power == 0 else f"{count:.1f} {_UNITS[power]}"


def amount(text: str) -> str:
    """A decimal string with its thousands set apart; what is none is left as it is."""
    return figures.amount(text)


def money(by_currency: Mapping[str, str]) -> str:
    """`1,234.50 USD`; several currencies on one line."""
    return figures.amounts(by_currency)


def positions(net: Mapping[str, str]) -> str:
    """`SPX.SIM +100`; instruments that are flat are left out."""
    open_ones = [(name, amount(value)) for name, value in sorted(net.items()) if _is_open(value)]
    return ", ".join(f"{name} {value if value.startswith('-') else '+' + value}" for name, value in open_ones)


def clock(ns: int) -> str:
    """The local time of day of a UNIX time in nanoseconds, to the millisecond."""
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def day(ns: int) -> str:
    """The UTC date of a UNIX time in nanoseconds."""
    return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d}"


def second(ns: int) -> str:
    """A UNIX time in nanoseconds to the second, in UTC."""
    return moment(datetime.fromtimestamp(ns // 1_000_000_000, UTC))


def moment(at: datetime | None) -> str:
    """A time to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if at else ""


def number(value: object) -> str:
    """A parameter's value; a long fraction is cut to ten digits."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _is_open(value: str) -> bool:
    try:
        return Decimal(value) != 0
    except InvalidOperation:
        return True
