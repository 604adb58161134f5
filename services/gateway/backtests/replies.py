"""The bodies of answers about backtests, field for field as the REST contract has them."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestStatus,
    BacktestVerdict,
    Metrics,
    NautilusStatistics,
    OpenOrder,
    OpenPosition,
    OrderCounts,
    ResultPart,
    StrategyFigures,
    TrialFailure,
    TrialProgress,
)

type Moment = Annotated[
    str, Meta(description="ISO 8601 in UTC, to the nanosecond.", extra_json_schema={"format": "date-time"})
]


_ALSO: Final = "also_"


def _second_name(field: str) -> str | None:
    """The camelCase name of a field that repeats another: `also_total_return` is `totalReturn`. None: the field's own."""
    if not field.startswith(_ALSO):
        return None
    first, *others = field.removeprefix(_ALSO).split("_")
    return first + "".join(map(str.capitalize, others))


def with_second_names(struct: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct by name, and each again as its `also_` one."""
    own = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return own | {f"{_ALSO}{name}": value for name, value in own.items()}


class ShownConfig(BacktestConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_second_name):
    """What was chosen; the class in camelCase too, as some clients read it. It can be sent again as it is."""

    also_strategy_class: str | None


class ShownMetrics(Metrics, frozen=True, kw_only=True, rename=_second_name):
    """The figures, each in camelCase too, as some clients read them. Information ratio, alpha and beta are beside the benchmark."""

    also_total_return: float | None
    also_annualized_return: float | None
    also_sharpe_ratio: float | None
    also_sortino_ratio: float | None
    also_max_drawdown: float | None
    also_win_rate: float | None
    also_profit_factor: float | None
    also_total_trades: int
    also_winning_trades: int
    also_losing_trades: int
    also_average_win: float | None
    also_average_loss: float | None
    also_largest_win: float | None
    also_largest_loss: float | None
    also_calmar_ratio: float | None
    also_max_drawdown_days: float | None
    also_final_equity: float | None
    also_information_ratio: float | None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A position from its opening to its close, `duration` in simulated seconds.

    `side` is that of the entry, BUY or SELL; `position_side` is LONG or SHORT.
    """

    trade_id: str
    instrument_id: str
    side: str
    quantity: float
    entry_price: float
    exit_price: float
    entry_time: Moment
    exit_time: Moment
    pnl: float
    commission: float
    duration: float
    strategy_id: str
    currency: str
    position_side: str


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The account at a moment of simulated time; `drawdown` is the share lost since the highest equity."""

    timestamp: Moment
    equity: float
    drawdown: float
    balance: float
    unrealized_pnl: float


class ResultsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures, and links to everything else: none when it was not saved; `tearsheet` is the page of it.

    `metrics` are of marked equity, `nautilus_statistics` NautilusTrader's own beside them. `benchmark` is the instrument whose buying
    and holding they are held against, null where none of them is. `open_positions` and `open_orders` name the
    first ten of what the run left open. `strategies` are those of a run with several, `unanswered_requests` what was
    asked of the past without `warm_up`, `answered_requests` what was answered with it. What stands from `nautilus_statistics` to
    `answered_requests` is null in results of `figures_version` 1, whose metrics are of realized returns.
    """

    metrics: ShownMetrics
    benchmark: str | None
    currency: str | None
    figures_version: int
    nautilus_statistics: NautilusStatistics | None
    order_counts: OrderCounts | None
    open_positions: tuple[OpenPosition, ...] | None
    positions_open: int | None
    open_orders: tuple[OpenOrder, ...] | None
    timezone: str | None
    returns: int | None
    years: float | None
    strategies: tuple[StrategyFigures, ...] | None
    unanswered_requests: int | None
    answered_requests: int | None
    tearsheet: str | None
    manifest: str | None
    links: dict[str, str]


class Results(ResultsSummary, frozen=True, kw_only=True):
    """`truncated` says that trades or equity curve go on; `more` has the link to what follows, by name of the list.

    Both are null where only the figures were kept: `save_results` was false, or the lists were deleted since.
    """

    trades: tuple[Trade, ...] | None
    equity_curve: tuple[CurvePoint, ...] | None
    truncated: bool
    more: dict[str, str]


class BacktestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest in a list. `progress` is 0 to 100 of its simulated events; `results` null until it is completed.

    `metrics` are those of `results`; `startTime` is `started_at`, `endTime` when it was completed, failed or was cancelled.
    """

    id: str
    backtest_id: str = msgspec.field(name="backtestId")
    config: ShownConfig
    status: BacktestStatus
    created_at: datetime
    started_at: datetime | None
    start_time: datetime | None = msgspec.field(name="startTime")
    end_time: datetime | None = msgspec.field(name="endTime")
    progress: float
    metrics: ShownMetrics | None
    results: ResultsSummary | None
    error: str | None
    completed_at: datetime | UnsetType = UNSET
    cancelled_at: datetime | UnsetType = UNSET
    study_id: str | None
    trial: TrialProgress | None
    attempts: int
    worker: str | None
    host: str | None
    reason: TrialFailure | None
    log_tail: tuple[str, ...]
    elapsed_s: float | None


class BacktestDetails(BacktestSummary, frozen=True, kw_only=True):
    """One backtest with its results."""

    results: Results | None


class BacktestReply(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest."""

    success: bool = True
    backtest: BacktestDetails


class ResultsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a completed backtest."""

    success: bool = True
    backtest_id: str
    status: BacktestStatus
    results: Results


class BacktestsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Backtests, newest first; `total_count` counts all of them, `next` is the `cursor` of the next page."""

    success: bool = True
    backtests: tuple[BacktestSummary, ...]
    total_count: int
    next: str | None


class BacktestCommandReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command about a backtest."""

    success: bool = True
    message: str
    backtest_id: str
    status: BacktestStatus


class PartReply(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a list from `offset` on, of `total`; a document is the only entry. `next` is the next offset, null at the end."""

    success: bool = True
    backtest_id: str
    part: ResultPart
    entries: tuple[Any, ...]
    total: int
    offset: int
    next: int | None


class ComparisonReply(msgspec.Struct, frozen=True, kw_only=True):
    """Backtests side by side; `parameters` has what differs, by path in the config, one value per backtest in order."""

    success: bool = True
    backtests: tuple[BacktestSummary, ...]
    parameters: dict[str, tuple[Any, ...]]


class VerifyReply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a run again gave the same; `verdict.is_equal` is null while it has not ended: ask again."""

    success: bool = True
    message: str
    backtest_id: str
    verdict: BacktestVerdict


class ActiveBacktest(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest that runs."""

    status: BacktestStatus
    progress: float
    started_at: datetime | None
    worker: str | None
