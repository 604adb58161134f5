"""Backtests: what a trial runs, how far it is, and what came of it.

Prices and quantities are decimal strings as NautilusTrader prints them; shares and ratios are plain numbers (0.12 is 12 %), null where
they are not defined; times that end in `_ns` are UNIX nanoseconds.
"""

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from flotilla.schemas.config import StrategyChoice, VenueName
from flotilla.schemas.ids import (
    BacktestId,
    BarType,
    HostId,
    InstanceId,
    InstrumentId,
    Name,
    RequestId,
    SessionId,
    StrategyName,
    StudyId,
)
from flotilla.schemas.package import PackageChange, PackageRef
from flotilla.schemas.simulation import ComponentChoice, CustomDataChoice, VenueSettings
from flotilla.schemas.telemetry import Fill, OrderUpdate

MAX_CURVE_POINTS: Final = 1_000
"""How many regular moments of a run its equity curve has at most, beside the ends of its days."""
FIGURES_VERSION: Final = 2
"""Which definition `Metrics` have. 1: NautilusTrader's statistics of realized returns. 2: marked equity at each day's end."""
QUOTE_CURRENCY: Final = "<quote>"
"""Stands in a plan's amounts of money for the currency that its instruments are settled in, where nobody chose a base currency."""
MAX_PRICE_POINTS: Final = 1_000
"""How many prices of an instrument a result keeps at most: what a chart needs."""
MAX_PRICED: Final = 4
"""Of how many instruments, the first of a run."""
MAX_NAMED: Final = 10
"""How many positions and orders that a run left open a view names."""


class DataKind(StrEnum):
    """The kinds of market data that a catalog holds."""

    BARS = "bars"
    FUNDING_RATES = "funding_rates"
    INDEX_PRICES = "index_prices"
    INSTRUMENT_CLOSES = "instrument_closes"
    INSTRUMENT_STATUS = "instrument_status"
    MARK_PRICES = "mark_prices"
    ORDER_BOOK_DELTAS = "order_book_deltas"
    ORDER_BOOK_DEPTHS = "order_book_depths"
    QUOTES = "quotes"
    TRADES = "trades"


ORDER_BOOKS: Final = frozenset((DataKind.ORDER_BOOK_DELTAS, DataKind.ORDER_BOOK_DEPTHS))
"""What a venue's book of more than one level is made of."""
TICKS: Final = frozenset((DataKind.QUOTES, DataKind.TRADES))


class TrialData(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One data set of the catalog: a bar type, or an instrument's data of another kind."""

    kind: DataKind
    identifier: Annotated[str, Meta(min_length=3, max_length=200)]


class CustomData(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Rows of a class that is not NautilusTrader's: `path` is the class (`module:Class`), `identifier` empty where they are of no instrument.

    They come from the client `client_id`, which strategies may name when they subscribe.
    """

    path: Annotated[str, Meta(max_length=400)]
    client_id: Annotated[str, Meta(min_length=1, max_length=64)]
    identifier: Annotated[str, Meta(max_length=200)] = ""


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of BacktestEngine: plain configs that NautilusTrader's own classes parse, unknown keys refused.

    `engine` is a BacktestEngineConfig without its strategies, each of `venues` a BacktestVenueConfig, each of `strategies` an
    ImportableStrategyConfig. The run is over events from `start_ns` to `end_ns`, both included. Its days end at midnight of `timezone`
    (IANA). A venue whose balances are of QUOTE_CURRENCY counts in the currency that all instruments of the plan are settled in.
    `currency` is what results are counted in; without it that of the accounts where they have one, else that of the instruments.
    `warm_up`: requests for data before the present moment are answered from the catalog.
    `packages` are where strategies come from that are of no module of ours. `custom` is fed beside `data`. `benchmark` is the instrument that
    the run is held against, among `instruments`; null in plans of before there was one.
    """

    engine: dict[str, Any] = {}
    venues: tuple[dict[str, Any], ...]
    data: tuple[TrialData, ...]
    instruments: tuple[InstrumentId, ...]
    strategies: tuple[dict[str, Any], ...]
    start_ns: int
    end_ns: int
    timezone: str = "UTC"
    currency: str | None = None
    warm_up: bool = False
    packages: tuple[PackageRef, ...] = ()
    custom: tuple[CustomData, ...] = ()
    benchmark: InstrumentId | None = None


class BacktestStatus(StrEnum):
    """Where a backtest is. The last three are final: nothing follows them."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True when nothing can follow."""
        return self in (BacktestStatus.COMPLETED, BacktestStatus.FAILED, BacktestStatus.CANCELLED)


class TrialFailure(StrEnum):
    """Why a trial failed: its plan or data, its strategy, its process, memory, time, too many workers that it took along, or that
    none began it."""

    CONFIG = "config"
    STRATEGY = "strategy"
    CRASH = "crash"
    OOM = "oom"
    TIMEOUT = "timeout"
    POISON = "poison"
    NEVER_BEGUN = "never_begun"


Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Path: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z_][\w.]{0,200}(?::[A-Za-z_]\w{0,100})?\Z")]


class FillModelChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How simulated orders fill: the chance that a touched limit order does, and that a taker slips by one tick."""

    prob_fill_on_limit: Share = 1.0
    prob_slippage: Share = 0.0


_OF_ONE_STRATEGY: Final = ("strategy", "strategy_class", "config_class", "strategy_config")


class BacktestConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody chooses for a backtest; names and defaults are those of the REST contract.

    The strategy is either `strategy`, a template by name, or `strategy_class`: the import path of a class (`module:Class`), whose
    config class is `config_class` or the same with `Config` behind, or the class of a template by its bare name. Several are `strategies`
    instead of these and of `strategy_config`; each gets an order id tag of its own. `actors` and `exec_algorithms` run beside them. `venue_settings`
    has what is different at one venue, by its name. `warm_up`: what strategies request of the past (`request_bars`) is answered from the
    catalog, up to and with the present moment; without it such requests are answered with nothing. `start_date`
    and `end_date` are ISO days or moments in UTC; an end day is included. `leverage` counts with MARGIN accounts. `latency_ms` is
    from the strategy to the venue. `base_currency` is what accounts are kept and results counted in; without it that is the currency in
    which the instruments are settled (their quote currency), if it is one for all of them. Another one needs rates among the run's data.
    `commission` is an amount per order in that currency, in place of the instrument's fees. `timezone` (IANA, such as America/New_York)
    is where days end; null is UTC. `bar_types` and `data_types` choose what the run reads: bars by their type, and kinds of data, of every instrument that the
    catalog has them of; `tick_data` is short for quotes and trades. `custom_data` is rows of classes that are not NautilusTrader's, of these instruments
    and of none. What strategies name of bars is read too; without any of these all bars there
    are, else all quotes and trades. `buffer_deltas`: strategies get changes of an order book together, up to the one that is flagged as the last of
    its event, instead of one by one. `use_mark_prices`: positions are valued at mark prices. `seed` is that of every chance in the run. `max_order_rate` is how many orders a minute
    NautilusTrader's risk engine lets through, as for an engine; null is as many as there are. `output_path` and `data_sources` are the contract's and
    decide nothing: any value but the default is refused.
    """

    start_date: Annotated[str, Meta(max_length=40)]
    end_date: Annotated[str, Meta(max_length=40)]
    instruments: Annotated[tuple[InstrumentId, ...], Meta(min_length=1, max_length=64)]
    strategy: StrategyName | None = None
    strategy_class: _Path | None = None
    config_class: _Path | None = None
    strategy_config: dict[str, Any] = {}
    venues: Annotated[tuple[VenueName, ...], Meta(min_length=1, max_length=16)] = ("SIM",)
    initial_balance: Annotated[float, Meta(gt=0)] = 1_000_000.0
    base_currency: Annotated[str, Meta(pattern=r"\A[A-Z][A-Z0-9]{2,9}\Z")] | None = None
    data_sources: tuple[Literal["catalog"], ...] = ("catalog",)
    bar_types: Annotated[tuple[BarType, ...], Meta(max_length=64)] = ()
    tick_data: bool = False
    data_types: Annotated[tuple[DataKind, ...], Meta(max_length=16)] = ()
    buffer_deltas: bool = False
    use_mark_prices: bool = False
    output_path: str = "/app/results"
    save_results: bool = True
    account_type: Literal["MARGIN", "CASH"] = "MARGIN"
    oms_type: Literal["NETTING", "HEDGING"] = "NETTING"
    leverage: Annotated[float, Meta(ge=1, le=1000)] = 1.0
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    fill_model: FillModelChoice = FillModelChoice()
    commission: Annotated[float, Meta(ge=0)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    timeout_s: Annotated[float, Meta(gt=0, le=604_800)] | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    strategies: Annotated[tuple[StrategyChoice, ...], Meta(max_length=64)] = ()
    actors: Annotated[tuple[ComponentChoice, ...], Meta(max_length=64)] = ()
    exec_algorithms: Annotated[tuple[ComponentChoice, ...], Meta(max_length=16)] = ()
    venue_settings: Annotated[dict[VenueName, VenueSettings], Meta(max_length=16)] = {}
    warm_up: bool = False
    custom_data: Annotated[tuple[CustomDataChoice, ...], Meta(max_length=16)] = ()
    max_order_rate: Annotated[int, Meta(ge=1, le=10_000)] | None = None

    def __post_init__(self) -> None:
        self._check_strategies()
        if not math.isfinite(self.initial_balance):
            raise ValueError("`initial_balance` must be a finite number")
        moments = [_moment(field, getattr(self, field)) for field in ("start_date", "end_date")]
        if moments[0] >= moments[1] and not (self.start_date == self.end_date and len(self.end_date) == 10):
            raise ValueError("`start_date` must be before `end_date`")

    def _check_strategies(self) -> None:
        given = [name for name in _OF_ONE_STRATEGY if getattr(self, name)]
        if self.strategies and given:
            raise ValueError(f"`strategies` has all there are: leave out `{'`, `'.join(given)}`, or the list")
        if not self.strategies and (self.strategy is None) == (self.strategy_class is None):
            raise ValueError(
                "give either `strategy` (a template) or `strategy_class`, or several `strategies`"
            )

    @property
    def kinds(self) -> frozenset[DataKind]:
        """What is read of every instrument, by `data_types` and `tick_data`."""
        return frozenset(self.data_types) | (TICKS if self.tick_data else frozenset())

    @property
    def start_ns(self) -> int:
        """The first moment of the run."""
        return _nanoseconds(_moment("start_date", self.start_date))

    @property
    def parameters(self) -> dict[str, Any]:
        """All that strategies are given, each under the name that an axis has for it."""
        return {
            **self.strategy_config,
            **{
                f"{index}.{name}": value
                for index, one in enumerate(self.strategies)
                for name, value in one.given.items()
            },
        }

    def parameter(self, axis: str) -> Any:
        """What the parameter that an axis names is given as; null when it is left out. `1.size` is `size` of the second of `strategies`."""
        return self.parameters.get(axis)

    @property
    def end_ns(self) -> int:
        """The last moment of the run: the end of the day where `end_date` is one."""
        end = _nanoseconds(_moment("end_date", self.end_date))
        return end + (86_400_000_000_000 - 1 if len(self.end_date) == 10 else 0)


def _moment(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{field}` must be an ISO date such as 2020-01-31") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


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
    """The figures of the REST contract; null where one is not defined. Money is in the account's currency.

    Return, return a year, volatility, Sharpe, Sortino, Calmar and drawdown are of marked equity at each day's end (drawdown: of every point
    of the equity curve); `schemas/performance.py` has the formulas. `max_drawdown` is 0 or less, `max_drawdown_days` from the
    high before it to the recovery, else to the end. `final_equity` is balance and unrealized profit at the end. Information ratio, alpha and beta
    are beside buying and holding the plan's benchmark, and null without one. The rest is of closed trades, `profit_factor` gross profit by
    gross loss.
    """

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
    max_drawdown_days: float | None = None
    final_equity: float | None = None
    information_ratio: float | None = None
    alpha: float | None = None
    beta: float | None = None


class NautilusStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """NautilusTrader's own statistics under the names of Metrics: of realized returns, what is open at the end left out."""

    total_return: float | None
    annualized_return: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    profit_factor: float | None


Nowhere: TypeAlias = Literal["rejected", "denied", "unsent"]
NOWHERE: Final[tuple[Nowhere, ...]] = get_args(Nowhere)
"""What became of an order that went nowhere: a count of OrderCounts each."""


class OrderReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why orders went nowhere: one of the texts, where they differ in numbers only, and how many there were of the kind."""

    status: Nowhere
    reason: str
    count: int


class OrderCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run's orders: `submitted` reached a venue, `unsent` and `denied` did not; `reasons`, most frequent first."""

    total: int
    submitted: int
    filled: int
    open: int
    rejected: int
    denied: int
    unsent: int
    expired: int
    canceled: int
    reasons: tuple[OrderReason, ...] = ()


class OpenPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position that a run left open. `unrealized_pnl` is null when there is no price for it."""

    position_id: str
    instrument_id: str
    strategy_id: str
    side: str
    quantity: str
    entry_price: float
    entry_time_ns: int
    unrealized_pnl: str | None
    currency: str


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a run left at a venue, or on its way there. `price` is its limit, else its trigger."""

    client_order_id: str
    instrument_id: str
    side: str
    order_type: str
    status: str
    quantity: str
    filled_qty: str
    price: str | None


class StrategyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy of several did. `pnl` is of its closed trades, per currency, as are `fees`; what it left open is in neither."""

    strategy_id: str
    orders: int
    fills: int
    trades: int
    pnl: dict[str, str]
    fees: dict[str, str]
    positions_open: int


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside the metrics of a run.

    `returns` is how many returns of a day they are made from, `years` the time that those took (365.25 days each): there are
    returns / years of them a year. `open_positions` and `open_orders` name the first few of `positions_open` and `orders.open`.
    `strategies` are those of a run that has several. `unanswered_requests` counts what was asked of the past, and answered with nothing
    because the run was not to warm up; `answered_requests` those answered from the catalog, null in results from before they were counted.
    """

    figures_version: int
    timezone: str
    returns: int
    years: float | None
    nautilus_statistics: NautilusStatistics
    orders: OrderCounts
    positions_open: int
    open_positions: tuple[OpenPosition, ...]
    open_orders: tuple[OpenOrder, ...]
    strategies: tuple[StrategyFigures, ...] = ()
    unanswered_requests: int = 0
    answered_requests: int | None = None


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
    """Marked equity at a moment of simulated time; `drawdown` is the share lost since the highest equity.

    Equity is balance and unrealized profit; of a CASH account, whose balance has paid for what it holds, balance and what that is worth.
    """

    at_ns: int
    equity: float
    balance: float
    unrealized_pnl: float
    drawdown: float


class PricePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an instrument cost at a moment of simulated time: its last trade, else between bid and ask, else its last bar's close."""

    instrument_id: str
    at_ns: int
    price: float


class ExposurePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the open positions are worth at a moment of simulated time, in the currency of the result.

    A position is worth its notional value as NautilusTrader has it (quantity times multiplier times price, of an inverse instrument divided by it; of
    an option its premium) at the price that would close it. `gross` adds all of them, `net` long ones less short ones; both are null where one
    has no price, or no rate into the currency. `leverage` is `gross` by equity, null where that is 0 or less. Balances are no positions.
    """

    at_ns: int
    gross: float | None
    net: float | None
    leverage: float | None


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a trial gave, in the order in which it happened.

    `orders` are as they stood at the end. `statistics` are NautilusTrader's own by name, per currency and of the returns. `fees`
    are sums per currency. `elapsed_s` is wall time. `equity_curve` begins with the equity before the first event, and has the end of every
    day with events, and of a run shorter than MAX_CURVE_POINTS days that many regular moments beside. `summary` is null in results of
    before figures had versions. `prices` are of the run's first MAX_PRICED instruments, one after the other: at most MAX_PRICE_POINTS of
    those at the moments of the equity curve, the lowest and highest among them; none in results of before they were kept. `exposure` has the
    moments of the equity curve; it is empty in results of before it was kept.
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
    open_positions: tuple[OpenPosition, ...] = ()
    summary: RunSummary | None = None
    prices: tuple[PricePoint, ...] = ()
    exposure: tuple[ExposurePoint, ...] = ()

    @property
    def figures_version(self) -> int:
        """Which definition the figures have."""
        return self.summary.figures_version if self.summary else 1


class CatalogFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a trial read, and the SHA-256 of what was in it."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run depended on, so that it can be run again and compared.

    `strategy_sources` are modules by the SHA-256 of their source, `strategy_code` the same without comments, docstrings and formatting:
    empty where that cannot be told.
    """

    plan: TrialPlan
    nautilus_version: str
    flotilla_version: str
    image: str
    host: str
    python: str
    strategy_sources: dict[str, str]
    files: tuple[CatalogFile, ...]
    seed: int
    strategy_code: dict[str, str] = {}


TRIAL_FORMAT: Final = 7
"""Raised with every change of a TrialJob, of an Outcome, or of what a figure in it means: a worker of another format goes on
running when the services are new, reads work that it does not understand or counts as it did before, and is replaced first."""


class TrialJob(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work in the queue: run this plan. `wants_report` asks for a tear sheet too."""

    backtest_id: BacktestId
    plan: TrialPlan
    seed: int = 0
    timeout_s: float | None = None
    wants_report: bool = False


class ClaimTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker asks whether it shall run a trial that it took from the queue. `attempt` counts deliveries from 1."""

    backtest_id: BacktestId
    worker: InstanceId
    session_id: SessionId
    attempt: Annotated[int, Meta(ge=1)]
    request_id: RequestId | None = None


class TrialClaimed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to run it: not when it was cancelled, has ended, or took too many workers along.

    `is_alone`: with no other trial beside it, because it has taken workers along, or was taken along by its neighbour.
    """

    is_wanted: bool
    is_alone: bool = False
    why: str = ""


class TrialStarted(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """A worker has the trial in a process of its own."""

    worker: InstanceId
    session_id: SessionId
    host: HostId
    pid: int
    attempt: int


class TrialPart(msgspec.Struct, frozen=True, kw_only=True, tag="part"):
    """A piece of the result: `index` from 0, of `count`. The pieces together are one compressed document, whose SHA-256 is given.

    The Outcome comes first and ends the trial; the tear sheet's HTML follows it where one was wanted.
    """

    index: int
    count: int
    sha256: str
    data: bytes
    document: Literal["outcome", "report"] = "outcome"


class TrialFailed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The trial ended without a result."""

    reason: TrialFailure
    detail: str
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()


class TrialCancelled(msgspec.Struct, frozen=True, kw_only=True, tag="cancelled"):
    """The trial's process was killed because somebody asked for it; it is gone."""


class TrialEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells of a trial, durably. `attempt` tells one try from another."""

    backtest_id: BacktestId
    attempt: int
    at_ns: int
    data: TrialStarted | TrialPart | TrialFailed | TrialCancelled


class TrialBeat(msgspec.Struct, frozen=True, kw_only=True):
    """Twice a second while a trial runs, not kept."""

    backtest_id: BacktestId
    attempt: int
    worker: InstanceId
    progress: TrialProgress


class CancelTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tells a worker to end a trial's process; it answers when that is gone. `not_found` when it does not run it."""

    backtest_id: BacktestId
    request_id: RequestId | None = None


class TrialGone(msgspec.Struct, frozen=True, kw_only=True):
    """The trial's process is gone. `pid` is what it had."""

    backtest_id: BacktestId
    pid: int | None
    milliseconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker hands over of a completed trial, compressed. Its `report` comes later, as a document of its own."""

    result: TrialResult
    manifest: Manifest
    report: str | None = None


class BacktestView(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest as the record has it. `progress` is 0 to 100.

    `is_result_gone`: its result was deleted; the figures stay.
    `has_report` comes with a view of its own, after the one that says completed: when a run again has drawn NautilusTrader's tear sheet. `host` is null until
    the trial's process has begun.
    """

    backtest_id: BacktestId
    status: BacktestStatus
    config: BacktestConfig
    created_at: datetime
    progress: float = 0.0
    study_id: StudyId | None = None
    trial: TrialProgress | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    attempts: int = 0
    worker: InstanceId | None = None
    host: HostId | None = None
    metrics: Metrics | None = None
    currency: str | None = None
    reason: TrialFailure | None = None
    error: str | None = None
    log_tail: tuple[str, ...] = ()
    has_report: bool = False
    elapsed_s: float | None = None
    events: int | None = None
    summary: RunSummary | None = None
    is_result_gone: bool = False


class RunBacktest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a backtest. Its id must be free."""

    backtest_id: BacktestId
    config: BacktestConfig
    request_id: RequestId | None = None


class WhichBacktest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a backtest."""

    backtest_id: BacktestId
    request_id: RequestId | None = None


class ListBacktests(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for backtests, newest first: those of no study, or those of one. `cursor` is the `next` of the page before."""

    status: BacktestStatus | None = None
    study_id: StudyId | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class BacktestList(msgspec.Struct, frozen=True, kw_only=True):
    """Backtests, newest first. `next` is null on the last page."""

    backtests: tuple[BacktestView, ...]
    total_count: int
    next: str | None = None


class ResultPart(StrEnum):
    """The lists of a result, and the documents beside them."""

    TRADES = "trades"
    ORDERS = "orders"
    FILLS = "fills"
    EQUITY_CURVE = "equity_curve"
    OPEN_POSITIONS = "open_positions"
    PRICES = "prices"
    EXPOSURE = "exposure"
    STATISTICS = "statistics"
    BALANCES = "balances"
    FEES = "fees"
    MANIFEST = "manifest"
    REPORT = "report"


class ReadResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a part of a completed backtest's result, from its `offset`th entry on; `report` is read in pieces of text."""

    backtest_id: BacktestId
    part: ResultPart
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=5000)] = 1000


class ResultPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a list, or the whole document as the only one; a piece of the report as a JSON string. `next` null: the end."""

    backtest_id: BacktestId
    part: ResultPart
    entries: tuple[msgspec.Raw, ...]
    total: int
    next: int | None = None


class VerifyBacktest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a completed backtest to be run again from its manifest, as a backtest of its own, and to be compared with it.

    `wants_report`: the run again draws NautilusTrader's own tear sheet, which is the first one's too where the two are equal.
    """

    backtest_id: BacktestId
    verify_id: BacktestId | None = None
    wants_report: bool = False
    request_id: RequestId | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which two runs differ: where (`fills[12].last_px`, `strategy_sources[my.module]`), and what stands there in each.

    Catalog files and modules of strategies are named, and what stands there is the SHA-256; null where one has none.
    """

    where: str
    first: Any
    second: Any


class BacktestVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a run again gave the same. Null while it has not ended.

    `differences` begin with what both depended on (plan, code, data, versions); then the first fill that differs, and figures.
    `changed_without_effect` is what it ran with: Flotilla's own code, image and versions, where another release gave the same.
    `figures_versions` has the definitions of both runs' figures where those are not the same: then metrics and equity curve are not compared.
    `comments_only` are modules among the differences whose source is another in comments, docstrings and formatting alone. `newer` says how
    the newest version of each package that it ran with differs from what it ran, and runs again: only packages that have one.
    """

    backtest_id: BacktestId
    verify_id: BacktestId
    is_equal: bool | None
    differences: tuple[Difference, ...] = ()
    fills_compared: int = 0
    figures_versions: tuple[int, int] | None = None
    changed_without_effect: tuple[Difference, ...] = ()
    comments_only: tuple[str, ...] = ()
    newer: tuple[PackageChange, ...] = ()


class CompareBacktests(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for two to sixteen completed backtests side by side."""

    backtest_ids: Annotated[tuple[BacktestId, ...], Meta(min_length=2, max_length=16)]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Backtests side by side: `parameters` holds only what differs, by path in the config, one value per backtest in order."""

    backtests: tuple[BacktestView, ...]
    parameters: dict[str, tuple[Any, ...]]


class StudyKind(StrEnum):
    """How a study chooses its parameters: every combination, random ones, or the best of one period tried on the next."""

    GRID = "grid"
    RANDOM = "random"
    WALK_FORWARD = "walk_forward"


class Axis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values that one strategy parameter takes: listed, or from `low` to `high` by `step` (random: anything between)."""

    values: Annotated[tuple[Any, ...], Meta(max_length=1000)] = ()
    low: float | None = None
    high: float | None = None
    step: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if bool(self.values) == (self.low is not None or self.high is not None):
            raise ValueError("give either `values`, or `low` and `high`")
        if not self.values and not (
            self.low is not None
            and self.high is not None
            and math.isfinite(self.low)
            and self.low < self.high < math.inf
        ):
            raise ValueError("`low` must be below `high`, both finite")


AxisName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?:[0-9]{1,2}\.)?[a-z][a-z0-9_]{0,62}\Z",
        description="A parameter of the strategy; of one of several with its place before it: `0.fast_ema_period` is the first one's.",
    ),
]


_FOLDS: Final = 4
_TRAIN_SHARE: Final = 0.7


class WindowKind(StrEnum):
    """How the windows of a walk forward lie in the range of dates.

    `apart` parts the range, and each part has its own two pieces. The other two try one piece after the other out of sample: `rolling`
    chooses on as much before each, `anchored` on everything before it.
    """

    APART = "apart"
    ROLLING = "rolling"
    ANCHORED = "anchored"


Days: TypeAlias = Annotated[float, Meta(gt=0, le=36_525)]


class StudyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study: one backtest per choice of parameters. `best_by` is a metric of the results; it is sought high unless `lowest`.

    A walk forward has `folds` windows over the range, `train_share` of one for choosing the best (in sample), and the rest for trying it
    (out of sample). Where `windows` roll or are anchored, lengths in days of 24 hours can be given instead of these two: `in_sample_days` (of an
    anchored one: the first), `out_of_sample_days`, and `step_days` from one window to the next, which is `out_of_sample_days` where it is left
    out and not less. There are as many as begin to try within the range then; the last is cut where that ends.
    """

    kind: StudyKind = StudyKind.GRID
    base: BacktestConfig
    axes: Annotated[dict[AxisName, Axis], Meta(min_length=1, max_length=16)]
    samples: Annotated[int, Meta(ge=1, le=10_000)] = 50
    folds: Annotated[int, Meta(ge=1, le=100)] = _FOLDS
    train_share: Annotated[float, Meta(gt=0, lt=1)] = _TRAIN_SHARE
    best_by: Name = "sharpe_ratio"
    lowest: bool = False
    stop_after: Annotated[int, Meta(ge=1)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    windows: WindowKind = WindowKind.APART
    in_sample_days: Days | None = None
    out_of_sample_days: Days | None = None
    step_days: Days | None = None

    def __post_init__(self) -> None:
        if self.windows is not WindowKind.APART and self.kind is not StudyKind.WALK_FORWARD:
            raise ValueError("`windows` are of a walk forward: `kind` must be walk_forward")
        lengths = (self.in_sample_days, self.out_of_sample_days)
        if lengths == (None, None) and self.step_days is None:
            return
        if self.windows is WindowKind.APART:
            raise ValueError("lengths are of `windows` that are rolling or anchored")
        if None in lengths:
            raise ValueError("give both `in_sample_days` and `out_of_sample_days`")
        if self.step_days is not None and self.step_days < (self.out_of_sample_days or 0):
            raise ValueError(
                "`step_days` must be `out_of_sample_days` or more: what is tried must not overlap"
            )
        if (self.folds, self.train_share) != (_FOLDS, _TRAIN_SHARE):
            raise ValueError("`folds` and `train_share` follow from the lengths: leave them out")


class RunStudy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a study. Its id must be free; its backtests are called `<study_id>-0001` and so on."""

    study_id: StudyId
    config: StudyConfig
    request_id: RequestId | None = None


class WhichStudy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a study."""

    study_id: StudyId
    request_id: RequestId | None = None


class ListStudies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for studies, newest first. `cursor` is the `next` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class StudyView(msgspec.Struct, frozen=True, kw_only=True):
    """A study as the record has it: how many of its backtests are in which state, and the best of those completed.

    `left_out` counts sets of parameters that were asked for and are not tried: they break a rule of the strategy's template, or a random
    study found no more that are different. `folds` is how many windows a walk forward has; 0 of other kinds.
    """

    study_id: StudyId
    status: BacktestStatus
    config: StudyConfig
    created_at: datetime
    total: int
    counts: dict[str, int]
    best: BacktestView | None = None
    left_out: int = 0
    completed_at: datetime | None = None
    why_ended: str | None = None
    folds: int = 0


class StudyList(msgspec.Struct, frozen=True, kw_only=True):
    """Studies, newest first. `next` is null on the last page."""

    studies: tuple[StudyView, ...]
    next: str | None = None


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker does: runs trials from the queue, `slots` at once, and ends by itself after `idle_s` without any.

    `trial_format` is the TRIAL_FORMAT of who started it; 0: it is from before there was one.
    """

    slots: Annotated[int, Meta(ge=1, le=256)] = 1
    idle_s: Annotated[float, Meta(gt=0)] | None = None
    trial_format: int = 0
