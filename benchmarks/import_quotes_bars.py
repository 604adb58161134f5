"""CPU of an import of a million quotes and of a million bars, against NautilusTrader's wranglers and writer with pandas before them.

Each runs in a process of its own; a second of imports, the same for both, is not counted. What both wrote is compared before anything is told.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.import_trades import INSTRUMENT, OURS, THEIRS
from benchmarks.rounds import compare, report

ROWS = 1_000_000
ROUNDS = 3
LIMIT = 0.3
BAR_TYPE = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"
COLUMNS = {
    "quotes": ("bid_price", "ask_price", "bid_size", "ask_size"),
    "bars": ("open", "high", "low", "close", "volume"),
}
FOLDERS = {"quotes": "quote_tick", "bars": "bar"}
_MINUTE_MS = 60_000


def write_csv(file: Path, kind: str) -> None:
    """A wandering price of two decimals, sizes of six."""
    price, state = 6_000_000, 1
    with file.open("w") as out:
        out.write(",".join(("timestamp", *COLUMNS[kind])) + "\n")
        for number in range(ROWS):
            state = (state * 1_103_515_245 + 12_345) % (1 << 31)
            price += (state >> 16) % 21 - 10
            size = f"{(1 + state % 999_999) / 1_000_000:.6f}"
            prices = [price, price + 1] if kind == "quotes" else [price, price + 5, price - 5, price + 1]
            cells = [f"{each // 100}.{each % 100:02}" for each in prices]
            cells += [size, size] if kind == "quotes" else [size]
            out.write(f"{1_500_000_000_000 + number * _MINUTE_MS},{','.join(cells)}\n")


def import_ours(kind: str, file: Path, catalog: Path) -> float:
    """As `flotilla data import` does it; CPU seconds."""
    from flotilla.engine_sidecar.catalog import importing  # noqa: F401, PLC0415
    from flotilla.engine_sidecar.catalog.__main__ import main  # noqa: PLC0415

    began = time.process_time()
    given = [f"--type={kind}", f"--instrument={INSTRUMENT}", "--json", f"--catalog={catalog}"]
    if main(["import", str(file), *given, *([f"--bar-type={BAR_TYPE}", "--stamp=close"] * (kind == "bars"))]):
        raise RuntimeError("the import was refused")
    return time.process_time() - began


def import_theirs(kind: str, file: Path, catalog: Path) -> float:
    """As NautilusTrader's own guide has it: pandas, wrangler, catalog; CPU seconds."""
    import pandas as pd  # noqa: PLC0415
    from nautilus_trader.model.data import BarType  # noqa: PLC0415
    from nautilus_trader.model.identifiers import InstrumentId  # noqa: PLC0415
    from nautilus_trader.persistence.catalog import ParquetDataCatalog  # noqa: PLC0415
    from nautilus_trader.persistence.wranglers import BarDataWrangler, QuoteTickDataWrangler  # noqa: PLC0415

    from flotilla.engine_sidecar.catalog.instruments import new_instrument  # noqa: PLC0415

    began = time.process_time()
    instrument = new_instrument(InstrumentId.from_str(INSTRUMENT), 2, 6, "USD")
    # With the times as index from the start: its wrangler of bars takes no frame that pandas has copied.
    frame = pd.read_csv(file, index_col="timestamp")
    frame.index = pd.to_datetime(frame.index, unit="ms", utc=True)
    if kind == "quotes":
        events = QuoteTickDataWrangler(instrument).process(frame)
    else:
        events = BarDataWrangler(BarType.from_str(BAR_TYPE), instrument).process(frame)
    written = ParquetDataCatalog(str(catalog))
    written.write_data([instrument])
    written.write_data(events)
    return time.process_time() - began


def cpu_of(*arguments: str) -> float:
    """CPU seconds of one import in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.import_quotes_bars", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return float(done.stdout.splitlines()[-1])


def rows_of(catalog: Path, kind: str) -> Any:
    """All that a catalog holds of the kind, as it lies there."""
    return pq.read_table(next((catalog / "data" / FOLDERS[kind]).iterdir()))


async def measure(folder: Path, kind: str) -> int:
    """Rounds of both, in turn, into new catalogs."""
    file, number = folder / f"{kind}.csv", iter(range(1_000))
    await asyncio.to_thread(write_csv, file, kind)
    made: dict[str, Path] = {}

    async def one(who: str) -> float:
        made[who] = folder / f"{kind}-{who}-{next(number)}"
        return await asyncio.to_thread(cpu_of, who, kind, str(file), str(made[who]))

    ours, theirs = await compare(lambda: one(OURS), lambda: one(THEIRS), rounds=ROUNDS)
    if not rows_of(made[OURS], kind).equals(rows_of(made[THEIRS], kind)):
        raise RuntimeError("the two catalogs differ")
    return report(f"import of {ROWS:,} {kind}", ours, theirs, "CPU s", LIMIT)


def main(arguments: list[str]) -> int:
    """Without arguments the measurement; with them one import, which it is made of."""
    if arguments:
        who, kind, file, catalog = arguments
        took = (import_ours if who == OURS else import_theirs)(kind, Path(file), Path(catalog))
        sys.stdout.write(f"{took}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return max(asyncio.run(measure(Path(folder), kind)) for kind in COLUMNS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
