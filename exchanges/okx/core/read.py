"""Reading what a request sends, by the venue's rules."""

from decimal import Decimal, InvalidOperation

from exchanges.core.book import Side
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import ZERO, Instrument
from exchanges.okx.core.venue import Params


def text(params: Params, name: str) -> str:
    """A parameter that must be there.

    Raises:
        VenueError: 50014 if it is not.
    """
    value = str(params.get(name, ""))
    if not value:
        raise VenueError(50014, name)
    return value


def whole(params: Params, name: str, default: int = 0) -> int:
    """A whole number, `default` if it was not sent.

    Raises:
        VenueError: 51000 if it is none.
    """
    value = str(params.get(name, "") or default)
    digits = value.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19:
        raise VenueError(51000, name)
    return int(value)


def number(params: Params, name: str) -> Decimal:
    """A number above 0, or 0 if it was not sent.

    Raises:
        VenueError: 51000 if it is none.
    """
    value = str(params.get(name, ""))
    if not value:
        return ZERO
    try:
        found = Decimal(value)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found <= 0 or abs(found.adjusted()) > 14 or len(value) > 30:
        raise VenueError(51000, name)
    return found


def price(params: Params, name: str, instrument: Instrument) -> Decimal:
    """A price at a multiple of the tick, 0 if it was not sent.

    Raises:
        VenueError: 51000 if it is none.
    """
    found = number(params, name)
    if found % instrument.tick:
        raise VenueError(51000, name)
    return found


def quantity(params: Params, name: str, instrument: Instrument, most: Decimal) -> Decimal:
    """A quantity in contracts.

    Raises:
        VenueError: 51000 if it is none, 51121 for a part of a lot, 51020 below the minimum, 51203 above the maximum.
    """
    found = number(params, name)
    if not found:
        raise VenueError(51000, name)
    if found < instrument.step:
        raise VenueError(51020)
    if found % instrument.step:
        raise VenueError(51121)
    if found > most:
        raise VenueError(51203, most)
    return found


def flag(params: Params, name: str) -> bool:
    """Whether something is asked for: JSON true, or the text.

    Raises:
        VenueError: 51000 if it is neither yes nor no.
    """
    value = str(params.get(name, "") or False).lower()
    if value not in ("true", "false"):
        raise VenueError(51000, name)
    return value == "true"


def side(params: Params) -> Side:
    """The side of an order.

    Raises:
        VenueError: 51000 if it is none.
    """
    value = str(params.get("side", ""))
    if value not in ("buy", "sell"):
        raise VenueError(51000, "side")
    return Side(value.upper())


def client_id(params: Params, name: str = "clOrdId") -> str:
    """An id of the client's: letters and digits, 32 at most; empty if none was sent.

    Raises:
        VenueError: 51000 if it is none.
    """
    value = str(params.get(name, ""))
    if value and not (value.isascii() and value.isalnum() and len(value) <= 32):
        raise VenueError(51000, name)
    return value


def mode(params: Params) -> str:
    """The margin mode of an order, and that it is for the net position.

    Raises:
        VenueError: 51000 if it is none that there is.
    """
    if str(params.get("posSide", "") or "net") != "net":
        raise VenueError(51000, "posSide")
    value = str(params.get("tdMode", ""))
    if value not in ("cross", "isolated"):
        raise VenueError(51000, "tdMode")
    return value
