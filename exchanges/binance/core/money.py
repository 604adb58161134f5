"""What a fill does to a position and a wallet, and what margin is free. All amounts in USDT, all positions signed."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from exchanges.binance.core.state import ZERO, Account, Order, Position

TAKER, MAKER = Decimal("0.0005"), Decimal("0.0002")
CENT = Decimal("0.00000001")  # the smallest amount that the venue books
MAINTENANCE = Decimal("0.005")
LEVERAGE = 20
# The notional a position may have at a leverage, the highest leverage first.
BRACKETS = (
    (125, Decimal(300_000)),
    (100, Decimal(2_000_000)),
    (50, Decimal(10_000_000)),
    (20, Decimal(50_000_000)),
)


def book_fill(position: Position, signed: Decimal, price: Decimal, now_ms: int) -> Decimal:
    """Adds a fill of `signed` contracts to a position, and returns the profit that it realizes."""
    held = position.amount
    closed = min(abs(held), abs(signed)) if held * signed < 0 else ZERO
    realized = closed * (price - position.entry) * (1 if held > 0 else -1)
    position.amount = held + signed
    position.updated_ms = now_ms
    if position.amount == 0:
        position.entry = ZERO
    elif held * signed < 0:
        position.entry = price if abs(signed) > abs(held) else position.entry
    else:
        position.entry = (abs(held) * position.entry + abs(signed) * price) / abs(position.amount)
    if held == 0 or held * position.amount < 0:
        position.since_ms = now_ms
    return realized.quantize(CENT)


def fee(qty: Decimal, price: Decimal, *, maker: bool) -> Decimal:
    """The fee of a fill."""
    return (qty * price * (MAKER if maker else TAKER)).quantize(CENT)


def unrealized(positions: Iterable[Position], marks: Mapping[str, Decimal]) -> Decimal:
    """What closing `positions` at their marks would realize."""
    return sum((p.amount * (marks[p.symbol] - p.entry) for p in positions), ZERO)


def leverage(account: Account, symbol: str) -> int:
    """The leverage set for a symbol, 20 if none was."""
    return account.leverage.get(symbol, LEVERAGE)


def position_margin(account: Account, marks: Mapping[str, Decimal]) -> Decimal:
    """The initial margin of all positions."""
    return sum(
        (abs(p.amount) * marks[p.symbol] / leverage(account, p.symbol) for p in account.positions.values()),
        ZERO,
    )


def order_margin(account: Account, orders: Iterable[Order]) -> Decimal:
    """The initial margin of open orders, as if each opened a position."""
    return sum((o.left * o.price / leverage(account, o.symbol) for o in orders if not o.reduce_only), ZERO)


def maintenance_margin(account: Account, marks: Mapping[str, Decimal]) -> Decimal:
    """Below this much equity, positions are closed by the venue."""
    return sum((abs(p.amount) * marks[p.symbol] * MAINTENANCE for p in account.positions.values()), ZERO)


def free_margin(account: Account, orders: Iterable[Order], marks: Mapping[str, Decimal]) -> Decimal:
    """What may be used to open more: equity less the margin of positions and open orders."""
    equity = account.wallet + unrealized(account.positions.values(), marks)
    return equity - position_margin(account, marks) - order_margin(account, orders)


def opening_qty(position: Position, side_sign: int, qty: Decimal) -> Decimal:
    """How much of an order would open or add, once it has closed what stands against it."""
    against = abs(position.amount) if position.amount * side_sign < 0 else ZERO
    return max(ZERO, qty - against)


def reducible(position: Position, side_sign: int) -> Decimal:
    """How much an order of that side could close."""
    return abs(position.amount) if position.amount * side_sign < 0 else ZERO


def most_notional(leverage: int) -> Decimal:
    """The notional a position may have at a leverage."""
    return max(most for highest, most in BRACKETS if highest >= leverage)
