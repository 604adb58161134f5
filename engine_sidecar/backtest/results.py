"""What came of a trial, from NautilusTrader's own cache and analyzer once its engine has ended."""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine

from engine_sidecar.adapters.translate import amount, amounts, fill, order_update
from engine_sidecar.backtest.accounts import Together
from schemas.backtest import ClosedTrade, EquityPoint, Metrics, TrialResult

_RETURNS = "returns"


def result_of(
    engine: BacktestEngine,
    currency: Any,
    fills: Sequence[Any],
    curve: Iterable[EquityPoint],
    elapsed_s: float,
) -> TrialResult:
    """The whole result. `currency` is the account's, `fills` are the OrderFilled events, `elapsed_s` is wall time.

    Statistics are NautilusTrader's for its one account, and by its analyzer over all accounts together where there are several.
    """
    accounts = engine.cache.accounts()
    if len(accounts) > 1:
        positions = [*engine.cache.positions(), *engine.cache.position_snapshots()]
        engine.portfolio.analyzer.calculate_statistics(Together(accounts), positions)
    told = engine.get_result()
    pnls = told.stats_pnls.get(currency.code, {})
    trades = tuple(trade for position in _positions(engine) if (trade := _trade(position)))
    orders = sorted(engine.cache.orders(), key=lambda order: (order.ts_init, order.client_order_id.value))
    statistics = {
        **{code: _finite(stats) for code, stats in told.stats_pnls.items()},
        _RETURNS: _finite(told.stats_returns),
    }
    return TrialResult(
        currency=currency.code,
        metrics=_metrics(pnls, told.stats_returns, trades),
        trades=trades,
        equity_curve=tuple(curve),
        statistics=statistics,
        balances=_sums(money for account in accounts for money in account.balances_total().values()),
        orders=tuple(order_update(order.last_event, engine.cache) for order in orders),
        fills=tuple(fill(event) for event in fills),
        fees=_sums(event.commission for event in fills),
        events=told.iterations,
        elapsed_s=elapsed_s,
    )


def _positions(engine: BacktestEngine) -> list[Any]:
    """Closed positions in the order of their closing: with NETTING, a position that opened again is kept as snapshots."""
    found = [*engine.cache.position_snapshots(), *engine.cache.positions_closed()]
    return sorted(found, key=lambda position: (position.ts_closed, position.ts_opened, position.id.value))


def _sums(amounts_of_money: Iterable[Any]) -> dict[str, str]:
    sums: dict[Any, Decimal] = {}
    for money in amounts_of_money:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.as_decimal()
    return amounts(sums)


def _trade(position: Any) -> ClosedTrade | None:
    pnl = position.realized_pnl
    if pnl is None:
        return None
    commissions = [money for money in position.commissions() if money.currency == pnl.currency]
    return ClosedTrade(
        trade_id=position.id.value,
        instrument_id=position.instrument_id.value,
        strategy_id=position.strategy_id.value,
        side="LONG" if position.entry.name == "BUY" else "SHORT",
        quantity=str(position.peak_qty),
        entry_price=position.avg_px_open,
        exit_price=position.avg_px_close,
        entry_time_ns=position.ts_opened,
        exit_time_ns=position.ts_closed,
        pnl=amount(pnl),
        commission=amount(commissions[0]) if commissions else "0",
        currency=pnl.currency.code,
    )


def _metrics(pnls: Mapping[str, Any], returns: Mapping[str, Any], trades: tuple[ClosedTrade, ...]) -> Metrics:
    wins = sum(float(trade.pnl) > 0 for trade in trades)
    losses = sum(float(trade.pnl) < 0 for trade in trades)
    percent = _number(pnls.get("PnL% (total)"))
    return Metrics(
        total_return=percent / 100 if percent is not None else None,
        annualized_return=_stat(returns, "CAGR"),
        sharpe_ratio=_stat(returns, "Sharpe Ratio"),
        sortino_ratio=_stat(returns, "Sortino Ratio"),
        max_drawdown=_stat(returns, "Max Drawdown"),
        win_rate=_number(pnls.get("Win Rate")),
        profit_factor=_stat(returns, "Profit Factor"),
        volatility=_stat(returns, "Returns Volatility"),
        total_trades=len(trades),
        winning_trades=wins,
        losing_trades=losses,
        average_win=_number(pnls.get("Avg Winner")),
        average_loss=_number(pnls.get("Avg Loser")),
        largest_win=_number(pnls.get("Max Winner")),
        largest_loss=_number(pnls.get("Max Loser")),
        calmar_ratio=_stat(returns, "Calmar Ratio"),
    )


def _stat(stats: Mapping[str, Any], name: str) -> float | None:
    """The statistic of this name; NautilusTrader puts the days of a year behind some."""
    return next((_number(value) for key, value in stats.items() if key.startswith(name)), None)


def _finite(stats: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in stats.items()}


def _number(value: Any) -> float | None:
    """NautilusTrader gives NaN where a statistic is not defined, and JSON has no such number."""
    return float(value) if value is not None and math.isfinite(value) else None
