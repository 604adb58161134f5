"""What is wrong with an instrument is named by its field; what NautilusTrader or its catalog would lose is refused."""

from typing import Any

import pytest
from nautilus_trader.model import instruments
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from flotilla.engine_sidecar.catalog.described import described, pair_of, to_dict
from flotilla.engine_sidecar.catalog.instrument_files import of_instrument
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument_classes import CLASSES, FIELDS, InstrumentClass

FUTURE: dict[str, Any] = {
    "id": "6EH4.CME",
    "asset_class": "FX",
    "currency": "USD",
    "price_increment": "0.00005",
    "multiplier": "125000",
    "underlying": "6E",
    "expiration_ns": 1_710_806_399_999_999_999,
}
PERPETUAL: dict[str, Any] = {
    "id": "BTCUSD-PERP.SIM",
    "base_currency": "BTC",
    "quote_currency": "USD",
    "settlement_currency": "BTC",
    "is_inverse": True,
    "price_increment": "0.1",
    "size_increment": "1",
    "maker_fee": "0",
    "taker_fee": "0.0005",
}
EQUITY: dict[str, Any] = {"id": "AAPL.XNAS", "currency": "USD", "price_increment": "0.01"}


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("future", FUTURE | {"price_increment": "0"}, "price_increment must be above 0, not 0"),
        ("future", FUTURE | {"price_increment": 0.00005}, "price_increment must be text"),
        ("future", FUTURE | {"price_increment": "5e-5"}, "price_increment '5e-5' is no plain number"),
        ("future", FUTURE | {"price_increment": "NaN"}, "price_increment 'NaN' is no plain number"),
        ("future", FUTURE | {"price_increment": "a"}, "price_increment 'a' is no number"),
        (
            "future",
            FUTURE | {"price_precision": 4},
            "price_precision 4 is not the 5 decimals of price_increment",
        ),
        ("future", FUTURE | {"price_precision": 99}, "price_precision must be a whole number from 0 to 16"),
        ("future", FUTURE | {"multiplier": "9" * 30}, "is more than NautilusTrader counts to"),
        ("future", FUTURE | {"expiration_ns": 2**63}, "expiration_ns must be a whole number from 0 to"),
        ("equity", EQUITY | {"size_increment": "0.5"}, "size_increment is no field of class equity"),
        ("perpetual", PERPETUAL | {"max_notional": f"{'9' * 30} USD"}, "max_notional 999"),
        ("future", FUTURE | {"multiplier": "-1"}, "multiplier must be above 0, not -1"),
        ("future", FUTURE | {"lot_size": "0"}, "lot_size must be above 0"),
        ("future", FUTURE | {"margin_init": "-0.1"}, "margin_init must not be below 0"),
        ("future", FUTURE | {"taker_fee": "2"}, "taker_fee is a share of the notional"),
        ("future", FUTURE | {"currency": "XXQ"}, "currency 'XXQ' is no currency that NautilusTrader knows"),
        ("future", FUTURE | {"asset_class": "FISH"}, "asset_class 'FISH' is none of"),
        ("future", FUTURE | {"activation_ns": 2 * 10**18}, "is not after activation_ns"),
        ("future", FUTURE | {"expiration_ns": None}, "expiration_ns must be given (--expiry)"),
        ("future", FUTURE | {"expiration_ns": True}, "expiration_ns must be a whole number"),
        (
            "future",
            FUTURE | {"max_quantity": "10"},
            "max_quantity is no field of class future, and would be lost",
        ),
        (
            "future",
            FUTURE | {"size_increment": "0.1", "size_precision": 1},
            "size_increment is 1 for class future",
        ),
        ("future", FUTURE | {"colour": "red"}, "colour is no field of class future, and would be lost"),
        (
            "future",
            FUTURE | {"tick_scheme_name": "FOREX_5DECIMAL"},
            "tick_scheme_name is no field of class future",
        ),
        ("future", FUTURE | {"info": "text"}, "info must be an object"),
        ("equity", EQUITY | {"isin": "US0378331006"}, "isin 'US0378331006' is wrong"),
        ("equity", EQUITY | {"isin": "APPLE"}, "isin 'APPLE' is wrong"),
        ("equity", EQUITY | {"min_quantity": "0"}, "min_quantity must be above 0, not 0"),
        (
            "equity",
            EQUITY | {"min_quantity": "9", "max_quantity": "8"},
            "min_quantity 9 is above max_quantity 8",
        ),
        (
            "perpetual",
            PERPETUAL | {"settlement_currency": "USD"},
            "is_inverse is wrong for what is settled in",
        ),
        ("perpetual", PERPETUAL | {"is_inverse": False}, "is_inverse must be true (--inverse)"),
        ("perpetual", PERPETUAL | {"is_inverse": "yes"}, "is_inverse must be true or false"),
        ("perpetual", PERPETUAL | {"base_currency": "USD"}, "base_currency and quote_currency are both USD"),
        ("perpetual", PERPETUAL | {"taker_fee": None}, "taker_fee must be given (--taker-fee)"),
        ("perpetual", PERPETUAL | {"min_notional": "5"}, "min_notional '' is no currency"),
        ("perpetual", PERPETUAL | {"min_notional": "-5 USD"}, "min_notional must be above 0"),
    ],
)
def test_a_fault_is_named_by_its_field(kind: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        described(InstrumentClass(kind), values)
    assert said in str(refused.value)
    assert str(refused.value).startswith(values["id"])


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ImportRefusedError) as refused:
        described(InstrumentClass.FUTURE, FUTURE | {"multiplier": "0", "currency": "XXQ", "underlying": None})
    assert [each in str(refused.value) for each in ("multiplier", "XXQ", "underlying must be given")] == [
        True
    ] * 3


def test_a_currency_that_is_new_is_taken_when_it_is_said() -> None:
    new = PERPETUAL | {"base_currency": "PEPE", "settlement_currency": "PEPE"}
    with pytest.raises(ImportRefusedError, match="takes one with --new-currency PEPE"):
        described(InstrumentClass.PERPETUAL, new)
    assert described(InstrumentClass.PERPETUAL, new, ("PEPE",)).get_cost_currency().code == "PEPE"


def samples() -> dict[str, Any]:
    """An instrument of NautilusTrader's test kit of each class that it has one of."""
    makers = (getattr(TestInstrumentProvider, name) for name in dir(TestInstrumentProvider) if name[0] != "_")
    found: dict[str, Any] = {}
    for maker in makers:
        try:
            one = maker()
        except TypeError:
            continue
        if isinstance(one, instruments.Instrument):
            found.setdefault(type(one).__name__, one)
    return found


SAMPLES = samples()


@pytest.mark.parametrize("kind", CLASSES)
def test_the_fields_of_each_class_are_those_of_nautilustrader(kind: InstrumentClass) -> None:
    row = CLASSES[kind]
    assert hasattr(instruments, row.nautilus)
    assert {*row.needs, *row.may, *row.fixed} <= FIELDS.keys()
    if row.nautilus in SAMPLES:
        assert {"id", *row.fields} <= to_dict(SAMPLES[row.nautilus]).keys()


def test_every_class_of_nautilustrader_is_one_of_ours() -> None:
    theirs = {
        name
        for name in dir(instruments)
        if isinstance(each := getattr(instruments, name), type)
        and issubclass(each, instruments.Instrument)
        and each is not instruments.Instrument
    }
    assert {row.nautilus for row in CLASSES.values()} | {"BettingInstrument"} == theirs


@pytest.mark.parametrize("name", SAMPLES)
def test_what_nautilustrader_writes_comes_back_as_it_was(name: str) -> None:
    sample = SAMPLES[name]
    given = of_instrument(sample)
    if name == "BettingInstrument":  # whose catalog form has no limits
        with pytest.raises(ImportRefusedError, match="min_notional would be lost"):
            described(given.kind, given.values)
        del given.values["min_notional"]
        assert to_dict(described(given.kind, given.values)) == to_dict(sample) | {"min_notional": None}
    else:
        assert to_dict(described(given.kind, given.values)) == to_dict(sample)


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("EUR/USD", ("EUR", "USD")),
        ("EURUSD", ("EUR", "USD")),
        ("BTCUSDT", ("BTC", "USDT")),
        ("DOGEUSDC", ("DOGE", "USDC")),
        ("PEPE/USDT", ("PEPE", "USDT")),
        ("AAPL", None),
        ("GOOGL", None),
        ("BERKSHIRE", None),
        ("USD", None),
    ],
)
def test_a_pair_is_what_two_currencies_make(symbol: str, pair: tuple[str, str] | None) -> None:
    assert pair_of(symbol) == pair
