"""All that the gateway remembers, and that a state file keeps."""

from decimal import Decimal

import msgspec

from exchanges.core.book import Side

ZERO = Decimal(0)
OPEN = ("PreSubmitted", "Submitted")


class Contract(msgspec.Struct, kw_only=True):
    """What can be traded. `level` is what its price path moves about, `size` the market's quantity at the touch."""

    con_id: int
    symbol: str
    kind: str
    exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    long_name: str
    level: Decimal
    tick: Decimal
    step: Decimal
    size: Decimal
    multiplier: Decimal = Decimal(1)
    expiry: str = ""
    isin: str = ""
    halted: bool = False

    @property
    def is_future(self) -> bool:
        return self.kind == "FUT"

    @property
    def exchanges(self) -> tuple[str, ...]:
        """Where it is traded: stocks by SMART routing too."""
        return ("SMART", self.exchange) if self.kind == "STK" else (self.exchange,)

    @property
    def multiplier_text(self) -> str:
        return f"{self.multiplier:f}" if self.is_future else ""


class Position(msgspec.Struct, kw_only=True):
    """A position of one account: `amount` is signed, `cost` what was paid for it, signed like it, multiplier included."""

    con_id: int
    amount: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        """The average cost of one, multiplier included, as Interactive Brokers says it."""
        return self.cost / self.amount if self.amount else ZERO


class Order(msgspec.Struct, kw_only=True):
    """An order. `id` is unique within its `client` only, `perm_id` everywhere; one made by hand has client and id 0. `turn` is its place in the book, `held` whether it waits for its parent to be filled."""

    perm_id: int
    id: int
    client: int
    account: str
    con_id: int
    side: Side
    qty: Decimal
    type: str
    tif: str
    ref: str
    time_ms: int
    turn: int
    exchange: str = ""
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
    status: str = "Submitted"
    held: bool = False
    triggered: bool = False
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    last: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        return self.qty - self.filled

    @property
    def average(self) -> Decimal:
        """The average price of its fills, to eight decimals."""
        return round(self.paid / self.filled, 8) if self.filled else ZERO


class Fill(msgspec.Struct, kw_only=True, frozen=True):
    """An execution. `fee` and `realized` are in the contract's currency; `total` is what the order had filled then, `average` at what price."""

    number: int
    perm_id: int
    order_id: int
    client: int
    account: str
    con_id: int
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    realized: Decimal
    total: Decimal
    average: Decimal
    ref: str
    maker: bool
    time_ms: int

    @property
    def exec_id(self) -> str:
        return f"0000e0d5.{self.number:08x}.01.01"


class Account(msgspec.Struct, kw_only=True):
    """An account. `wallet` is deposits + realized - fees in USD; `cash` is what is left of it when what is held has been paid."""

    name: str
    deposits: Decimal = ZERO
    wallet: Decimal = ZERO
    positions: dict[int, Position] = {}

    def position(self, con_id: int) -> Position:
        """The position in a contract, flat if there never was one."""
        return self.positions.setdefault(con_id, Position(con_id=con_id))


class State(msgspec.Struct, kw_only=True):
    """The whole gateway. `next_number` is the next permanent id, turn or execution; `next_order` the next order id of each client."""

    seed: int
    next_number: int
    contracts: dict[int, Contract]
    accounts: dict[str, Account]
    orders: dict[int, Order] = {}
    fills: list[Fill] = []
    next_order: dict[int, int] = {}
