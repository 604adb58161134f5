"""Reading the parameters of a request. Whatever is malformed is refused with the name of the parameter."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from exchanges.binance.core.errors import VenueError
from exchanges.core.book import Side

type Params = Mapping[str, str]


def text(params: Params, name: str) -> str:
    """A parameter that must be there."""
    if value := params.get(name, ""):
        return value
    raise VenueError(-1102, name)


def number(params: Params, name: str) -> Decimal:
    """A finite number that must be there."""
    try:
        value = Decimal(text(params, name))
    except InvalidOperation:
        raise VenueError(-1102, name) from None
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise VenueError(-1102, name)
    return value


def number_or_zero(params: Params, name: str) -> Decimal:
    """A finite number, 0 if it was not sent."""
    return number(params, name) if params.get(name) else Decimal(0)


def integer(params: Params, name: str) -> int | None:
    """A whole number of up to 18 digits, None if it was not sent."""
    value = params.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 18):
        raise VenueError(-1102, name)
    return int(value)


def whole(params: Params, name: str, default: int) -> int:
    """A whole number, or what stands for it if it was not sent."""
    value = integer(params, name)
    return default if value is None else value


def flag(params: Params, name: str) -> bool:
    """A truth in any capitals, false if it was not sent: the adapter sends Python's."""
    value = params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise VenueError(-1130, name)
    return value == "true"


def side(params: Params) -> Side:
    """The side of an order."""
    try:
        return Side(text(params, "side"))
    except ValueError:
        raise VenueError(-1117) from None
