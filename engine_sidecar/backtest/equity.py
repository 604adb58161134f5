"""The marked equity of a run: at each day's end, and at regular moments of a short one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple

from nautilus_trader.model.identifiers import Venue

from flotilla.engine_sidecar.backtest.feeding import Looks
from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.engine_sidecar.backtest.rates import rate
from flotilla.engine_sidecar.replay.streams import Extent
from flotilla.schemas.backtest import MAX_CURVE_POINTS, EquityPoint, ExposurePoint
from flotilla.schemas.performance import DAY_NS, day_end

SHORTEST_NS: Final = 1_000_000_000
"""Between two regular points of an equity curve."""


class Part(NamedTuple):
    """What an account has in one currency: balance, unrealized profit, and what both come to."""

    venue: Venue
    currency: Any
    balance: Decimal
    unrealized: Decimal
    equity: Decimal


class Worth(NamedTuple):
    """What an open position is worth; of a short one less than 0. None where it has no price."""

    venue: Venue
    currency: Any
    notional: Decimal | None


class _Sample(NamedTuple):
    """A moment that is to be valued: what accounts have, and the positions that are open."""

    at_ns: int
    parts: list[Part]
    held: list[Worth]


class EquitySampler:
    """Values the account of every venue, and what its positions are worth, when it is told to.

    It has no timer: the engine lets venues work at every timer, so that orders on their way would arrive earlier than without it.
    `currency` is what results are counted in, `first_ns` the moment of the first event. What is held in another currency before there
    is a rate for it is valued at the first one that comes. `marks` has prices where the portfolio has none.
    """

    def __init__(
        self, engine: Any, venues: Iterable[str], currency: Any, first_ns: int, marks: Marks
    ) -> None:
        self._engine, self._marks = engine, marks
        self._venues = [Venue(name) for name in venues]
        self._currency = currency
        self._first_ns = first_ns
        self._highest = 0.0
        self._waiting: deque[_Sample] = deque()
        self._unpriced: set[str] = set()
        self.points: list[EquityPoint] = []
        self.exposure: list[ExposurePoint] = []

    @property
    def unpriced(self) -> set[str]:
        """Instruments, and currencies, that were held at a sample and could not be valued."""
        held = (part for sample in self._waiting for part in sample.parts)
        return self._unpriced | {part.currency.code for part in held if self._rate(part) is None}

    def sample(self, at_ns: int | None = None) -> int:
        """Adds the present moment to the curve, as `at_ns` where that is given, and returns it; of those at one moment the last stays.

        The first one is before the first event, and has its time; it stays too.
        """
        clock = self._engine.kernel.clock
        moment = max(self._first_ns, at_ns if at_ns is not None else int(clock.timestamp_ns()))
        parts = [part for venue in self._venues for part in self._parts(venue)]
        self._waiting.append(_Sample(moment, parts, list(self._held())))
        while self._waiting and (sums := self._sums(self._waiting[0].parts)) is not None:
            self._add(self._waiting.popleft(), *sums)
        return moment

    def _add(self, sample: _Sample, balance: float, unrealized: float, equity: float) -> None:
        self._highest = max(self._highest, equity)
        point = EquityPoint(
            at_ns=sample.at_ns,
            equity=equity,
            balance=balance,
            unrealized_pnl=unrealized,
            drawdown=1.0 - equity / self._highest if self._highest > 0 else 0.0,
        )
        if len(self.points) > 1 and self.points[-1].at_ns == point.at_ns:
            self.points.pop()
            self.exposure.pop()
        self.points.append(point)
        self.exposure.append(self._exposed(sample, equity))

    def _exposed(self, sample: _Sample, equity: float) -> ExposurePoint:
        worth = [self._converted(each) for each in sample.held]
        known = [each for each in worth if each is not None]
        if len(known) < len(worth):
            return ExposurePoint(at_ns=sample.at_ns, gross=None, net=None, leverage=None)
        gross = float(sum(map(abs, known)))
        leverage = gross / equity if equity > 0 else None
        return ExposurePoint(at_ns=sample.at_ns, gross=gross, net=float(sum(known)), leverage=leverage)

    def _converted(self, held: Worth) -> Decimal | None:
        if held.notional is None:
            return None
        factor = rate(self._engine.cache, held.venue, held.currency, self._currency)
        return None if factor is None else held.notional * factor

    def _held(self) -> Iterator[Worth]:
        cache = self._engine.cache
        for position in cache.positions_open():
            venue = position.instrument_id.venue
            if (price := self._marks.of(position)) is None:
                yield Worth(venue, None, None)
                continue
            money = position.notional_value(price)
            worth = money.as_decimal()
            yield Worth(venue, money.currency, worth if position.is_long else -worth)

    def _sums(self, parts: Iterable[Part]) -> tuple[float, float, float] | None:
        """Balance, unrealized profit and equity in the currency of results; None while a rate is missing."""
        balance = unrealized = equity = Decimal(0)
        for part in parts:
            if (factor := self._rate(part)) is None:
                return None
            balance += part.balance * factor
            unrealized += part.unrealized * factor
            equity += part.equity * factor
        return float(balance), float(unrealized), float(equity)

    def _rate(self, part: Part) -> Decimal | None:
        if part.currency == self._currency or not (part.balance or part.unrealized or part.equity):
            return Decimal(1)
        return rate(self._engine.cache, part.venue, part.currency, self._currency)

    def _parts(self, venue: Venue) -> Iterator[Part]:
        portfolio = self._engine.portfolio
        account = portfolio.account(venue)
        if account is None:
            return
        if (currency := account.base_currency) is None:
            yield from self._parts_by_currency(venue, account)
            return
        balance = account.balance_total(currency).as_decimal()
        unrealized = self._unrealized(account.id)
        if account.is_margin_account:
            yield Part(venue, currency, balance, unrealized, balance + unrealized)
            return
        equity = portfolio.equity(venue, account.id)[currency].as_decimal()
        for instrument_id in portfolio.missing_price_instruments(venue):
            equity += self._worth(instrument_id, account)
        yield Part(venue, currency, balance, unrealized, equity)

    def _parts_by_currency(self, venue: Venue, account: Any) -> Iterator[Part]:
        """Of an account without a base currency. One that pays in full has what it bought as a balance, where that is a currency."""
        for currency, money in account.balances_total().items():
            total = money.as_decimal()
            yield Part(venue, currency, total, Decimal(0), total)
        cache = self._engine.cache
        for position in cache.positions_open(account_id=account.id):
            if (price := self._marks.of(position)) is None:
                self._unpriced.add(position.instrument_id.value)
                continue
            pnl = position.unrealized_pnl(price)
            unrealized = equity = pnl.as_decimal()
            if not account.is_margin_account:
                is_balance = cache.instrument(position.instrument_id).get_base_currency() is not None
                worth = position.notional_value(price).as_decimal()
                equity = Decimal(0) if is_balance else worth * (1 if position.is_long else -1)
            yield Part(venue, pnl.currency, Decimal(0), unrealized, equity)

    def _unrealized(self, account_id: Any) -> Decimal:
        """Profit of an account's open positions: all that `portfolio.equity` adds to a margin account's balance, at two thirds of its time.

        By the account: without one NautilusTrader answers with what it worked out last, which trades do not renew, and with 0 for
        what it cannot value.
        """
        total = Decimal(0)
        for instrument_id in {
            each.instrument_id for each in self._engine.cache.positions_open(account_id=account_id)
        }:
            pnl = self._pnl(instrument_id, account_id)
            if pnl is None:
                self._unpriced.add(instrument_id.value)
            else:
                total += pnl.as_decimal()
        return total

    def _pnl(self, instrument_id: Any, account_id: Any) -> Any:
        portfolio = self._engine.portfolio
        pnl = portfolio.unrealized_pnl(instrument_id, account_id=account_id)
        if pnl is not None:
            return pnl
        is_long = portfolio.net_position(instrument_id, account_id=account_id) >= 0
        price = self._marks.in_book(instrument_id, is_long=is_long)
        return price and portfolio.unrealized_pnl(instrument_id, price=price, account_id=account_id)

    def _worth(self, instrument_id: Any, account: Any) -> Decimal:
        """Of what a CASH account holds and the portfolio cannot value."""
        total = Decimal(0)
        for position in self._engine.cache.positions_open(instrument_id=instrument_id, account_id=account.id):
            price = self._marks.in_book(instrument_id, is_long=position.is_long)
            if price is None or position.settlement_currency != account.base_currency:
                self._unpriced.add(instrument_id.value)
                return Decimal(0)
            total += position.notional_value(price).as_decimal() * (1 if position.is_long else -1)
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
