"""What is quiet, since when, and whether its market is open; which instruments a strategy names."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.common.component import TestClock
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType, InstrumentStatus, TradeTick
from nautilus_trader.model.enums import AggressorSide, MarketStatusAction
from nautilus_trader.model.identifiers import ClientId, InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity

from flotilla.engine_sidecar.engine.feeds import Feeds
from flotilla.engine_sidecar.replay.named_instruments import named

X = InstrumentId.from_str("X.SIM")
MINUTES = BarType.from_str("X.SIM-1-MINUTE-LAST-EXTERNAL")
TICKS = BarType.from_str("X.SIM-100-TICK-LAST-EXTERNAL")


class Client:
    """A venue's data client, as far as it is looked at."""

    def __init__(self) -> None:
        self.id = ClientId("SIM")
        self.is_connected = True
        self.trades: list[InstrumentId] = []
        self.bars: list[BarType] = []

    def _handle_data(self, data: Any) -> None: ...

    def subscribed_trade_ticks(self) -> list[InstrumentId]:
        return self.trades

    def subscribed_bars(self) -> list[BarType]:
        return self.bars


class Cache:
    action: MarketStatusAction | None = None

    def instrument_status(self, instrument_id: InstrumentId) -> InstrumentStatus | None:
        return InstrumentStatus(instrument_id, self.action, 0, 0) if self.action is not None else None


class Bench:
    def __init__(self, always_open: tuple[str, ...] = ()) -> None:
        self.client, self.cache, self.clock = Client(), Cache(), TestClock()
        self.now = 100.0
        engine = SimpleNamespace(_clients={self.client.id: self.client})
        kernel = SimpleNamespace(data_engine=engine, cache=self.cache)
        self.feeds = Feeds(kernel, lambda: self.now, always_open)

    def trade(self) -> None:
        one = Quantity.from_int(1)
        price = Price.from_str("1.0")
        self.client._handle_data(TradeTick(X, price, one, AggressorSide.BUYER, TradeId("1"), 7, 7))

    def quiet(self) -> list[tuple[str, float, float, bool | None]]:
        (feed,) = self.feeds.progress()
        return [(one.what, one.age_s, one.interval_s, one.is_market_open) for one in feed.quiet]


def test_a_subscription_is_quiet_from_when_it_began_and_from_its_last_data_on() -> None:
    bench = Bench()
    assert bench.quiet() == []
    bench.client.trades, bench.client.bars = [X], [MINUTES, TICKS]
    assert bench.quiet() == []
    bench.now = 110.0
    bench.trade()
    bench.now = 115.0
    assert bench.quiet() == [
        ("bars of X.SIM-1-MINUTE-LAST-EXTERNAL", 15.0, 60.0, None),
        ("bars of X.SIM-100-TICK-LAST-EXTERNAL", 15.0, 0.0, None),
        ("trades of X.SIM", 5.0, 0.0, None),
    ]
    bench.client.bars = []
    bench.trade()
    assert bench.quiet() == []


@pytest.mark.parametrize(
    ("action", "is_open"),
    [
        (None, None),
        (MarketStatusAction.NONE, None),
        (MarketStatusAction.TRADING, True),
        (MarketStatusAction.PRE_OPEN, False),
        (MarketStatusAction.HALT, False),
        (MarketStatusAction.CLOSE, False),
    ],
)
def test_a_market_is_open_when_its_venue_says_so(
    action: MarketStatusAction | None, is_open: bool | None
) -> None:
    bench = Bench()
    bench.cache.action = action
    bench.client.trades = [X]
    bench.quiet()
    bench.now += 5
    assert [each[3] for each in bench.quiet()] == [is_open]


def test_a_market_that_never_closes_is_open() -> None:
    bench = Bench(always_open=("SIM",))
    bench.client.bars = [MINUTES]
    bench.quiet()
    bench.now += 5
    assert [each[3] for each in bench.quiet()] == [True]


class TwoLegs(StrategyConfig, frozen=True):
    first: InstrumentId
    bars: list[BarType]
    legs: dict[str, InstrumentId]
    size: Decimal = Decimal(1)
    note: str = "Z.SIM"


def test_the_instruments_of_a_config_are_found_wherever_they_stand() -> None:
    y, z = InstrumentId.from_str("Y.SIM"), InstrumentId.from_str("W.SIM")
    config = TwoLegs(first=y, bars=[MINUTES, TICKS], legs={"short": z, "long": y})
    assert named(config) == (y, X, z)
