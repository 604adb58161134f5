"""The table of common instruments: each row is sound, and names and months find what they mean."""

import pytest

from flotilla.engine_sidecar.catalog import common
from flotilla.engine_sidecar.catalog.adding import added
from flotilla.engine_sidecar.catalog.described import class_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.schemas.instrument import AddInstrument, CommonInstrument
from flotilla.schemas.instrument_classes import CLASSES

MISSING = {"price_increment": "0.01", "size_increment": "0.01", "maker_fee": "0", "taker_fee": "0"}


@pytest.mark.parametrize("row", common.rows(), ids=lambda row: row.key)
def test_a_row_makes_an_instrument_once_what_it_lacks_is_given(row: CommonInstrument) -> None:
    lacks = {name: text for name, text in MISSING.items() if name in CLASSES[row.instrument_class].needs}
    fields = {name: text for name, text in lacks.items() if name not in row.fields}
    name = f"{row.key}H4.{row.venue}" if row.is_root else row.key if "." in row.key else f"{row.key}.SIM"
    if row.is_root:
        fields["expiration_ns"] = "2024-03-12"
    made = added(AddInstrument(name=name, fields=fields))
    assert class_of(made.instrument) == row.instrument_class
    assert made.instrument.id.value == name
    assert made.assumed[0].startswith(f"from the table ({row.source}, {row.date})")
    for field in lacks.keys() - row.fields.keys():
        with pytest.raises(ImportRefusedError, match=f"{field} must be given"):
            added(
                AddInstrument(name=name, fields={key: text for key, text in fields.items() if key != field})
            )


def test_each_row_stands_once_with_source_and_date() -> None:
    keys = [row.key for row in common.rows()]
    assert len(keys) == len(set(keys)) > 120
    assert all(row.source and len(row.date) == 10 for row in common.rows())


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ES", "ES"),
        ("ESH4.CME", "ES"),
        ("ESH24.GLBX", "ES"),
        ("ESH2024.SIM", "ES"),
        ("M2KZ4.CME", "M2K"),
        ("6EH4.CME", "6E"),
        ("EUR/USD.IDEALPRO", "EUR/USD"),
        ("EURUSD.SIM", "EUR/USD"),
        ("BTCUSDT-PERP.BINANCE", "BTCUSDT-PERP.BINANCE"),
        ("BTC-USD-SWAP.OKX", "BTC-USD-SWAP.OKX"),
        # No contract of that month, no such venue, no such thing.
        ("ESG4.CME", None),
        ("BTCUSDT-PERP.SIM", None),
        ("BTC/USDT.BINANCE", None),
        ("ES.XNYS", None),
        ("AAPL.XNAS", None),
    ],
)
def test_a_name_finds_its_row(name: str, key: str | None) -> None:
    found = common.find(name)
    assert (found.row.key if found else None) == key


@pytest.mark.parametrize(
    ("name", "expiry", "instrument_id", "expires"),
    [
        ("ES", "2024-03", "ESH4.CME", "2024-03-15T13:30:00+00:00"),
        ("ES", "2024-12", "ESZ4.CME", "2024-12-20T14:30:00+00:00"),
        ("YM", "2023-06", "YMM3.CBOT", "2023-06-16T13:30:00+00:00"),
        ("ESU25.GLBX", "2025-09", "ESU25.GLBX", "2025-09-19T13:30:00+00:00"),
        ("6E", "2024-03-18", "6EH4.CME", "2024-03-18"),
        ("GC", "2024-02-27T18:30Z", "GCG4.COMEX", "2024-02-27T18:30Z"),
        ("CLH4.NYMEX", "2024-02-20", "CLH4.NYMEX", "2024-02-20"),
    ],
)
def test_an_expiry_tells_the_contract(name: str, expiry: str, instrument_id: str, expires: str) -> None:
    found = common.find(name)
    assert found is not None
    assert common.contract(found, name, expiry) == (instrument_id, expires)


@pytest.mark.parametrize(
    ("name", "expiry", "said"),
    [
        ("ES", None, "must be given (--expiry): a month, such as 2024-03, or a day"),
        ("CLH4.NYMEX", None, "must be given (--expiry): the last day of trading"),
        ("ES", "2026-06", "2026-06-19 is a holiday; give the day"),
        ("ES", "2008-03", "2008-03-21 is a holiday; give the day"),
        ("ES", "2024-02", "ES has no contract of that month"),
        ("ES", "2024-13", "is no month"),
        ("ES", "soon", "'soon' (--expiry) is no day or moment"),
        ("6E", "2024-03", "follows a calendar of holidays; give the day"),
        ("CL", "2024-02-20", "name the contract, such as CLH4.NYMEX"),
        ("ESH4.CME", "2025-03", "is not in the contract month of ESH4.CME"),
        ("ESH4.CME", "2024-06", "is not in the contract month of ESH4.CME"),
    ],
)
def test_an_expiry_that_tells_no_contract_is_refused(name: str, expiry: str | None, said: str) -> None:
    with pytest.raises(ImportRefusedError) as refused:
        added(AddInstrument(name=name, fields={"expiration_ns": expiry} if expiry else {}))
    assert said in str(refused.value)


def test_a_month_is_enough_for_one_that_the_catalog_has_already() -> None:
    known = added(AddInstrument(name="ESH4.CME", fields={"expiration_ns": "2024-03-14"})).instrument
    again = added(AddInstrument(name="ESH4.CME", fields={"expiration_ns": "2024-03"}), known).instrument
    assert again.expiration_ns == 1_710_509_400 * 10**9
    with pytest.raises(ImportRefusedError, match=r"2025-03.*\(--expiry\) is not in the contract month"):
        added(AddInstrument(name="ESH4.CME", fields={"expiration_ns": "2025-03"}), known)
