"""What a fill does to a position and a wallet, and what margin is free. All amounts in USDT, all positions in signed contracts."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from exchanges.okx.core.state import ZERO, Account, Instrument, Order, Position

TAKER, MAKER = Decimal("0.0005"), Decimal("0.0002")
CENT = Decimal("0.00000001")  # the smallest amount that the venue books
MAINTENANCE = Decimal("0.005")
LEVERAGE = 10

type Instruments = Mapping[str, Instrument]
type Marks = Mapping[str, Decimal]


def book_fill(position: Position, signed: Decimal, price: Decimal, contract: Decimal, now_ms: int) -> Decimal:
    """Adds a fill of `signed` contracts to a position, and returns the profit that it realizes."""
    held = position.amount
    closed = min(abs(held), abs(signed)) if held * signed < 0 else ZERO
    realized = (closed * contract * (price - position.entry) * (1 if held > 0 else -1)).quantize(CENT)
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
        position.realized = position.fee = position.funding = ZERO
    position.realized += realized
    return realized


def fee(qty: Decimal, price: Decimal, contract: Decimal, *, maker: bool) -> Decimal:
    """The fee of a fill."""
    return (qty * contract * price * (MAKER if maker else TAKER)).quantize(CENT)


def leverage(account: Account, instrument: str) -> int:
    """The leverage set for an instrument, 10 if none was."""
    return account.leverage.get(instrument, LEVERAGE)


def notional(position: Position, instruments: Instruments, marks: Marks) -> Decimal:
    """What a position is worth at its mark, whichever way it is."""
    return abs(position.amount) * instruments[position.instrument].contract * marks[position.instrument]


def unrealized(position: Position, instruments: Instruments, marks: Marks) -> Decimal:
    """What closing a position at its mark would realize."""
    per_unit = marks[position.instrument] - position.entry
    return position.amount * instruments[position.instrument].contract * per_unit


def equity(account: Account, instruments: Instruments, marks: Marks) -> Decimal:
    """The wallet with what its positions would realize."""
    return account.wallet + sum((unrealized(p, instruments, marks) for p in account.held()), ZERO)


def position_margin(account: Account, instruments: Instruments, marks: Marks) -> Decimal:
    """The initial margin of all positions."""
    held = account.held()
    return sum((notional(p, instruments, marks) / leverage(account, p.instrument) for p in held), ZERO)


def order_margin(account: Account, instruments: Instruments, orders: Iterable[Order]) -> Decimal:
    """The initial margin of open orders, as if each opened a position."""
    return sum(
        (
            o.left * o.price * instruments[o.instrument].contract / leverage(account, o.instrument)
            for o in orders
            if not o.reduce_only
        ),
        ZERO,
    )


def maintenance_margin(account: Account, instruments: Instruments, marks: Marks) -> Decimal:
    """Below this much equity, positions are closed by the venue."""
    return sum((notional(p, instruments, marks) * MAINTENANCE for p in account.held()), ZERO)


def reducible(position: Position | None, side_sign: int) -> Decimal:
    """How much an order of that side could close."""
    return abs(position.amount) if position is not None and position.amount * side_sign < 0 else ZERO
