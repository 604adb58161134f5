"""The equity of a run at regular moments of its simulated time."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from nautilus_trader.model.identifiers import Venue

from schemas.backtest import EquityPoint


class EquitySampler:
    """Looks at balance and unrealized profit of every venue when it is told to.

    It has no timer: the engine lets venues work at every timer, so that orders on their way would arrive earlier than without it.
    `currency` is what equity is counted in; accounts in other currencies do not count.
    """

    def __init__(self, engine: Any, venues: Iterable[str], currency: Any) -> None:
        self._engine = engine
        self._venues = [Venue(name) for name in venues]
        self._currency = currency
        self._highest = 0.0
        self.points: list[EquityPoint] = []

    def sample(self) -> None:
        """Adds the present moment to the curve, in the place of one that was taken at the same time."""
        portfolio = self._engine.portfolio
        balance, unrealized = Decimal(0), Decimal(0)
        for venue in self._venues:
            account = portfolio.account(venue)
            total = account.balance_total(self._currency) if account else None
            balance += total.as_decimal() if total is not None else 0
            pnls = portfolio.unrealized_pnls(venue) or {}
            unrealized += sum(money.as_decimal() for held, money in pnls.items() if held == self._currency)
        equity = float(balance + unrealized)
        self._highest = max(self._highest, equity)
        drawdown = 1.0 - equity / self._highest if self._highest > 0 else 0.0
        at_ns = self._engine.kernel.clock.timestamp_ns()
        if self.points and self.points[-1].at_ns == at_ns:
            self.points.pop()
        self.points.append(
            EquityPoint(
                at_ns=at_ns,
                equity=equity,
                balance=float(balance),
                unrealized_pnl=float(unrealized),
                drawdown=drawdown,
            )
        )
