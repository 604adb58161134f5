"""What `instrument add` describes trades as NautilusTrader trades it: fees, multiplier, currencies and expiry come from the instrument."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.currencies import BTC, ETH, EUR, USD, USDT
from nautilus_trader.model.enums import AssetClass, OptionKind
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import (
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    FuturesContract,
    Instrument,
    OptionContract,
)
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.schemas.backtest import QUOTE_CURRENCY
from tests import instrument_catalog
from tests.engine_processes import from_template
from tests.instrument_catalog import ORDERS
from tests.integration.test_trial_equals_backtest import ENGINE, FOREVER, VENUE, trial
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same, trader

SIZE = 2_000
BALANCE = 100_000_000


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


def plan(instrument: Instrument, **venue: Any) -> dict[str, Any]:
    """Trades on its quotes, with an account in what it is settled in, and no commission of the run's own."""
    name, currency = instrument.id.value, instrument.get_cost_currency().code
    own = VENUE | {
        "name": instrument.id.venue.value,
        "base_currency": currency,
        "starting_balances": [f"{BALANCE} {currency}"],
    }
    return {
        "data": [{"kind": "quotes", "identifier": name}],
        "instruments": [name],
        "strategies": [trader(name, size=SIZE)],
        "venues": [own | venue],
        "engine": ENGINE,
        "start_ns": 0,
        "end_ns": FOREVER,
        "chunk": 40,
    }


@pytest.mark.parametrize("what", ORDERS)
def test_a_trial_gives_what_nautilustrader_gives(
    made: dict[str, Instrument], pairs: Pairs, what: str
) -> None:
    ours, theirs = pairs.run(plan(made[what]))
    assert_same(ours, numbered(theirs))
    assert len(ours["fills"]) > 10
    currency = made[what].get_cost_currency().code
    assert ours["currency"] == currency
    paid = sum(Decimal(fill["commission"]) for fill in ours["fills"])
    assert (paid > 0) == (made[what].taker_fee > 0)
    assert Decimal(ours["fees"][currency]) == paid


@pytest.mark.parametrize("what", ["inverse perpetual"])
def test_without_a_base_currency_it_is_what_the_instrument_is_settled_in(
    folder: Path, made: dict[str, Instrument], pairs: Pairs, what: str
) -> None:
    given, _ = pairs.run(plan(made[what]))
    free = plan(made[what], base_currency=None, starting_balances=[f"{BALANCE} {QUOTE_CURRENCY}"])
    del free["chunk"]
    (*_, last) = trial(folder, free)
    assert last["result"]["balances"] == given["balances"]


def numbered(theirs: dict[str, Any]) -> dict[str, Any]:
    """With the number that we give to the order of an expiry, whose id NautilusTrader draws, and filled as it was."""
    drawn = next((name for name in theirs["orders"] if name.startswith("EXPIRATION-LEG-")), None)
    if drawn is None:
        return theirs
    renamed: dict[str, Any] = json.loads(json.dumps(theirs).replace(drawn, "EXPIRATION-LEG-1"))
    (last,) = (fill for fill in renamed["fills"] if fill["client_order_id"] == "EXPIRATION-LEG-1")
    renamed["orders"]["EXPIRATION-LEG-1"] = ["FILLED", last["last_qty"]]
    return renamed


def test_a_contract_is_closed_when_it_expires_and_not_traded_after(
    made: dict[str, Instrument], pairs: Pairs
) -> None:
    ours, _ = pairs.run(plan(made["a future that expires"]))
    told = ours["summary"]["orders"]
    (reason,) = told["reasons"]
    assert "ESU0.CME has expired, expiration 2020-09-13T12:29" in reason["reason"]
    assert (ours["summary"]["positions_open"], told["unsent"]) == (0, 0)
    assert ours["fills"][-1]["client_order_id"] == "EXPIRATION-LEG-1"


def strategy_on(instrument: Instrument, template: str, **parameters: Any) -> dict[str, Any]:
    """A plan with one of our own strategies, on bars of a minute that NautilusTrader makes of the quotes."""
    name = instrument.id.value
    bars = {"instrument_id": name, "bar_type": f"{name}-1-MINUTE-BID-INTERNAL"}
    return plan(instrument) | {"strategies": [from_template(template, **bars, **parameters)]}


@pytest.mark.parametrize("what", ["inverse perpetual", "future"])
def test_our_own_strategy_puts_its_balance_into_it(
    made: dict[str, Instrument], pairs: Pairs, what: str
) -> None:
    ours, theirs = pairs.run(strategy_on(made[what], "buy_and_hold"))
    assert_same(ours, theirs)
    (position,) = ours["open_positions"]
    notional = made[what].notional_value(
        Quantity.from_str(position["quantity"]), Price.from_str(f"{position['entry_price']:.2f}")
    )
    # Less a step and the fee, and what the close is from the fill.
    assert 0.99 * BALANCE < notional.as_double() <= 1.001 * BALANCE


def test_a_stop_on_an_inverse_perpetual_loses_what_it_may(made: dict[str, Instrument], pairs: Pairs) -> None:
    chosen = {"atr_period": 1, "entry_multiple": 0.0001, "stop_multiple": 2.0, "allow_short": True}
    risk = {"trade_size": None, "risk_fraction": "0.001", "cooldown_bars": 0}
    wanted = strategy_on(made["inverse perpetual"], "simple_momentum", **chosen, **risk)
    wanted["venues"][0]["starting_balances"] = ["100 BTC"]
    ours, theirs = pairs.run(wanted)
    assert_same(ours, theirs)
    entry = ours["fills"][0]
    stop = next(order for order in ours["orders"] if order["order_type"] == "STOP_MARKET")
    loss = (
        100 * float(entry["last_qty"]) * abs(1 / float(entry["last_px"]) - 1 / float(stop["trigger_price"]))
    )
    assert loss == pytest.approx(0.1, rel=0.01)


COMMON: dict[str, Any] = {"ts_event": 0, "ts_init": 0}


def named(name: str) -> dict[str, Any]:
    instrument_id = InstrumentId.from_str(name)
    return {"instrument_id": instrument_id, "raw_symbol": Symbol(instrument_id.symbol.value), **COMMON}


def by_hand() -> dict[str, Instrument]:
    """The same, as somebody writes them with NautilusTrader."""
    one = Quantity.from_int(1)
    perpetual = {"margin_init": Decimal("0.05"), "margin_maint": Decimal("0.025")}
    fees = {"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0005")}
    return {
        "currency pair": CurrencyPair(
            **named("EUR/USD.SIM"),
            base_currency=EUR,
            quote_currency=USD,
            price_precision=5,
            size_precision=0,
            price_increment=Price.from_str("0.00001"),
            size_increment=one,
            margin_init=Decimal("0.03"),
            taker_fee=Decimal("0.00002"),
        ),
        "linear perpetual": CryptoPerpetual(
            **named("BTCUSDT-PERP.BINANCE"),
            base_currency=BTC,
            quote_currency=USDT,
            settlement_currency=USDT,
            is_inverse=False,
            price_precision=1,
            size_precision=3,
            price_increment=Price.from_str("0.1"),
            size_increment=Quantity.from_str("0.001"),
            **perpetual,
            **fees,
        ),
        "inverse perpetual": CryptoPerpetual(
            **named("BTCUSD-PERP.BINANCE"),
            base_currency=BTC,
            quote_currency=USD,
            settlement_currency=BTC,
            is_inverse=True,
            price_precision=1,
            size_precision=0,
            price_increment=Price.from_str("0.1"),
            size_increment=one,
            multiplier=Quantity.from_int(100),
            **fees,
        ),
        "future": FuturesContract(
            **named("6EZ0.CME"),
            asset_class=AssetClass.FX,
            currency=USD,
            price_precision=5,
            price_increment=Price.from_str("0.00005"),
            multiplier=Quantity.from_int(125_000),
            lot_size=one,
            underlying="6E",
            activation_ns=0,
            expiration_ns=end_of(2020, 12, 14),
            taker_fee=Decimal("0.00001"),
            exchange="XCME",
        ),
        "equity": Equity(
            **named("ACME.XNAS"),
            currency=USD,
            price_precision=2,
            price_increment=Price.from_str("0.01"),
            lot_size=one,
            taker_fee=Decimal("0.0005"),
        ),
        "option": OptionContract(
            **named("ACME201218C00100000.OPRA"),
            asset_class=AssetClass.EQUITY,
            currency=USD,
            price_precision=2,
            price_increment=Price.from_str("0.01"),
            multiplier=Quantity.from_int(100),
            lot_size=one,
            underlying="ACME",
            option_kind=OptionKind.CALL,
            strike_price=Price.from_str("100.00"),
            activation_ns=0,
            expiration_ns=end_of(2020, 12, 18),
            taker_fee=Decimal("0.001"),
        ),
        "crypto spot": CurrencyPair(
            **named("ETHUSDT.BINANCE"),
            base_currency=ETH,
            quote_currency=USDT,
            price_precision=2,
            size_precision=4,
            price_increment=Price.from_str("0.01"),
            size_increment=Quantity.from_str("0.0001"),
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
        ),
    }


def end_of(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() + 86_400) * 10**9 - 1


def test_what_is_described_is_what_one_writes_by_hand(made: dict[str, Instrument], folder: Path) -> None:
    stored = {one.id.value: one for one in ParquetDataCatalog(str(folder)).instruments()}
    for what, instrument in by_hand().items():
        kind = type(instrument)
        assert kind.to_dict(made[what]) == kind.to_dict(instrument), what
        assert kind.to_dict(stored[instrument.id.value]) == kind.to_dict(instrument), what
