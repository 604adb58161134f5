"""What counts as a rate from one currency to another: the price of a pair, and never an option's premium."""

from decimal import Decimal

import pytest
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs

from flotilla.engine_sidecar.replay.rates import rate

OPTION = TestInstrumentProvider.crypto_option()
SPOT = TestInstrumentProvider.btcusdt_binance()
PERPETUAL = TestInstrumentProvider.btcusdt_perp_binance()


def last(instrument: Instrument, price: str) -> TradeTick:
    size = Quantity(1, instrument.size_precision)
    return TradeTick(instrument.id, Price.from_str(price), size, AggressorSide.BUYER, TradeId("1"), 0, 0)


def found(*traded: tuple[Instrument, str]) -> Decimal | None:
    cache = TestComponentStubs.cache()
    for instrument, price in traded:
        cache.add_instrument(instrument)
        cache.add_trade_tick(last(instrument, price))
    one = traded[0][0]
    return rate(cache, one.id.venue, one.get_base_currency(), one.quote_currency)


def test_an_options_premium_is_no_rate() -> None:
    assert OPTION.id.venue == Venue("DERIBIT")
    assert found((OPTION, "0.05")) is None


@pytest.mark.parametrize(
    "traded",
    [
        ((SPOT, "50000.00"), (PERPETUAL, "50100.0")),
        ((PERPETUAL, "50100.0"), (SPOT, "50000.00")),
        ((SPOT, "50000.00"),),
    ],
)
def test_the_price_of_a_pair_comes_before_that_of_a_perpetual(
    traded: tuple[tuple[Instrument, str], ...],
) -> None:
    assert found(*traded) == Decimal(50000)


def test_without_a_pair_a_perpetual_tells() -> None:
    assert found((PERPETUAL, "50100.0")) == Decimal(50100)
