"""All that the exchange remembers, and that a state file keeps."""

from decimal import Decimal

import msgspec

from exchanges.core.book import Side

ZERO = Decimal(0)
OPEN = ("live", "partially_filled")


def plain(value: Decimal) -> str:
    """A number as the venue writes it: no exponent, no zeros at its end."""
    return f"{value.normalize():f}" if value else "0"


class Instrument(msgspec.Struct, kw_only=True):
    """A swap: its rules, and where it stands. Quantities are contracts of `contract` units of the base currency each.

    `level` is what its price path moves about, `size` the market's quantity at the touch, `code` the venue's number for it.
    """

    name: str
    code: int
    level: Decimal
    tick: Decimal
    step: Decimal
    size: Decimal
    contract: Decimal
    max_limit: Decimal = Decimal(100_000)
    max_market: Decimal = Decimal(10_000)
    max_leverage: int = 100
    funding_rate: Decimal = Decimal("0.0001")
    status: str = "live"

    @property
    def family(self) -> str:
        """Base and quote, as in BTC-USDT: the name of the index too."""
        return self.name.removesuffix("-SWAP")

    @property
    def base(self) -> str:
        return self.name.partition("-")[0]

    def text(self, price: Decimal) -> str:
        """A price with the tick's decimals. One of before a change of the tick stays what it was."""
        return f"{price.quantize(self.tick):f}" if price % self.tick == 0 else plain(price)


class Position(msgspec.Struct, kw_only=True):
    """A net position of one account. `amount` is in contracts, signed; `entry` its average price; `since_ms` when it was last opened from nothing."""

    id: int
    instrument: str
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    updated_ms: int = 0
    since_ms: int = 0
    realized: Decimal = ZERO
    fee: Decimal = ZERO
    funding: Decimal = ZERO
    trade_id: int = 0


class Order(msgspec.Struct, kw_only=True):
    """An order of the matching engine. `price` is 0 for a market order, `turn` its place in the book, times are Unix milliseconds."""

    id: int
    account: str
    client_id: str
    instrument: str
    side: Side
    type: str
    qty: Decimal
    price: Decimal
    time_ms: int
    updated_ms: int
    turn: int
    mode: str = "cross"
    tag: str = ""
    reduce_only: bool = False
    category: str = "normal"
    status: str = "live"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    realized: Decimal = ZERO
    algo_id: int = 0
    algo_client_id: str = ""
    cancel_source: str = ""
    last_trade: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        return self.qty - self.filled

    @property
    def average(self) -> Decimal:
        return self.cost / self.filled if self.filled else ZERO


class Algo(msgspec.Struct, kw_only=True):
    """A conditional order: it becomes an order of the matching engine (`order_id`) when its price is reached.

    `price` 0 is a market order, `rises` whether the price has to come from below, `extreme` the best price that a trailing one has seen since `activated`.
    `field` says by which of the venue's parameters the trigger was sent: triggerPx, slTriggerPx, tpTriggerPx, or empty for a trailing one.
    """

    id: int
    account: str
    client_id: str
    instrument: str
    side: Side
    type: str
    field: str
    qty: Decimal
    price: Decimal
    trigger: Decimal
    rises: bool
    time_ms: int
    updated_ms: int
    watched: str = "last"
    mode: str = "cross"
    tag: str = ""
    reduce_only: bool = False
    ratio: Decimal = ZERO
    spread: Decimal = ZERO
    activate: Decimal = ZERO
    activated: bool = False
    extreme: Decimal = ZERO
    status: str = "live"
    order_id: int = 0
    triggered_ms: int = 0

    @property
    def is_open(self) -> bool:
        return self.status == "live"


class Trade(msgspec.Struct, kw_only=True, frozen=True):
    """A fill of one order. `qty` is in contracts, `fee` (positive is paid) and `realized` are in USDT."""

    id: int
    order_id: int
    account: str
    instrument: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    realized: Decimal
    maker: bool
    time_ms: int


class Bill(msgspec.Struct, kw_only=True, frozen=True):
    """A change of a balance that is no fill: TRANSFER or FUNDING."""

    id: int
    account: str
    kind: str
    amount: Decimal
    time_ms: int
    instrument: str = ""


class Account(msgspec.Struct, kw_only=True):
    """An account with its key. `wallet` is deposits + realized - fees ± funding, in USDT."""

    name: str
    key: str
    secret: str
    passphrase: str
    wallet: Decimal = ZERO
    can_trade: bool = True
    positions: dict[str, Position] = {}
    leverage: dict[str, int] = {}

    def held(self, instrument: str | None = None) -> list[Position]:
        """What is not flat, in one instrument if it is given."""
        return [p for p in self.positions.values() if p.amount and instrument in (None, p.instrument)]


class State(msgspec.Struct, kw_only=True):
    """The whole exchange. `next_id` is the next id of an order, a trade or an update: they only grow."""

    seed: int
    next_id: int
    instruments: dict[str, Instrument]
    accounts: dict[str, Account]
    orders: dict[int, Order] = {}
    algos: dict[int, Algo] = {}
    trades: dict[int, Trade] = {}
    bills: list[Bill] = []
    funded_ms: int = 0
