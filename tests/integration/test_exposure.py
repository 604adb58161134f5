"""What is held, in money: worked out again by hand from a run's fills and the quotes of its catalog."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests import instrument_catalog, marked_catalog
from tests.integration.test_instruments_traded import BALANCE, plan
from tests.integration.test_marked_equity import QUOTED, Trials, buys
from tests.integration.test_trials_equal_direct_runs import Pairs, trader

SIZE = 2_000
BY_HAND: dict[str, tuple[str, Callable[[Decimal, Decimal], Decimal]]] = {
    "currency pair": ("USD", lambda units, price: units * price),
    "inverse perpetual": ("BTC", lambda contracts, price: contracts * 100 / price),
    "future": ("USD", lambda contracts, price: contracts * 125_000 * price),
    "option": ("USD", lambda contracts, price: contracts * 100 * price),
}
"""What so many are worth, and in what: a contract of the inverse perpetual is 100 USD, one of 6E 125,000 EUR."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instruments")


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Instrument]:
    return instrument_catalog.write(folder)


@pytest.fixture(scope="module")
def pairs(folder: Path, made: dict[str, Instrument]) -> Iterator[Pairs]:
    with closing(Pairs(folder)) as running:
        yield running


def signed(fill: dict[str, Any]) -> Decimal:
    return Decimal(fill["last_qty"]) * (1 if fill["side"] == "BUY" else -1)


@pytest.mark.parametrize("what", BY_HAND)
def test_a_position_is_worth_what_it_is_by_hand(
    folder: Path, made: dict[str, Instrument], pairs: Pairs, what: str
) -> None:
    instrument = made[what]
    currency, worth = BY_HAND[what]
    ours, _ = pairs.run(plan(instrument) | {"strategies": [trader(instrument.id.value, size=SIZE)]})
    assert ours["currency"] == currency
    quotes = ParquetDataCatalog(str(folder)).quote_ticks([instrument.id.value])
    moments = [quote.ts_event for quote in quotes]
    assert [each["at_ns"] for each in ours["exposure"]] == [each["at_ns"] for each in ours["equity_curve"]]
    sides = set()
    for point, equity in list(zip(ours["exposure"], ours["equity_curve"], strict=True))[1:]:
        held = sum((signed(fill) for fill in ours["fills"] if fill["ts_event"] <= point["at_ns"]), Decimal(0))
        quote = quotes[bisect_right(moments, point["at_ns"]) - 1]
        price = (quote.bid_price if held > 0 else quote.ask_price).as_decimal()
        net = float(worth(held, price))
        assert (point["net"], point["gross"]) == pytest.approx((net, abs(net)), abs=1e-6), point
        assert point["leverage"] == pytest.approx(abs(net) / equity["equity"])
        sides.add((net > 0) - (net < 0))
    assert sides >= {1, -1}
    assert ours["equity_curve"][0]["equity"] == BALANCE


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    folder = tmp_path_factory.mktemp("rates")
    marked_catalog.write_pairs(folder)
    with closing(Trials(folder)) as trials:
        yield trials


def test_what_is_settled_in_another_currency_is_converted_as_equity_is(rates: Trials) -> None:
    """COIN is settled in USDT, of which one EUR is 1.25."""
    coin, bars = "COIN.SIM", "COIN.SIM-1-HOUR-LAST-EXTERNAL"
    result = rates.run(
        coin,
        buys(coin, 10, bars),
        venues=[QUOTED | {"base_currency": "EUR", "starting_balances": ["1000 EUR"]}],
        data=[
            {"kind": "bars", "identifier": bars},
            {"kind": "quotes", "identifier": "EUR/USDT.SIM"},
        ],
        instruments=[coin, "EUR/USDT.SIM"],
    )
    assert result["currency"] == "EUR"
    closes = {
        hour * marked_catalog.HOUR + marked_catalog.START: 100.0 + 1 + (hour - 1) % 5
        for hour in range(1, 101)
    }
    seen = 0
    for point in result["exposure"][1:]:
        past = [close for at, close in closes.items() if at <= point["at_ns"]]
        assert point["gross"] == point["net"] == pytest.approx(10 * past[-1] / 1.25 if past else 0.0)
        seen += bool(past)
    assert seen > 50


def test_long_and_short_are_added_in_gross_and_not_in_net(made: dict[str, Instrument], pairs: Pairs) -> None:
    """The same strategy twice where each order has a position of its own: both sides are open at once."""
    instrument = made["currency pair"]
    own = plan(instrument, oms_type="HEDGING")
    ours, _ = pairs.run(own | {"strategies": [trader(instrument.id.value, size=SIZE)]})
    both = [point for point in ours["exposure"] if abs(point["net"]) < point["gross"]]
    assert both
    assert all(point["gross"] >= abs(point["net"]) - 1e-6 for point in ours["exposure"])


def test_an_inverse_perpetual_in_dollars_is_worth_about_its_contracts(
    made: dict[str, Instrument], pairs: Pairs
) -> None:
    """Its value is of BTC, and BTC is valued at the middle of its own quotes: 100 USD a contract but for half a spread."""
    instrument = made["inverse perpetual"]
    own = plan(instrument, base_currency="USD", starting_balances=[f"{BALANCE} USD"])
    ours, _ = pairs.run(own | {"strategies": [trader(instrument.id.value, size=SIZE)]})
    assert ours["currency"] == "USD"
    seen = 0
    for point in ours["exposure"][1:]:
        held = sum((signed(fill) for fill in ours["fills"] if fill["ts_event"] <= point["at_ns"]), Decimal(0))
        assert point["net"] == pytest.approx(float(held) * 100, rel=1e-4, abs=1e-6)
        seen += bool(held)
    assert seen > 50
