"""The equity of a run at regular moments of its simulated time."""

from datetime import timedelta
from typing import Any, Final

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.model.identifiers import Venue

from schemas.backtest import MAX_CURVE_POINTS, EquityPoint

SHORTEST_S: Final = 1.0


class EquitySampler(Actor):  # type: ignore[misc]
    """Looks at balance and unrealized profit of every venue; it neither trades nor subscribes to anything.

    `currency` is what equity is counted in; accounts in other currencies do not count.
    """

    def __init__(self, venues: list[str], currency: Any, start_ns: int, end_ns: int) -> None:
        super().__init__(ActorConfig(component_id="FlotillaEquity"))
        self._venues = [Venue(name) for name in venues]
        self._currency = currency
        self._every = timedelta(seconds=max(SHORTEST_S, (end_ns - start_ns) / 1e9 / MAX_CURVE_POINTS))
        self._highest = 0.0
        self.points: list[EquityPoint] = []

    def on_start(self) -> None:
        """Sets the timer; the first look is at the first event."""
        self.clock.set_timer("equity", self._every, callback=lambda _: self.sample())

    def sample(self) -> None:
        """Adds the present moment to the curve, in the place of one that was taken at the same time."""
        balance, unrealized = 0.0, 0.0
        for venue in self._venues:
            account = self.portfolio.account(venue)
            total = account.balance_total(self._currency) if account else None
            balance += total.as_double() if total is not None else 0.0
            pnls = self.portfolio.unrealized_pnls(venue) or {}
            unrealized += sum(money.as_double() for held, money in pnls.items() if held == self._currency)
        equity = balance + unrealized
        self._highest = max(self._highest, equity)
        drawdown = 1.0 - equity / self._highest if self._highest > 0 else 0.0
        at_ns = self.clock.timestamp_ns()
        if self.points and self.points[-1].at_ns == at_ns:
            self.points.pop()
        self.points.append(
            EquityPoint(
                at_ns=at_ns, equity=equity, balance=balance, unrealized_pnl=unrealized, drawdown=drawdown
            )
        )
