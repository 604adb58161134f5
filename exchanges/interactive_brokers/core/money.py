"""What a fill does to a position and an account, what it costs, and what margin it needs. Amounts in USD, positions signed."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from exchanges.core.book import Side
from exchanges.interactive_brokers.core.state import ZERO, Account, Contract, Order, Position

CENT = Decimal("0.00000001")  # the smallest amount that is booked
STOCK_FEE, STOCK_LEAST = Decimal("0.005"), Decimal(1)  # a share, an order
FUTURE_FEE = Decimal("2.25")  # a contract
CASH_FEE, CASH_LEAST = Decimal("0.00002"), Decimal(2)  # of the value, an order
INITIAL = {"STK": Decimal("0.5"), "FUT": Decimal("0.05"), "CASH": Decimal("0.03")}
MAINTENANCE = {"STK": Decimal("0.25"), "FUT": Decimal("0.045"), "CASH": Decimal("0.025")}

type Prices = Mapping[int, Decimal]
"""The price of each contract, by its id."""


def book_fill(position: Position, contract: Contract, signed: Decimal, price: Decimal) -> Decimal:
    """Adds a fill of `signed` contracts to a position, and returns the profit that it realizes."""
    held = position.amount
    closed = min(abs(held), abs(signed)) if held * signed < 0 else ZERO
    paid = signed * price * contract.multiplier
    realized = ZERO
    if closed:
        released = (
            position.cost if closed == abs(held) else (position.cost * closed / abs(held)).quantize(CENT)
        )
        realized = -(closed * (1 if signed > 0 else -1) * price * contract.multiplier) - released
    position.amount = held + signed
    position.cost += paid + realized
    return realized


def fee(order: Order, contract: Contract, qty: Decimal, price: Decimal) -> Decimal:
    """The commission of a fill of an order: its least is taken once, with the first fill."""
    if contract.kind == "FUT":
        return FUTURE_FEE * qty
    value = order.paid + qty * price
    if contract.kind == "CASH":
        whole = max(CASH_LEAST, (value * CASH_FEE).quantize(CENT))
    else:
        whole = max(STOCK_LEAST, STOCK_FEE * (order.filled + qty))
    return whole - order.fees


class Funds(msgspec.Struct, frozen=True):
    """What an account is worth at some prices. `value` is of what has been paid for, so that equity = cash + value + unrealized of futures."""

    cash: Decimal
    value: Decimal
    equity: Decimal
    gross: Decimal
    initial: Decimal
    maintenance: Decimal

    @property
    def available(self) -> Decimal:
        return self.equity - self.initial


def funds(account: Account, contracts: Mapping[int, Contract], prices: Prices) -> Funds:
    """What an account is worth at `prices`."""
    cash, value, unrealized = account.wallet, ZERO, ZERO
    gross = initial = maintenance = ZERO
    for position in account.positions.values():
        contract = contracts[position.con_id]
        worth = position.amount * prices[position.con_id] * contract.multiplier
        unrealized += worth - position.cost
        if not contract.is_future:
            cash, value = cash - position.cost, value + worth
        gross += abs(worth)
        initial += abs(worth) * INITIAL[contract.kind]
        maintenance += abs(worth) * MAINTENANCE[contract.kind]
    return Funds(cash, value, account.wallet + unrealized, gross, initial, maintenance)


def opening_qty(position: Position, side: Side, qty: Decimal) -> Decimal:
    """How much of an order would open or add, once it has closed what stands against it."""
    against = abs(position.amount) if position.amount * side.sign < 0 else ZERO
    return max(ZERO, qty - against)
