"""The sample data that comes with Flotilla: daily bars of two indices, see data/README.md."""

from pathlib import Path
from typing import Final

from flotilla.engine_sidecar.catalog.columns import DataType
from flotilla.engine_sidecar.catalog.importing import ImportOrder

_FOLDER: Final = Path(__file__).resolve().parents[2] / "data"


def sample_orders() -> tuple[ImportOrder, ...]:
    """S&P 500 and NASDAQ as SPX.SIM and IXIC.SIM: daily from 1999 to 2018, in dollars and cents, closing at midnight UTC."""
    return tuple(
        ImportOrder(
            files=(_FOLDER / f"{symbol.lower()}-daily.csv.gz",),
            data_type=DataType.BARS,
            instrument=f"{symbol}.SIM",
            bar_type=f"{symbol}.SIM-1-DAY-LAST-EXTERNAL",
            timezone="UTC",
            price_precision=2,
            size_precision=0,
        )
        for symbol in ("SPX", "IXIC")
    )
