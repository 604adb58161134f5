"""All that the exchange remembers, and that a state file keeps."""

from decimal import Decimal

import msgspec

from exchanges.core.book import Side

ZERO = Decimal(0)
OPEN = ("NEW", "PARTIALLY_FILLED")


class Symbol(msgspec.Struct, kw_only=True):
    """A perpetual contract: its filters, and where it stands. `level` is what its price path moves about, `size` the market's quantity at the touch."""

    name: str
    level: Decimal
    tick: Decimal
    step: Decimal
    size: Decimal
    price_precision: int
    quantity_precision: int
    min_notional: Decimal = Decimal(5)
    max_qty: Decimal = Decimal(1000)
    max_price: Decimal = Decimal(4529764)
    max_leverage: int = 125
    max_notional: Decimal = Decimal(10_000_000)
    funding_rate: Decimal = Decimal("0.0001")
    status: str = "TRADING"

    @property
    def base(self) -> str:
        return self.name.removesuffix("USDT")

    def text(self, price: Decimal) -> str:
        """A price with the tick's decimals: adapters take a precision from the text. One of before a change of the tick stays what it was."""
        return f"{price.quantize(self.tick):f}" if price % self.tick == 0 else f"{price.normalize():f}"

    def amount(self, qty: Decimal) -> str:
        """A quantity with the step's decimals; one of before a change of the step stays what it was."""
        return f"{qty.quantize(self.step):f}" if qty % self.step == 0 else f"{qty.normalize():f}"


class Position(msgspec.Struct, kw_only=True):
    """A position of one account. `amount` is signed; `entry` its average price; `since_ms` when it was last opened from nothing."""

    symbol: str
    side: str = "BOTH"
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    updated_ms: int = 0
    since_ms: int = 0


class Order(msgspec.Struct, kw_only=True):
    """An order of the matching engine. `price` is 0 for a market order, `turn` its place in the book, times are Unix milliseconds."""

    id: int
    account: str
    client_id: str
    symbol: str
    side: Side
    type: str
    orig_type: str
    tif: str
    qty: Decimal
    price: Decimal
    time_ms: int
    updated_ms: int
    turn: int
    reduce_only: bool = False
    close_position: bool = False
    position_side: str = "BOTH"
    stop_price: Decimal = ZERO
    working_type: str = "CONTRACT_PRICE"
    good_till_ms: int = 0
    status: str = "NEW"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    algo_id: int = 0

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
    """A conditional order: it becomes an order of the matching engine (`order_id`) when its price is reached. `extreme` is the best price a trailing one has seen since `activated`."""

    id: int
    account: str
    client_id: str
    symbol: str
    side: Side
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    trigger: Decimal
    time_ms: int
    updated_ms: int
    callback: Decimal = ZERO
    activate: Decimal = ZERO
    activated: bool = False
    extreme: Decimal = ZERO
    reduce_only: bool = False
    close_position: bool = False
    position_side: str = "BOTH"
    working_type: str = "CONTRACT_PRICE"
    good_till_ms: int = 0
    status: str = "NEW"
    order_id: int = 0
    triggered_ms: int = 0

    @property
    def is_open(self) -> bool:
        return self.status == "NEW"

    @property
    def is_alive(self) -> bool:
        return self.status in ("NEW", "TRIGGERED")


class Trade(msgspec.Struct, kw_only=True, frozen=True):
    """A fill of one order. `fee` and `realized` are in USDT."""

    id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    position_side: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    realized: Decimal
    maker: bool
    time_ms: int


class Income(msgspec.Struct, kw_only=True, frozen=True):
    """A change of a wallet that is no fill: TRANSFER or FUNDING_FEE."""

    id: int
    account: str
    kind: str
    amount: Decimal
    time_ms: int
    symbol: str = ""


class Account(msgspec.Struct, kw_only=True):
    """An account with its key. `wallet` is deposits + realized - fees ± funding, in USDT."""

    name: str
    key: str
    secret: str
    wallet: Decimal = ZERO
    can_trade: bool = True
    hedge: bool = False
    positions: dict[str, Position] = {}
    leverage: dict[str, int] = {}
    margin_type: dict[str, str] = {}
    listen_key: str = ""
    listen_until_ms: int = 0

    def position(self, symbol: str, side: str = "BOTH") -> Position:
        """The position in `symbol`, flat if there never was one."""
        return self.positions.setdefault(f"{symbol}:{side}", Position(symbol=symbol, side=side))

    def held(self, symbol: str) -> list[Position]:
        """What is not flat in `symbol`."""
        return [
            position for position in self.positions.values() if position.symbol == symbol and position.amount
        ]


class State(msgspec.Struct, kw_only=True):
    """The whole exchange. `next_id` is the next id of an order, a trade or an update: they only grow."""

    seed: int
    next_id: int
    symbols: dict[str, Symbol]
    accounts: dict[str, Account]
    orders: dict[int, Order] = {}
    algos: dict[int, Algo] = {}
    trades: list[Trade] = []
    incomes: list[Income] = []
    funded_ms: int = 0
