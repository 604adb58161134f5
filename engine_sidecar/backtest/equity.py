"""The marked equity of a run: at each day's end, and at regular moments of a short one."""

from collections.abc import Callable, Iterable
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model.identifiers import Venue

from flotilla.engine_sidecar.backtest.feeding import Looks
from flotilla.engine_sidecar.backtest.performance import DAY_NS, day_end
from flotilla.engine_sidecar.replay.streams import Extent
from flotilla.schemas.backtest import MAX_CURVE_POINTS, EquityPoint

SHORTEST_NS: Final = 1_000_000_000
"""Between two regular points of an equity curve."""


class EquitySampler:
    """Values the account of every venue when it is told to.

    It has no timer: the engine lets venues work at every timer, so that orders on their way would arrive earlier than without it.
    `currency` is that of every account, `first_ns` the moment of the first event.
    """

    def __init__(self, engine: Any, venues: Iterable[str], currency: Any, first_ns: int) -> None:
        self._engine = engine
        self._venues = [Venue(name) for name in venues]
        self._currency = currency
        self._first_ns = first_ns
        self._highest = 0.0
        self.points: list[EquityPoint] = []
        self.unpriced: set[str] = set()
        """Instruments that were held at a sample, and could not be valued."""

    def sample(self, at_ns: int | None = None) -> None:
        """Adds the present moment to the curve, as `at_ns` where that is given; of those at one moment the last stays.

        The first one is before the first event, and has its time; it stays too.
        """
        valued = [self._valued(venue) for venue in self._venues]
        balance, unrealized, equity = (float(sum(parts)) for parts in zip(*valued, strict=True))
        self._highest = max(self._highest, equity)
        moment = at_ns if at_ns is not None else int(self._engine.kernel.clock.timestamp_ns())
        point = EquityPoint(
            at_ns=max(moment, self._first_ns),
            equity=equity,
            balance=balance,
            unrealized_pnl=unrealized,
            drawdown=1.0 - equity / self._highest if self._highest > 0 else 0.0,
        )
        if len(self.points) > 1 and self.points[-1].at_ns == point.at_ns:
            self.points.pop()
        self.points.append(point)

    def _valued(self, venue: Venue) -> tuple[Decimal, Decimal, Decimal]:
        """Balance, unrealized profit and equity of a venue's account."""
        portfolio, currency = self._engine.portfolio, self._currency
        account = portfolio.account(venue)
        if account is None:
            return Decimal(0), Decimal(0), Decimal(0)
        balance = account.balance_total(currency).as_decimal()
        unrealized = self._unrealized(account.id)
        if account.is_margin_account:
            return balance, unrealized, balance + unrealized
        equity = portfolio.equity(venue, account.id)[currency].as_decimal()
        self.unpriced.update(each.value for each in portfolio.missing_price_instruments(venue))
        return balance, unrealized, equity

    def _unrealized(self, account_id: Any) -> Decimal:
        """Profit of an account's open positions: all that `portfolio.equity` adds to a margin account's balance, at two thirds of its time.

        By the account: without one NautilusTrader answers with what it worked out last, which trades do not renew, and with 0 for
        what it cannot value.
        """
        total = Decimal(0)
        for instrument_id in {
            each.instrument_id for each in self._engine.cache.positions_open(account_id=account_id)
        }:
            pnl = self._engine.portfolio.unrealized_pnl(instrument_id, account_id=account_id)
            if pnl is None:
                self.unpriced.add(instrument_id.value)
            else:
                total += pnl.as_decimal()
        return total


def looks_of(extent: Extent, zone: tzinfo, look: Callable[[], None]) -> Looks:
    """Each day's end; of a run shorter than that many days, as many regular moments as an equity curve takes beside."""
    step = max(SHORTEST_NS, -(-(extent.last - extent.first) // (MAX_CURVE_POINTS - 2)))

    def regular(at_ns: int) -> int:
        return extent.first - 1 - (extent.first - 1 - at_ns) // step * step

    def next_one(at_ns: int) -> int:
        end = day_end(at_ns, zone)
        return end if step >= DAY_NS else min(end, regular(at_ns))

    return Looks(extent.first, next_one, look)
