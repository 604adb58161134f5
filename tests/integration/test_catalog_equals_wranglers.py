"""What an import writes is what NautilusTrader's own wranglers and catalog would have: files byte for byte of the same columns."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.wranglers import (
    BarDataWrangler,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
)

from flotilla.engine_sidecar.catalog import survey as survey_module
from flotilla.engine_sidecar.catalog.importing import ImportOrder, import_data
from flotilla.engine_sidecar.catalog.instruments import new_instrument
from flotilla.engine_sidecar.catalog.plain_times import NotPlainError
from flotilla.engine_sidecar.catalog.reading import DataType, Stamp

PAIR = new_instrument(InstrumentId.from_str("BTC/USDT.SIM"), 2, 6, "USD")
ROWS = 3_000
START = 1_700_000_000_000


def prices(seed: int) -> list[int]:
    """In cents."""
    chance, price, found = random.Random(seed), 4_000_000, []
    for _ in range(ROWS):
        price += chance.randint(-50, 50)
        found.append(price)
    return found


def cents(price: int) -> str:
    return f"{price // 100}.{price % 100:02}"


def trades() -> pd.DataFrame:
    chance = random.Random(2)
    return pd.DataFrame(
        {
            "timestamp": [START + 7 * number for number in range(ROWS)],
            "price": list(map(cents, prices(1))),
            "quantity": [f"{chance.randint(1, 9_999_999) / 10**6:.6f}" for _ in range(ROWS)],
            "side": [chance.choice(["BUY", "SELL"]) for _ in range(ROWS)],
            "trade_id": [f"t{number}" for number in range(ROWS)],
        }
    )


def quotes() -> pd.DataFrame:
    chance = random.Random(3)
    return pd.DataFrame(
        {
            "timestamp": [START + 7 * number for number in range(ROWS)],
            "bid_price": list(map(cents, prices(1))),
            "ask_price": [cents(price + 3) for price in prices(1)],
            "bid_size": [f"{chance.randint(0, 9_999_999) / 10**6:.6f}" for _ in range(ROWS)],
            "ask_size": [f"{chance.randint(0, 9_999_999) / 10**6:.6f}" for _ in range(ROWS)],
        }
    )


def bars() -> pd.DataFrame:
    closes = prices(4)
    return pd.DataFrame(
        {
            "timestamp": [START + 60_000 * number for number in range(ROWS)],
            "open": list(map(cents, closes)),
            "high": [cents(price + 20) for price in closes],
            "low": [cents(price - 20) for price in closes],
            "close": [cents(price + 5) for price in closes],
            "volume": [f"{number % 977}.{number:06}" for number in range(ROWS)],
        }
    )


def read(file: Path) -> pd.DataFrame:
    """As wranglers take it; of other frames than those of `read_csv` they may say that they cannot be written to."""
    frame = pd.read_csv(file, index_col="timestamp")
    frame.index = pd.to_datetime(frame.index, unit="ms", utc=True)
    return frame


BAR_TYPE = "BTC/USDT.SIM-1-MINUTE-LAST-EXTERNAL"
CASES: dict[DataType, tuple[Any, Any, Any, str]] = {
    DataType.TRADES: (trades, TradeTickDataWrangler(PAIR), TradeTick, "BTC/USDT.SIM"),
    DataType.QUOTES: (quotes, QuoteTickDataWrangler(PAIR), QuoteTick, "BTC/USDT.SIM"),
    DataType.BARS: (bars, BarDataWrangler(BarType.from_str(BAR_TYPE), PAIR), Bar, BAR_TYPE),
}


def order(file: Path, data_type: DataType) -> ImportOrder:
    is_bars = data_type is DataType.BARS
    return ImportOrder(
        files=(file,),
        data_type=data_type,
        instrument="BTC/USDT.SIM",
        bar_type=BAR_TYPE if is_bars else None,
        stamp=Stamp.CLOSE if is_bars else None,
        price_precision=2,
        size_precision=6,
    )


def never_plain(*_: object) -> None:
    raise NotPlainError("asked not to be")


def written_in(catalog: Path) -> Path:
    """Its one file of events."""
    (file,) = (
        one for kind in ("bar", "quote_tick", "trade_tick") for one in catalog.glob(f"data/{kind}/*/*")
    )
    return file


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of the wranglers
@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize("is_plain", [True, False])
def test_every_row_and_the_file_itself_are_as_nautilus_trader_writes_them(
    tmp_path: Path, data_type: DataType, is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, wrangler, kind, identifier = CASES[data_type]
    made().to_csv(tmp_path / "data.csv", index=False)
    if not is_plain:
        monkeypatch.setattr(survey_module, "plain_tables", never_plain)
    done = import_data(tmp_path / "ours", order(tmp_path / "data.csv", data_type), lambda *_: None)
    assert done.new_rows == ROWS
    events = [kind.from_dict(kind.to_dict(one)) for one in wrangler.process(read(tmp_path / "data.csv"))]
    theirs = ParquetDataCatalog(str(tmp_path / "theirs"))
    theirs.write_data(events)
    ours = ParquetDataCatalog(str(tmp_path / "ours")).query(kind, [identifier])
    assert [kind.to_dict(one) for one in ours] == [kind.to_dict(one) for one in events]
    one, other = (written_in(tmp_path / side) for side in ("ours", "theirs"))
    assert one.relative_to(tmp_path / "ours") == other.relative_to(tmp_path / "theirs")
    assert pq.read_table(one).equals(pq.read_table(other), check_metadata=True)
