"""What a simulation consists of beside its strategy and its data: components of NautilusTrader, and how each venue behaves.

Every field that is left out is NautilusTrader's default, or what the backtest as a whole has. Amounts of money are text (`0.5 BTC`).
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import VERSION_PATTERN, InstrumentId

NO_CURRENCY: Final = "none"
"""Instead of a base currency: the account keeps every currency for itself."""

ClassPath: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}\Z", description="`module:Class`.")
]
ComponentPath: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z_][\w.]{0,200}(?:@"
        + VERSION_PATTERN.removeprefix(r"\A").removesuffix(r"\Z")
        + r")?:[A-Za-z_]\w{0,100}\Z",
        description="`module:Class`; a class of a package by the package's name, `mine:MyActor`, of one version `mine@2:MyActor`.",
    ),
]
AmountOfMoney: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9]{1,15}(?:\.[0-9]{1,16})? [A-Z][A-Z0-9]{2,9}\Z",
        description="An amount and a currency: `100000 USDT`.",
    ),
]
AccountCurrency: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A(?:none|[A-Z][A-Z0-9]{2,9})\Z", description="A currency's code, or `none`."),
]
Leverage: TypeAlias = Annotated[float, Meta(ge=1, le=1000)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Milliseconds: TypeAlias = Annotated[float, Meta(ge=0, le=60_000)]


class ComponentChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What runs beside strategies, or a model of a venue: its class, its config class (else the same with `Config` behind), its config.

    Of a package's class the config class is known: `config_path` is left out, and `config` is checked as parameters of a strategy are.
    """

    path: ComponentPath
    config_path: ClassPath | None = None
    config: dict[str, Any] = {}


class CustomDataChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of the catalog of a class that is not NautilusTrader's: `path` is the class, of a package by the package's name (`mine:News`).

    `client_id` is the client that they come from; without it that of the first venue.
    """

    path: ComponentPath
    client_id: Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_-]{0,62}\Z")] | None = None


class VenueFillModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of NautilusTrader's fill models by its class, seeded by the backtest's `seed`.

    `prob_fill_on_limit` is the chance that a limit order fills whose price is touched and not crossed, `prob_slippage` the chance that a
    taker slips by one tick. Models that make an order book of their own decide by that book what a taker pays.
    """

    name: Literal[
        "FillModel",
        "BestPriceFillModel",
        "OneTickSlippageFillModel",
        "TwoTierFillModel",
        "ThreeTierFillModel",
        "ProbabilisticFillModel",
        "SizeAwareFillModel",
        "LimitOrderPartialFillModel",
    ] = "FillModel"
    prob_fill_on_limit: Share = 1.0
    prob_slippage: Share = 0.0


class VenueLatency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a command takes to the venue, in milliseconds: `base_ms`, and what is added to it for each kind of command."""

    base_ms: Milliseconds = 0.0
    insert_ms: Milliseconds = 0.0
    update_ms: Milliseconds = 0.0
    cancel_ms: Milliseconds = 0.0


class VenueFees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fill costs.

    `maker_taker` are the shares of the notional value that the instrument says, `fixed` is `commission` per order (per fill with
    `charge_once` false), `per_contract` is `commission` for each unit filled.
    """

    kind: Literal["maker_taker", "fixed", "per_contract"] = "maker_taker"
    commission: AmountOfMoney | None = None
    charge_once: bool = True

    def __post_init__(self) -> None:
        if (self.kind == "maker_taker") != (self.commission is None):
            raise ValueError("`commission` goes with `fixed` and `per_contract`, which need it")
        if not self.charge_once and self.kind != "fixed":
            raise ValueError("`charge_once` counts with `fixed` only")


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one venue of a backtest simulates, as NautilusTrader's BacktestVenueConfig has it.

    Its `liquidation_…` fields are not here: NautilusTrader 1.231.0 reads them and hands them on to nothing.

    What is null or left out of the first block is what the backtest has for all of its venues.

    - `account_type`: MARGIN, or CASH, which pays for what it buys in full.
    - `base_currency`: what the account is kept in; `none` keeps every currency for itself. Left out with `starting_balances` it is the currency of
      the one balance, and `none` where there are several.
    - `starting_balances`: what the account begins with, in place of the backtest's `initial_balance`: one amount in the base currency, or one of
      each currency with `none`.
    - `oms_type`: NETTING has one position per instrument and strategy, HEDGING one per order that opens.
    - `default_leverage`, and `leverages` by instrument: of MARGIN accounts.
    - `fill_model`, `latency`, `fees`: see there.
    - `own_fill_model`, `own_latency`, `own_fees`, `own_margin_model`: a model of one's own in the place of NautilusTrader's.

    - `margin_model`: `leveraged` divides margins by the leverage, `standard` does not.
    - `book_type`: what the venue's order book is made of. L1_MBP are quotes, trades and bars; the other two need order book data.
    - `modules`: simulation modules of this venue, such as `nautilus_trader.backtest.modules:FXRolloverInterestModule`.
    - `routing`: the venue's client takes orders for all venues that have none.
    - `reject_stop_orders`: a stop order whose trigger is in the market already is rejected, else triggered.
    - `support_gtd_orders`: the venue lets orders expire at their time; else that is left to the strategy.
    - `support_contingent_orders`: the venue follows OTO, OCO and OUO; else the strategy does.
    - `oto_trigger_mode`: children of an OTO order are released with each partial fill (PARTIAL), or once it is filled (FULL).
    - `use_position_ids`: the venue gives positions ids. `use_random_ids`: its order and position ids are random, and other ones each run.
    - `use_reduce_only`: reduce-only orders never open or turn a position.
    - `use_market_order_acks`: market orders are accepted before they fill.
    - `bar_execution`, `trade_execution`: bars, or trades, move the simulated market.
    - `bar_adaptive_high_low_ordering`: of a bar's high and low that which is nearer to its open comes first; else the high. Needs `bar_execution`.
    - `liquidity_consumption`: fills take away what is at a price until new data comes; else every order finds all of it.
    - `queue_position`: a limit order fills once what was ahead of it at its price is traded. Needs `trade_execution`, and trades.
    - `allow_cash_borrowing`: balances of a CASH account may be negative. `frozen_account`: balances never change.
    - `price_protection_points`: ticks beyond the best price at which a taker's order stops filling; 0 for no such bound.
    - `settlement_prices`: by instrument, at which positions are closed when it expires; else at the market.
    """

    account_type: Literal["MARGIN", "CASH"] | None = None
    base_currency: AccountCurrency | None = None
    starting_balances: Annotated[tuple[AmountOfMoney, ...], Meta(max_length=64)] = ()
    oms_type: Literal["NETTING", "HEDGING"] | None = None
    default_leverage: Leverage | None = None
    leverages: Annotated[dict[InstrumentId, Leverage], Meta(max_length=64)] = {}
    fill_model: VenueFillModel | None = None
    latency: VenueLatency | None = None
    fees: VenueFees | None = None

    margin_model: Literal["leveraged", "standard"] = "leveraged"
    book_type: Literal["L1_MBP", "L2_MBP", "L3_MBO"] = "L1_MBP"
    modules: Annotated[tuple[ComponentChoice, ...], Meta(max_length=16)] = ()
    routing: bool = False
    reject_stop_orders: bool = True
    support_gtd_orders: bool = True
    support_contingent_orders: bool = True
    oto_trigger_mode: Literal["PARTIAL", "FULL"] = "PARTIAL"
    use_position_ids: bool = True
    use_random_ids: bool = False
    use_reduce_only: bool = True
    use_market_order_acks: bool = False
    bar_execution: bool = True
    bar_adaptive_high_low_ordering: bool = False
    trade_execution: bool = True
    liquidity_consumption: bool = False
    queue_position: bool = False
    allow_cash_borrowing: bool = False
    frozen_account: bool = False
    price_protection_points: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    settlement_prices: Annotated[
        dict[InstrumentId, Annotated[float, Meta(gt=0, le=1e15)]], Meta(max_length=64)
    ] = {}
    own_fill_model: ComponentChoice | None = None
    own_latency: ComponentChoice | None = None
    own_fees: ComponentChoice | None = None
    own_margin_model: ComponentChoice | None = None


OWN_MODELS: Final = ("own_fill_model", "own_latency", "own_fees", "own_margin_model")
PLAIN: Final = (
    "book_type",
    "routing",
    "reject_stop_orders",
    "support_gtd_orders",
    "support_contingent_orders",
    "oto_trigger_mode",
    "use_position_ids",
    "use_random_ids",
    "use_reduce_only",
    "use_market_order_acks",
    "bar_execution",
    "bar_adaptive_high_low_ordering",
    "trade_execution",
    "liquidity_consumption",
    "queue_position",
    "allow_cash_borrowing",
    "frozen_account",
    "price_protection_points",
    "settlement_prices",
)
"""The settings that NautilusTrader has under the same name, with the same values and defaults."""
