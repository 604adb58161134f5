"""What came of a trial, from NautilusTrader's own cache and analyzer once its engine has ended."""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.objects import Money

from flotilla.engine_sidecar.backtest.expirations import numbered, order_key
from flotilla.engine_sidecar.backtest.leftovers import open_orders, open_positions, order_counts
from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.engine_sidecar.engine.translate import amount, amounts, fill, order_update
from flotilla.schemas.backtest import (
    FIGURES_VERSION,
    MAX_NAMED,
    ClosedTrade,
    EquityPoint,
    Metrics,
    NautilusStatistics,
    OpenPosition,
    RunSummary,
    StrategyFigures,
    TrialResult,
)
from flotilla.schemas.performance import Performance, Relative, Sample, performance, relative

type Balances = dict[Any, Money]
"""By currency."""


class Balance(NamedTuple):
    """A balance, as the analyzer reads it."""

    currency: Any
    total: Money


class State(NamedTuple):
    """All accounts after a change of one."""

    ts_event: int
    balances: tuple[Balance, ...]


class Together:
    """What the analyzer asks an account for, of the sums of `accounts`."""

    def __init__(self, accounts: Sequence[Any]) -> None:
        self._accounts = accounts

    def starting_balances(self) -> Balances:
        """What they began with."""
        return _summed(account.starting_balances() for account in self._accounts)

    def balances_total(self) -> Balances:
        """What they have."""
        return _summed(account.balances_total() for account in self._accounts)

    @property
    def events(self) -> list[State]:
        """The sums after every change, in time order."""
        held = {account.id: account.starting_balances() for account in self._accounts}
        changes = [state for account in self._accounts for state in account.events]
        states = []
        for change in sorted(changes, key=lambda state: int(state.ts_event)):
            held[change.account_id] = {each.currency: each.total for each in change.balances}
            sums = _summed(held.values())
            states.append(State(change.ts_event, tuple(Balance(*each) for each in sums.items())))
        return states


def _summed(balances: Iterable[Balances]) -> Balances:
    sums: dict[Any, Decimal] = {}
    for held in balances:
        for currency, money in held.items():
            sums[currency] = sums.get(currency, Decimal(0)) + money.as_decimal()
    return {currency: Money(total, currency) for currency, total in sums.items()}


_RETURNS = "returns"


def result_of(
    engine: BacktestEngine,
    currency: Any,
    fills: Sequence[Any],
    curve: Sequence[EquityPoint],
    *,
    zone: ZoneInfo,
    marks: Marks,
    benchmark: Mapping[int, float],
    elapsed_s: float,
    requests: tuple[int, int] = (0, 0),
) -> TrialResult:
    """The whole result. `currency` is what it is counted in, `fills` are the OrderFilled events, `marks` value what is open, `benchmark` has what that
    cost by moment of the curve, `elapsed_s` is wall time, `requests` those for the past: how many were answered from the catalog, and how many with nothing.

    Metrics are of `curve`, the marked equity, by days of `zone`. Statistics are NautilusTrader's for its one account, and by its analyzer
    over all accounts together where there are several.
    """
    told = _told(engine)
    pnls = told.stats_pnls.get(currency.code, {})
    trades = tuple(trade for position in _positions(engine) if (trade := _trade(position)))
    orders = sorted(engine.cache.orders(), key=order_key)
    held = open_positions(engine.cache, marks)
    algorithms = [each.id.value for each in engine.trader.exec_algorithms()]
    names = [name.value for name in engine.trader.strategy_ids()]
    samples = [Sample(point.at_ns, point.equity) for point in curve]
    made, beside = performance(samples, zone), relative(samples, benchmark, zone)
    updates, filled = numbered(
        (order_update(order.last_event, engine.cache) for order in orders), map(fill, fills)
    )
    return TrialResult(
        currency=currency.code,
        metrics=_metrics(made, beside, curve, trades, currency.code),
        trades=trades,
        equity_curve=tuple(curve),
        open_positions=tuple(held),
        summary=RunSummary(
            figures_version=FIGURES_VERSION,
            timezone=zone.key,
            returns=made.returns,
            years=made.years,
            nautilus_statistics=_nautilus(pnls, told.stats_returns),
            orders=order_counts(orders, algorithms),
            positions_open=len(held),
            open_positions=tuple(held[:MAX_NAMED]),
            open_orders=tuple(open_orders(orders)[:MAX_NAMED]),
            strategies=by_strategy(names, orders, fills, trades, held) if len(names) > 1 else (),
            answered_requests=requests[0],
            unanswered_requests=requests[1],
        ),
        statistics=_statistics(told),
        balances=_sums(
            money for account in engine.cache.accounts() for money in account.balances_total().values()
        ),
        orders=updates,
        fills=filled,
        fees=_sums(event.commission for event in fills),
        events=told.iterations,
        elapsed_s=elapsed_s,
    )


def _told(engine: BacktestEngine) -> Any:
    accounts = engine.cache.accounts()
    if len(accounts) > 1:
        positions = [*engine.cache.positions(), *engine.cache.position_snapshots()]
        engine.portfolio.analyzer.calculate_statistics(Together(accounts), positions)
    return engine.get_result()


def _statistics(told: Any) -> dict[str, dict[str, float | None]]:
    found = {code: _finite(stats) for code, stats in told.stats_pnls.items()}
    return {**found, _RETURNS: _finite(told.stats_returns)}


def by_strategy(
    names: Sequence[str],
    orders: Sequence[Any],
    fills: Sequence[Any],
    trades: Sequence[ClosedTrade],
    held: Sequence[OpenPosition],
) -> tuple[StrategyFigures, ...]:
    """What each strategy did, in the order of their names. Orders that an execution algorithm made are their strategy's."""
    return tuple(
        StrategyFigures(
            strategy_id=name,
            orders=sum(order.strategy_id.value == name for order in orders),
            fills=len(own := [event for event in fills if event.strategy_id.value == name]),
            trades=len(closed := [trade for trade in trades if trade.strategy_id == name]),
            pnl=_profits(closed),
            fees=_sums(event.commission for event in own),
            positions_open=sum(position.strategy_id == name for position in held),
        )
        for name in sorted(names)
    )


def _profits(trades: Sequence[ClosedTrade]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for trade in trades:
        sums[trade.currency] = sums.get(trade.currency, Decimal(0)) + Decimal(trade.pnl)
    return {code: f"{total:f}" for code, total in sorted(sums.items())}


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


def _metrics(
    made: Performance,
    beside: Relative,
    curve: Sequence[EquityPoint],
    trades: Sequence[ClosedTrade],
    currency: str,
) -> Metrics:
    """Amounts of money are of trades in `currency`; where some are in another one, there is no sum of all."""
    wins = [float(trade.pnl) for trade in trades if float(trade.pnl) > 0]
    losses = [float(trade.pnl) for trade in trades if float(trade.pnl) < 0]
    is_one = all(trade.currency == currency for trade in trades)
    return Metrics(
        total_return=made.total_return,
        annualized_return=made.annualized_return,
        sharpe_ratio=made.sharpe_ratio,
        sortino_ratio=made.sortino_ratio,
        max_drawdown=made.max_drawdown,
        max_drawdown_days=made.max_drawdown_days,
        volatility=made.volatility,
        calmar_ratio=made.calmar_ratio,
        final_equity=curve[-1].equity,
        information_ratio=beside.information_ratio,
        alpha=beside.alpha,
        beta=beside.beta,
        win_rate=len(wins) / len(trades) if trades else None,
        profit_factor=math.fsum(wins) / -math.fsum(losses) if losses and is_one else None,
        total_trades=len(trades),
        winning_trades=len(wins),
        losing_trades=len(losses),
        average_win=math.fsum(wins) / len(wins) if wins and is_one else None,
        average_loss=math.fsum(losses) / len(losses) if losses and is_one else None,
        largest_win=max(wins, default=None) if is_one else None,
        largest_loss=min(losses, default=None) if is_one else None,
    )


def _nautilus(pnls: Mapping[str, Any], returns: Mapping[str, Any]) -> NautilusStatistics:
    percent = _number(pnls.get("PnL% (total)"))
    return NautilusStatistics(
        total_return=percent / 100 if percent is not None else None,
        annualized_return=_stat(returns, "CAGR"),
        volatility=_stat(returns, "Returns Volatility"),
        sharpe_ratio=_stat(returns, "Sharpe Ratio"),
        sortino_ratio=_stat(returns, "Sortino Ratio"),
        calmar_ratio=_stat(returns, "Calmar Ratio"),
        max_drawdown=_stat(returns, "Max Drawdown"),
        profit_factor=_stat(returns, "Profit Factor"),
    )


def _stat(stats: Mapping[str, Any], name: str) -> float | None:
    """The statistic of this name; NautilusTrader puts the days of a year behind some."""
    return next((_number(value) for key, value in stats.items() if key.startswith(name)), None)


def _finite(stats: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in stats.items()}


def _number(value: Any) -> float | None:
    """NautilusTrader gives NaN where a statistic is not defined, and JSON has no such number."""
    return float(value) if value is not None and math.isfinite(value) else None
