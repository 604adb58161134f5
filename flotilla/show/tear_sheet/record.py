"""What a tear sheet is made from: all that is on record of a completed backtest, and the benchmark that was asked for."""

from datetime import UTC, tzinfo

import msgspec

from flotilla.schemas.backtest import (
    BacktestView,
    ClosedTrade,
    EquityPoint,
    ExposurePoint,
    Manifest,
    OpenPosition,
    PricePoint,
)
from flotilla.schemas.telemetry import Fill, OrderUpdate
from flotilla.schemas.thinning import Point
from flotilla.show.tear_sheet.analysis import DAY_NS, zone_of

_SHORT_NS = 60 * DAY_NS


class Benchmark(msgspec.Struct, frozen=True):
    """Buying and holding an instrument: its prices in time order, two or more, the first of them above 0."""

    instrument_id: str
    prices: tuple[Point, ...]

    @property
    def total_return(self) -> float:
        """From the first price to the last: without fees, dividends or funding, and without a change of currency."""
        return self.prices[-1][1] / self.prices[0][1] - 1.0

    def equity(self, start: float) -> list[Point]:
        """What `start` would have become."""
        return [(at_ns, start * price / self.prices[0][1]) for at_ns, price in self.prices]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A completed backtest, the lists of its result in their order, and the documents beside them.

    `open_positions` is None where it was not kept, as `prices` and `exposure` are empty. Without a `benchmark` it is the run's first instrument.
    """

    view: BacktestView
    manifest: Manifest
    balances: dict[str, str]
    fees: dict[str, str]
    curve: tuple[EquityPoint, ...]
    trades: tuple[ClosedTrade, ...]
    orders: tuple[OrderUpdate, ...]
    fills: tuple[Fill, ...]
    open_positions: tuple[OpenPosition, ...] | None
    prices: tuple[PricePoint, ...]
    exposure: tuple[ExposurePoint, ...] = ()
    benchmark: Benchmark | None = None

    @property
    def currency(self) -> str:
        """That of its equity."""
        return self.view.currency or ""

    @property
    def zone_name(self) -> str:
        """Where its days end."""
        return self.manifest.plan.timezone

    @property
    def zone(self) -> tzinfo:
        """The same; UTC where this machine does not know it, which `knows_zone` tells."""
        return zone_of(self.zone_name) or UTC

    @property
    def knows_zone(self) -> bool:
        """False where its days are shown as those of UTC instead."""
        return zone_of(self.zone_name) is not None

    @property
    def is_short(self) -> bool:
        """True where days do not tell its moments apart."""
        return not self.curve or self.curve[-1].at_ns - self.curve[0].at_ns < _SHORT_NS

    def priced(self) -> dict[str, list[Point]]:
        """The prices on record by instrument, in the order of the run's instruments."""
        found: dict[str, list[Point]] = {}
        for each in self.prices:
            found.setdefault(each.instrument_id, []).append((each.at_ns, each.price))
        return found

    def compared(self) -> Benchmark | None:
        """The benchmark that was asked for, else the run's first instrument; None where there is no price of it."""
        if self.benchmark is not None:
            return self.benchmark
        first = next(iter(self.view.config.instruments))
        return benchmark_of(first, self.priced().get(first, ()))


def benchmark_of(instrument_id: str, prices: "tuple[Point, ...] | list[Point]") -> Benchmark | None:
    """None of fewer than two prices, or where the first one is 0 or less: there is no return from nothing."""
    if len(prices) < 2 or prices[0][1] <= 0:
        return None
    return Benchmark(instrument_id, tuple(prices))
