"""How large an order is to be: in whole steps of the instrument, or by what it may lose."""

from decimal import Decimal
from typing import Any


def unit_value(instrument: Any, price: Decimal) -> Decimal:
    """What one unit is worth at `price`, in the currency that the instrument is settled in: of an inverse one the quote currency is counted."""
    multiplier: Decimal = instrument.multiplier.as_decimal()
    return multiplier / price if instrument.is_inverse else multiplier * price


def units_at_risk(equity: Decimal, fraction: Decimal, loss: Decimal) -> Decimal:
    """The units that lose `fraction` of `equity` when each loses `loss`."""
    return equity * fraction / loss if loss > 0 and equity > 0 else Decimal(0)


def whole_quantity(instrument: Any, units: Decimal) -> Any:
    """`units` as a quantity of the instrument, rounded down to its steps; None if the venue would not take as little.

    What is more than the venue takes in one order is cut to that.
    """
    step = instrument.size_increment.as_decimal()
    units = units // step * step
    if instrument.max_quantity is not None:
        units = min(units, instrument.max_quantity.as_decimal())
    least = step if instrument.min_quantity is None else instrument.min_quantity.as_decimal()
    return None if units < least or units <= 0 else instrument.make_qty(units)
