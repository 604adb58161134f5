"""An order as a client asks for it: read from the fields of placeOrder, and checked against the rules of the venue."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from exchanges.core.book import Side
from exchanges.core.prices import to_step
from exchanges.interactive_brokers.core.contracts import find, wanted
from exchanges.interactive_brokers.core.errors import Refusal
from exchanges.interactive_brokers.core.state import Contract, State

LENGTH = 115  # of placeOrder without the fields of algorithms, conditions, hedges, scales, combinations
TYPES = ("MKT", "LMT", "STP", "STP LMT", "MIT", "LIT", "TRAIL", "TRAIL LIMIT")
LIMITED = ("LMT", "STP LMT", "LIT")
TRIGGERED = ("STP", "STP LMT", "MIT", "LIT")
TIFS = ("DAY", "GTC", "IOC", "FOK", "GTD")
UNSET_ABOVE = Decimal("1e300")


class Asked(msgspec.Struct, kw_only=True):
    """An order in good form."""

    contract: Contract
    exchange: str
    side: Side
    qty: Decimal
    type: str
    tif: str = "GTC"
    account: str
    ref: str = ""
    limit: Decimal | None = None
    aux: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_stop: Decimal | None = None
    limit_offset: Decimal | None = None
    outside_rth: bool = False
    good_till: str = ""
    oca_group: str = ""
    oca_type: int = 0
    parent: int = 0
    trigger_method: int = 0
    display: str = ""


def read(fields: Sequence[str], state: State) -> Asked:
    """The order that the fields of placeOrder describe.

    Raises:
        Refusal: if it is malformed, or breaks a rule of the venue.
    """
    if len(fields) != LENGTH:
        raise Refusal(321, "algorithms, conditions, hedges, scales and combinations are not offered here")
    if fields[85] == "1":
        raise Refusal(321, "what-if orders are not offered here")
    contract = _contract(fields, state)
    try:
        asked = Asked(
            contract=contract,
            exchange=fields[9],
            side=Side(fields[16]),
            qty=Decimal(fields[17]),
            type=fields[18],
            tif=fields[21] or "DAY",
            account=fields[23] or next(iter(state.accounts)),
            ref=fields[26],
            limit=_number(fields[19]),
            aux=_number(fields[20]),
            trail_percent=_number(fields[70]),
            trail_stop=_number(fields[69]),
            limit_offset=_number(fields[93]),
            outside_rth=fields[33] == "1",
            good_till=fields[38],
            oca_group=fields[22],
            oca_type=int(fields[47] or 0),
            parent=int(fields[28] or 0),
            trigger_method=int(fields[32] or 0),
            display=fields[31],
        )
    except (ValueError, InvalidOperation):
        raise Refusal(320, "a field of the order cannot be read") from None
    _check(asked, state)
    return asked


def _contract(fields: Sequence[str], state: State) -> Contract:
    try:
        found = find(state.contracts.values(), wanted(fields, 2))
    except ValueError:
        raise Refusal(200) from None
    if len(found) != 1:
        raise Refusal(200)
    return found[0]


def _number(text: str) -> Decimal | None:
    if not text:
        return None
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return None if number > UNSET_ABOVE else number


def _check(asked: Asked, state: State) -> None:
    contract = asked.contract
    if asked.account not in state.accounts:
        raise Refusal(321, "Invalid account code")
    if asked.type not in TYPES:
        raise Refusal(387)
    if asked.tif not in TIFS:
        raise Refusal(321, f"Invalid time in force:{asked.tif}.")
    if not asked.qty.is_finite() or asked.qty <= 0:
        raise Refusal(434)
    if to_step(asked.qty, contract.step) != asked.qty:
        raise Refusal(10243)
    asked.qty = to_step(asked.qty, contract.step)  # 20.0 is 20
    if asked.tif == "GTD" and good_till_ms(asked.good_till) is None:
        raise Refusal(321, "The good till date cannot be read")
    _check_prices(asked)


def _check_prices(asked: Asked) -> None:
    """Every price must be there that the type needs, and be a multiple of the tick."""
    needed: list[tuple[str, Decimal | None]] = []
    if asked.type in LIMITED:
        needed.append(("limit price", asked.limit))
    if asked.type in TRIGGERED:
        needed.append(("stop price", asked.aux))
    if asked.type == "TRAIL LIMIT":
        needed.append(("limit price offset", asked.limit_offset))
    if asked.type.startswith("TRAIL") and not asked.trail_percent:
        needed.append(("trailing amount", asked.aux))
    if asked.type.startswith("TRAIL") and asked.trail_stop is not None:
        needed.append(("trailing stop price", asked.trail_stop))
    for name, price in needed:
        if price is None:
            raise Refusal(321, f"The {name} is missing")
        if price <= 0 or to_step(price, asked.contract.tick) != price:
            raise Refusal(110)
    if asked.type.startswith("TRAIL"):
        asked.limit = None  # it follows the stop
    elif asked.type not in LIMITED:
        asked.limit = None
    if asked.type not in TRIGGERED and not asked.type.startswith("TRAIL"):
        asked.aux = None


def good_till_ms(text: str) -> int | None:
    """The moment that a good-till date names, in Unix milliseconds; None if it is none. `YYYYMMDD HH:MM:SS UTC`, or with a hyphen and no zone."""
    for form in ("%Y%m%d %H:%M:%S UTC", "%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            continue
    return None
