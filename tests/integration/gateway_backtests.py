"""Backtests and studies as a scripted orchestrator tells of them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    ClosedTrade,
    Comparison,
    EquityPoint,
    ExposurePoint,
    Manifest,
    Metrics,
    NautilusStatistics,
    OpenOrder,
    OpenPosition,
    OrderCounts,
    OrderReason,
    PricePoint,
    ReadResult,
    ResultPage,
    ResultPart,
    RunSummary,
    StudyConfig,
    StudyList,
    StudyView,
    TrialPlan,
)
from flotilla.schemas.telemetry import Fill, OrderUpdate
from flotilla.schemas.walk_forward import StitchedPoint, StudyWindow, WalkForward

NOW = datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "strategy": "ema_cross",
    "start_date": "2020-01-01",
    "end_date": "2020-12-31",
    "instruments": ["SPX.SIM"],
}
"""What a backtest cannot do without."""
STUDY: dict[str, Any] = {"base": CONFIG, "axes": {"fast_ema_period": {"values": [5, 10]}}}
METRICS = Metrics(
    total_return=0.12,
    annualized_return=0.1,
    sharpe_ratio=1.5,
    sortino_ratio=None,
    max_drawdown=-0.2,
    win_rate=0.5,
    profit_factor=1.1,
    volatility=0.15,
    total_trades=2,
    winning_trades=1,
    losing_trades=1,
    average_win=20.5,
    average_loss=-8.25,
    largest_win=20.5,
    largest_loss=-8.25,
    calmar_ratio=0.5,
    information_ratio=0.4,
    alpha=0.03,
    beta=0.9,
)
DAY_NS = 86_400_000_000_000


def backtest(backtest_id: str = "bt1", **changes: Any) -> BacktestView:
    """A completed one; whoever changes its status says what else that changes."""
    known: dict[str, Any] = {
        "backtest_id": backtest_id,
        "status": BacktestStatus.COMPLETED,
        "config": msgspec.convert(CONFIG, BacktestConfig),
        "created_at": NOW,
        "started_at": NOW,
        "completed_at": NOW,
        "progress": 100.0,
        "metrics": METRICS,
        "currency": "USD",
        "summary": SUMMARY,
        "has_report": True,
        **changes,
    }
    return BacktestView(**known)


def unfinished(backtest_id: str = "bt1", **changes: Any) -> BacktestView:
    """One that runs."""
    known: dict[str, Any] = {
        "status": BacktestStatus.RUNNING,
        "completed_at": None,
        "progress": 37.5,
        "metrics": None,
        "has_report": False,
        "worker": "worker-1",
        **changes,
    }
    return backtest(backtest_id, **known)


def study(study_id: str = "st1", **changes: Any) -> StudyView:
    known: dict[str, Any] = {
        "study_id": study_id,
        "status": BacktestStatus.RUNNING,
        "config": msgspec.convert(STUDY, StudyConfig),
        "created_at": NOW,
        "total": 4,
        "counts": {"pending": 1, "running": 0, "completed": 2, "failed": 1, "cancelled": 0},
        "best": backtest(f"{study_id}-0002", study_id=study_id),
        **changes,
    }
    return StudyView(**known)


def trade(number: int) -> ClosedTrade:
    return ClosedTrade(
        trade_id=f"P-{number}",
        instrument_id="SPX.SIM",
        strategy_id="EMACross-000",
        side="LONG",
        quantity="1.5",
        entry_price=100.25,
        exit_price=101.5,
        entry_time_ns=number * DAY_NS,
        exit_time_ns=(number + 1) * DAY_NS + 5,
        pnl="-8.25",
        commission="0.10",
        currency="USD",
    )


def point(number: int) -> EquityPoint:
    return EquityPoint(
        at_ns=number * DAY_NS, equity=1_000_010.5, balance=1_000_000.0, unrealized_pnl=10.5, drawdown=0.25
    )


FILL = Fill(
    trade_id="T-1",
    client_order_id="O-1",
    instrument_id="SPX.SIM",
    strategy_id="EMACross-000",
    side="BUY",
    last_qty="1.5",
    last_px="100.25",
    currency="USD",
    commission="0.10",
    liquidity_side="TAKER",
    ts_event=DAY_NS,
)
ORDER = OrderUpdate(
    event="OrderFilled",
    client_order_id="O-1",
    instrument_id="SPX.SIM",
    strategy_id="EMACross-000",
    status="FILLED",
    side="BUY",
    order_type="MARKET",
    quantity="1.5",
    filled_qty="1.5",
    time_in_force="GTC",
    ts_event=DAY_NS,
    reason='a "reason", in two\nlines',
)
HELD = OpenPosition(
    position_id="P-9",
    instrument_id="SPX.SIM",
    strategy_id="EMACross-000",
    side="LONG",
    quantity="1.5",
    entry_price=100.25,
    entry_time_ns=DAY_NS,
    unrealized_pnl="10.50",
    currency="USD",
)
SUMMARY = RunSummary(
    figures_version=2,
    timezone="UTC",
    returns=252,
    years=1.0,
    nautilus_statistics=NautilusStatistics(
        total_return=0.2,
        annualized_return=0.2,
        volatility=0.01,
        sharpe_ratio=2.5,
        sortino_ratio=121_660.6,
        calmar_ratio=None,
        max_drawdown=0.0,
        profit_factor=None,
    ),
    orders=OrderCounts(
        total=4,
        submitted=3,
        filled=1,
        open=1,
        rejected=1,
        denied=1,
        unsent=0,
        expired=0,
        canceled=0,
        reasons=(OrderReason(status="rejected", reason="no market for SPX.SIM", count=1),),
    ),
    positions_open=1,
    open_positions=(HELD,),
    open_orders=(
        OpenOrder(
            client_order_id="O-2",
            instrument_id="SPX.SIM",
            side="SELL",
            order_type="LIMIT",
            status="ACCEPTED",
            quantity="1.5",
            filled_qty="0",
            price="110.00",
        ),
    ),
)
WALK = WalkForward(
    study_id="st1",
    windows=(
        StudyWindow(
            number=1,
            in_sample_start_ns=0,
            in_sample_end_ns=DAY_NS - 1_000,
            out_of_sample_start_ns=DAY_NS,
            out_of_sample_end_ns=2 * DAY_NS,
            chosen="st1-0001",
            parameters={"fast_ema_period": 5},
            in_sample=1.5,
        ),
    ),
    currency="USD",
    curve=(StitchedPoint(at_ns=DAY_NS, equity=100.0, drawdown=0.0),),
)
REPORT = "<!doctype html><title>ünïcode</title><script>draw()</script>"
PARTS: dict[ResultPart, Sequence[Any]] = {
    ResultPart.TRADES: tuple(trade(number) for number in range(3)),
    ResultPart.EQUITY_CURVE: tuple(point(number) for number in range(3)),
    ResultPart.ORDERS: (ORDER,),
    ResultPart.FILLS: (FILL,),
    ResultPart.OPEN_POSITIONS: (HELD,),
    ResultPart.PRICES: (PricePoint(instrument_id="SPX.SIM", at_ns=DAY_NS, price=100.25),),
    ResultPart.EXPOSURE: (ExposurePoint(at_ns=DAY_NS, gross=150.5, net=-150.5, leverage=None),),
    ResultPart.STATISTICS: ({"USD": {"PnL (total)": 12.25}, "returns": {"Sharpe Ratio (252 days)": None}},),
    ResultPart.BALANCES: ({"USD": "1000012.25"},),
    ResultPart.FEES: ({"USD": "0.20"},),
    ResultPart.MANIFEST: ({"seed": 7, "image": "flotilla-engine:latest"},),
}
RAN = Manifest(
    plan=TrialPlan(
        venues=(),
        data=(),
        instruments=("SPX.SIM",),
        strategies=(),
        start_ns=0,
        end_ns=DAY_NS,
        currency="USD",
    ),
    nautilus_version="1",
    flotilla_version="1",
    image="flotilla-engine:latest",
    host="h1",
    python="3",
    strategy_sources={},
    files=(),
    seed=7,
)
"""A whole manifest, as a tear sheet needs it."""


def pages_of(
    parts: dict[ResultPart, Sequence[Any]] = PARTS, *, most: int = 2, report: str = REPORT
) -> Callable[[ReadResult], ResultPage]:
    """Answers as the orchestrator pages: at most `most` entries, or 7 characters of the report."""

    def answer(request: ReadResult) -> ResultPage:
        whole: Sequence[Any] = report if request.part is ResultPart.REPORT else parts[request.part]
        size = 7 if request.part is ResultPart.REPORT else min(most, request.limit)
        read = whole[request.offset : request.offset + size]
        entries = [read] if request.part is ResultPart.REPORT and read else read
        after = request.offset + len(read)
        return ResultPage(
            backtest_id=request.backtest_id,
            part=request.part,
            entries=tuple(msgspec.Raw(msgspec.json.encode(entry)) for entry in entries),
            total=len(whole),
            next=after if read and after < len(whole) else None,
        )

    return answer


def answers() -> dict[str, Any]:
    """By subject: what the orchestrator answers where a test says nothing else."""
    cancelled = unfinished(status=BacktestStatus.CANCELLED, cancelled_at=NOW)
    pending = unfinished(status=BacktestStatus.PENDING, started_at=None, progress=0.0)
    return {
        "fleet.backtest.run": pending,
        "fleet.backtest.get": backtest(),
        "fleet.backtest.list": BacktestList(backtests=(), total_count=0),
        "fleet.backtest.result": pages_of(),
        "fleet.backtest.cancel": cancelled,
        "fleet.backtest.remove_result": backtest(is_result_gone=True, has_report=False),
        "fleet.backtest.verify": BacktestVerdict(backtest_id="bt1", verify_id="bt1-verify-1", is_equal=None),
        "fleet.backtest.compare": Comparison(
            backtests=(backtest("a"), backtest("b")),
            parameters={"strategy_config.fast_ema_period": (5, 10)},
        ),
        "fleet.study.run": study(status=BacktestStatus.PENDING, best=None),
        "fleet.study.get": study(),
        "fleet.study.list": StudyList(studies=(study(),)),
        "fleet.study.cancel": study(status=BacktestStatus.CANCELLED),
        "fleet.study.walk_forward": WALK,
    }
