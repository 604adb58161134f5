"""Backtests: what a trial runs, how far it is, and what came of it.

Prices and quantities are decimal strings as NautilusTrader prints them; shares and ratios are plain numbers (0.12 is 12 %), null where
they are not defined; times that end in `_ns` are UNIX nanoseconds.
"""

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas.ids import InstrumentId
from schemas.telemetry import Fill, OrderUpdate

MAX_CURVE_POINTS: Final = 1_000
"""How many regular moments of a run its equity curve has at most."""


class DataKind(StrEnum):
    """The kinds of market data that a catalog holds."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"


class TrialData(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One data set of the catalog: a bar type, or an instrument's quotes or trades."""

    kind: DataKind
    identifier: Annotated[str, Meta(min_length=3, max_length=200)]


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of BacktestEngine: plain configs that NautilusTrader's own classes parse, unknown keys refused.

    `engine` is a BacktestEngineConfig without its strategies, each of `venues` a BacktestVenueConfig, each of `strategies` an
    ImportableStrategyConfig. The run is over events from `start_ns` to `end_ns`, both included.
    """

    engine: dict[str, Any] = {}
    venues: tuple[dict[str, Any], ...]
    data: tuple[TrialData, ...]
    instruments: tuple[InstrumentId, ...]
    strategies: tuple[dict[str, Any], ...]
    start_ns: int
    end_ns: int


class TrialProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a trial is: events done of those there are, and the simulated time that was reached."""

    events: int
    total: int
    simulated_ns: int
    events_per_s: float
    remaining_s: float | None = None

    @property
    def percent(self) -> float:
        """0 to 100, by simulated events done."""
        return 100.0 * self.events / self.total if self.total else 100.0


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the REST contract, all by NautilusTrader's own statistics; money is in the account's currency."""

    total_return: float | None
    annualized_return: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    volatility: float | None
    total_trades: int
    winning_trades: int
    losing_trades: int
    average_win: float | None
    average_loss: float | None
    largest_win: float | None
    largest_loss: float | None
    calmar_ratio: float | None


class ClosedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A position from its opening to its close."""

    trade_id: str
    instrument_id: str
    strategy_id: str
    side: str
    quantity: str
    entry_price: float
    exit_price: float
    entry_time_ns: int
    exit_time_ns: int
    pnl: str
    commission: str
    currency: str

    @property
    def duration_s(self) -> float:
        """Simulated seconds."""
        return (self.exit_time_ns - self.entry_time_ns) / 1e9


class EquityPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Balance and unrealized profit at a moment of simulated time; `drawdown` is the share lost since the highest equity."""

    at_ns: int
    equity: float
    balance: float
    unrealized_pnl: float
    drawdown: float


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a trial gave, in the order in which it happened.

    `orders` are as they stood at the end. `statistics` are NautilusTrader's own by name, per currency and of the returns. `fees`
    are sums per currency. `elapsed_s` is wall time.
    """

    currency: str
    metrics: Metrics
    trades: tuple[ClosedTrade, ...]
    orders: tuple[OrderUpdate, ...]
    fills: tuple[Fill, ...]
    equity_curve: tuple[EquityPoint, ...]
    statistics: dict[str, dict[str, float | None]]
    balances: dict[str, str]
    fees: dict[str, str]
    events: int
    elapsed_s: float
