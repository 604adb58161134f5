"""The table of common instruments that comes with Flotilla, and what an id or a root finds in it."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.typed import moment_ns
from flotilla.schemas.instrument import CommonInstrument
from flotilla.schemas.instrument_classes import FIELDS

_FILE: Final = Path(__file__).with_name("common_instruments.csv")
_FLAGS: Final = ("is_root", "is_of_month")
_MONTHS: Final = "FGHJKMNQUVXZ"
_CONTRACT: Final = re.compile(rf"\A([A-Z0-9]+?)([{_MONTHS}])(\d{{1,2}}|\d{{4}})\Z")
_THIRD_FRIDAY: Final = "third-friday 08:30 America/Chicago"
_JUNETEENTH_SINCE: Final = 2022


@cache
def rows() -> tuple[CommonInstrument, ...]:
    """Every row, in the order of the file."""
    with _FILE.open(newline="") as file:
        return tuple(_row(line) for line in csv.DictReader(file))


def _row(line: dict[str, str]) -> CommonInstrument:
    given: dict[str, object] = {name: text for name, text in line.items() if text and name not in FIELDS}
    given |= {name: True for name in _FLAGS if line[name]}
    given["fields"] = {
        name: text == "true" if name == "is_inverse" else text
        for name, text in line.items()
        if text and name in FIELDS
    }
    return msgspec.convert(given, CommonInstrument)


class Found(NamedTuple):
    """A row, and for a future the contract month's letter and the digits of its year, where the name has them."""

    row: CommonInstrument
    month: str = ""
    year: str = ""


def find(name: str) -> Found | None:
    """The row of an id, of a symbol at any venue (`EUR/USD.SIM`, `EURUSD.SIM`, `ESH4.GLBX`), or of a root (`ES`)."""
    symbol = name.rpartition(".")[0] if "." in name else name
    contract = _CONTRACT.match(symbol)
    for row in rows():
        if row.is_root:
            if name == row.key:
                return Found(row)
            if contract and contract[1] == row.key and contract[2] in row.months:
                return Found(row, contract[2], contract[3])
        elif name == row.key or ("." not in row.key and symbol in (row.key, row.key.replace("/", ""))):
            return Found(row)
    return None


class Contract(NamedTuple):
    """A future's contract: its id, and when it expires, as an ISO day or moment."""

    instrument_id: str
    expires: str


def contract(found: Found, name: str, expiry: str | None) -> Contract:
    """The contract of a future's row that is meant by a root with `expiry` (a month, day or moment), or by an id.

    Raises ImportRefusedError where the two do not tell, or contradict each other.
    """
    row, expires = found.row, last_moment(found.row, expiry)
    if found.month:
        _check_month(found, name, expires)
        return Contract(name, expires)
    if not row.is_of_month:
        raise ImportRefusedError(
            f"{row.key} does not expire in its contract's month: name the contract, such as {row.key}H4.{row.venue}"
        )
    month = _MONTHS[int(expires[5:7]) - 1]
    if month not in row.months:
        raise ImportRefusedError(
            f"expiration_ns {expiry} (--expiry): {row.key} has no contract of that month"
        )
    return Contract(f"{row.key}{month}{expires[3]}.{row.venue}", expires)


def last_moment(row: CommonInstrument, expiry: str | None) -> str:
    """When contracts of a future's row expire that do so at `expiry`: a month by its rule, anything else as it is."""
    if expiry is None:
        raise ImportRefusedError(f"expiration_ns must be given (--expiry): {_how(row)}")
    expires = _by_rule(row, expiry) if is_month(expiry) else expiry
    moment_ns("expiration_ns", expires, is_end=True)
    return expires


def is_month(expiry: str) -> bool:
    """True for `2024-03`, which only the rule of a row makes a moment of."""
    return re.fullmatch(r"\d{4}-\d\d", expiry) is not None


def _how(row: CommonInstrument) -> str:
    return "a month, such as 2024-03, or a day" if row.expires else "the last day of trading"


def _check_month(found: Found, name: str, expires: str) -> None:
    month = _MONTHS[int(expires[5:7]) - 1]
    if found.row.is_of_month and (month != found.month or not expires[:4].endswith(found.year)):
        raise ImportRefusedError(f"expiration_ns {expires} (--expiry) is not in the contract month of {name}")


def _by_rule(row: CommonInstrument, month: str) -> str:
    if row.expires != _THIRD_FRIDAY:
        raise ImportRefusedError(
            f"expiration_ns {month} (--expiry): which day {row.key} expires follows a calendar of holidays; give the day, such as {month}-18"
        )
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise ImportRefusedError(f"expiration_ns {month} (--expiry) is no month") from None
    friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    if _is_holiday(friday):
        raise ImportRefusedError(f"expiration_ns {month} (--expiry): {friday} is a holiday; give the day")
    opening = datetime(friday.year, friday.month, friday.day, 8, 30, tzinfo=ZoneInfo("America/Chicago"))
    return opening.astimezone(UTC).isoformat()


def _is_holiday(friday: date) -> bool:
    """Good Friday, and 19 June since it is one: the only ones that a third Friday of a quarter's end may be."""
    juneteenth = friday.year >= _JUNETEENTH_SINCE and (friday.month, friday.day) == (6, 19)
    return juneteenth or friday + timedelta(days=2) == _easter(friday.year)


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of Nature, 1876)."""
    golden, century, rest = year % 19, year // 100, year % 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    days = moon + week - 7 * ((golden + 11 * moon + 22 * week) // 451) + 114
    return date(year, days // 31, days % 31 + 1)
