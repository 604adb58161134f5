"""Records of backtests, made up, that tear sheets are drawn from in tests and benchmarks."""

import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestView,
    CatalogFile,
    ClosedTrade,
    EquityPoint,
    ExposurePoint,
    Manifest,
    Metrics,
    NautilusStatistics,
    OrderCounts,
    PricePoint,
    RunSummary,
    TrialPlan,
)
from flotilla.schemas.telemetry import Fill, OrderUpdate
from flotilla.show.tear_sheet.record import Record

DAY_NS = 86_400_000_000_000
START_NS = 946_771_200_000_000_000
"""2000-01-02, the first midnight that ends a day of the runs here."""
SPX = "SPX.SIM"
DIGEST = "5e" * 32


def point(day: int, equity: float, drawdown: float = 0.0) -> EquityPoint:
    return EquityPoint(
        at_ns=START_NS + day * DAY_NS, equity=equity, balance=equity, unrealized_pnl=0.0, drawdown=drawdown
    )


def curve(*equities: float) -> tuple[EquityPoint, ...]:
    """One point before the first day, one at the end of each."""
    found, high = [], equities[0]
    for number, equity in enumerate(equities):
        high = max(high, equity)
        found.append(point(max(0, number - 1), equity, 1.0 - equity / high if high else 0.0))
    return tuple(found)


def exposed(day: int, gross: float | None, net: float | None, leverage: float | None = 0.5) -> ExposurePoint:
    return ExposurePoint(at_ns=START_NS + day * DAY_NS, gross=gross, net=net, leverage=leverage)


def trade(number: int, pnl: str, **over: Any) -> ClosedTrade:
    known = {
        "trade_id": f"P-{number}",
        "instrument_id": SPX,
        "strategy_id": "EMACross-000",
        "side": "LONG",
        "quantity": "100",
        "entry_price": 1_400.25,
        "exit_price": 1_410.5,
        "entry_time_ns": START_NS + number * DAY_NS,
        "exit_time_ns": START_NS + (number + 2) * DAY_NS,
        "pnl": pnl,
        "commission": "1.25",
        "currency": "USD",
    }
    return ClosedTrade(**{**known, **over})


def fill(day: float, side: str, quantity: str = "100", **over: Any) -> Fill:
    known = {
        "trade_id": "T-1",
        "client_order_id": "O-1",
        "instrument_id": SPX,
        "strategy_id": "EMACross-000",
        "side": side,
        "last_qty": quantity,
        "last_px": "1400.25",
        "currency": "USD",
        "commission": "1.25",
        "liquidity_side": "TAKER",
        "ts_event": START_NS + int(day * DAY_NS),
    }
    return Fill(**{**known, **over})


def order(status: str, **over: Any) -> OrderUpdate:
    known = {
        "event": "OrderRejected",
        "client_order_id": "O-9",
        "instrument_id": SPX,
        "strategy_id": "EMACross-000",
        "status": status,
        "side": "BUY",
        "order_type": "MARKET",
        "quantity": "1500",
        "filled_qty": "0",
        "time_in_force": "GTC",
        "ts_event": START_NS,
    }
    return OrderUpdate(**{**known, **over})


METRICS = Metrics(
    total_return=0.1234,
    annualized_return=None,
    sharpe_ratio=1.27,
    sortino_ratio=None,
    max_drawdown=-0.2,
    win_rate=0.5,
    profit_factor=1.8,
    volatility=0.0268,
    total_trades=2,
    winning_trades=1,
    losing_trades=1,
    average_win=5_897.12,
    average_loss=-3_408.51,
    largest_win=5_897.12,
    largest_loss=-3_408.51,
    calmar_ratio=None,
    max_drawdown_days=2.0,
    final_equity=90_000.0,
)
SUMMARY = RunSummary(
    figures_version=2,
    timezone="UTC",
    returns=4,
    years=0.01,
    nautilus_statistics=NautilusStatistics(
        total_return=0.2,
        annualized_return=None,
        volatility=None,
        sharpe_ratio=2.5,
        sortino_ratio=None,
        calmar_ratio=None,
        max_drawdown=0.0,
        profit_factor=1.8,
    ),
    orders=OrderCounts(
        total=4, submitted=4, filled=4, open=0, rejected=0, denied=0, unsent=0, expired=0, canceled=0
    ),
    positions_open=0,
    open_positions=(),
    open_orders=(),
)


def record(**over: Any) -> Record:
    """A small run. `config`, `view` and `manifest` change fields of those, everything else what it is called."""
    config = BacktestConfig(
        **{
            "start_date": "2000-01-01",
            "end_date": "2000-01-31",
            "instruments": (SPX,),
            "strategy": "ema_cross",
            "strategy_config": {"fast_ema_period": 5},
            **over.pop("config", {}),
        }
    )
    view = BacktestView(
        **{
            "backtest_id": "mine",
            "status": "completed",
            "config": config,
            "created_at": datetime(2026, 1, 31, tzinfo=UTC),
            "completed_at": datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
            "metrics": METRICS,
            "currency": "USD",
            "summary": SUMMARY,
            "events": 5_031,
            **over.pop("view", {}),
        }
    )
    known = {
        "view": view,
        "manifest": msgspec.structs.replace(MANIFEST, **over.pop("manifest", {})),
        "balances": {"USD": "90000.00"},
        "fees": {"USD": "5.00"},
        "curve": curve(100_000.0, 100_000.0, 80_000.0, 90_000.0, 101_000.0),
        "trades": (trade(0, "5897.12"), trade(1, "-3408.51")),
        "orders": (),
        "fills": (fill(0, "BUY"), fill(1, "SELL"), fill(2, "BUY"), fill(3, "SELL")),
        "open_positions": (),
        "prices": tuple(
            PricePoint(instrument_id=SPX, at_ns=START_NS + day * DAY_NS, price=price)
            for day, price in enumerate((1_000.0, 900.0, 1_100.0, 1_250.0))
        ),
    }
    return Record(**{**known, **over})


MANIFEST = Manifest(
    plan=TrialPlan(
        venues=(), data=(), instruments=(SPX,), strategies=({"config": {"slow": 20}},), start_ns=0, end_ns=1
    ),
    nautilus_version="1.231.0",
    flotilla_version="0.1.0",
    image="flotilla-engine:latest",
    host="local",
    python="3.13.5",
    strategy_sources={"mine.ema_cross": DIGEST},
    files=(CatalogFile(path="data/bar/a.parquet", size_bytes=9, sha256=DIGEST),),
    seed=7,
)


def long_record(bars: int = 5_000, trades: int = 500) -> Record:
    """The run that the time of a tear sheet is measured with: some ups and downs, each trade with two fills."""
    equities = [1e6 * (1 + 0.3 * math.sin(day / 300) + day / bars) for day in range(bars)]
    step = bars / trades
    signs = [1 if number % 3 else -1 for number in range(trades)]
    return record(
        curve=curve(equities[0], *equities),
        trades=tuple(trade(int(n * step), f"{sign * (n + 1) * 17.35:.2f}") for n, sign in enumerate(signs)),
        fills=tuple(fill(n * step / 2, "SELL" if n % 2 else "BUY") for n in range(trades * 2)),
        prices=tuple(
            PricePoint(instrument_id=SPX, at_ns=START_NS + day * DAY_NS, price=equities[day] / 700)
            for day in range(0, bars, max(1, bars // 1_000))
        ),
        exposure=tuple(exposed(day, equity / 2, -equity / 2) for day, equity in enumerate(equities)),
    )
