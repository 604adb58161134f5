"""The marked equity of a run: at each day's end, and at regular moments of a short one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple

from nautilus_trader.model.identifiers import Venue

from flotilla.engine_sidecar.backtest.feeding import Looks
from flotilla.engine_sidecar.backtest.marks import Marks
from flotilla.engine_sidecar.replay.account_worth import AccountWorth, Part, rate_of
from flotilla.engine_sidecar.replay.rates import rate
from flotilla.engine_sidecar.replay.streams import Extent
from flotilla.schemas.backtest import MAX_CURVE_POINTS, EquityPoint, ExposurePoint
from flotilla.schemas.performance import DAY_NS, day_end

SHORTEST_NS: Final = 1_000_000_000
"""Between two regular points of an equity curve."""


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
        self._worth = AccountWorth(engine.portfolio, engine.cache, marks)
        self.points: list[EquityPoint] = []
        self.exposure: list[ExposurePoint] = []

    @property
    def unpriced(self) -> set[str]:
        """Instruments, and currencies, that were held at a sample and could not be valued."""
        held = (part for sample in self._waiting for part in sample.parts)
        return self._worth.unpriced | {part.currency.code for part in held if self._rate(part) is None}

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
        return rate_of(self._engine.cache, part, self._currency)

    def _parts(self, venue: Venue) -> Iterable[Part]:
        account = self._engine.portfolio.account(venue)
        return () if account is None else self._worth.parts(venue, account)


def looks_of(extent: Extent, zone: tzinfo, look: Callable[[], None]) -> Looks:
    """Each day's end; of a run shorter than that many days, as many regular moments as an equity curve takes beside."""
    step = max(SHORTEST_NS, -(-(extent.last - extent.first) // (MAX_CURVE_POINTS - 2)))

    def regular(at_ns: int) -> int:
        return extent.first - 1 - (extent.first - 1 - at_ns) // step * step

    def next_one(at_ns: int) -> int:
        end = day_end(at_ns, zone)
        return end if step >= DAY_NS else min(end, regular(at_ns))

    return Looks(extent.first, next_one, look)
