"""`python -m flotilla.engine_sidecar.backtest.price_history --catalog DIR --instrument ID --start NS --end NS`: prices for a benchmark.

Writes a JSON list of [UNIX ns, price], at most MAX_PRICE_POINTS, from the data set of the instrument that is read soonest: its longest
bars, else its trades, else its quotes. An empty list when the catalog has none. A program of its own, because the command line has no
pyarrow.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from nautilus_trader.model.data import BarType

from flotilla.engine_sidecar.backtest.feeding import data_set
from flotilla.engine_sidecar.catalog.entries import catalog_view
from flotilla.engine_sidecar.replay.streams import batches
from flotilla.schemas.backtest import MAX_PRICE_POINTS, TICKS, DataKind, TrialData
from flotilla.schemas.catalog import CatalogEntry
from flotilla.schemas.thinning import Point, thinned

_PRICED: Final = TICKS | {DataKind.BARS}


def prices(catalog: Path, instrument_id: str, first: int, last: int) -> list[Point]:
    """What the instrument cost from `first` to `last` (UNIX ns). Memory stays flat. Raises WrongDataError."""
    entries = [
        each
        for each in catalog_view(catalog).entries
        if each.instrument_id == instrument_id and each.data_type in _PRICED
    ]
    if not entries:
        return []
    chosen = min(entries, key=_order)
    data = data_set(TrialData(kind=DataKind(chosen.data_type), identifier=chosen.identifier))
    found: list[Point] = []
    for batch in batches(catalog, data, first, last):
        # Twice as many as wanted are kept on the way: what is thinned again and again loses no extreme, but grows coarse.
        found = thinned(
            [*found, *((int(event.ts_init), _price(event)) for event in batch)], 2 * MAX_PRICE_POINTS
        )
    return thinned(found, MAX_PRICE_POINTS)


def _order(entry: CatalogEntry) -> tuple[int, float, str]:
    if entry.data_type != DataKind.BARS:
        return 1 if entry.data_type == DataKind.TRADES else 2, 0.0, entry.identifier
    spec = BarType.from_str(entry.identifier).spec
    length = spec.timedelta.total_seconds() if spec.is_time_aggregated() else 0.0
    return 0, -length, entry.identifier


def _price(event: Any) -> float:
    """A bar's close, a trade's price, the middle of a quote."""
    if hasattr(event, "close"):
        return float(event.close)
    if hasattr(event, "bid_price"):
        return (float(event.bid_price) + float(event.ask_price)) / 2
    return float(event.price)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flotilla.engine_sidecar.backtest.price_history", description=__doc__
    )
    parser.add_argument("--catalog", type=Path, required=True, metavar="DIR")
    parser.add_argument("--instrument", required=True, metavar="ID")
    parser.add_argument("--start", type=int, required=True, metavar="NS")
    parser.add_argument("--end", type=int, required=True, metavar="NS")
    chosen = parser.parse_args(arguments)
    found = prices(chosen.catalog, chosen.instrument, chosen.start, chosen.end)
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
