"""CPU of an import of 1.2 million trades, file to catalog, against NautilusTrader's own wrangler and writer with pandas before them.

Each runs in a process of its own, imports included; what both wrote is compared before anything is told.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.rounds import compare, report

ROWS = 1_200_000
ROUNDS = 3
LIMIT = 0.3
INSTRUMENT = "BTC/USDT.SIM"
OURS = "ours"
THEIRS = "theirs"


def write_csv(file: Path) -> None:
    """Trades of a wandering price, two decimals, sizes of six."""
    price, state = 6_000_000, 1
    with file.open("w") as out:
        out.write("timestamp,price,size,side,trade_id\n")
        for number in range(ROWS):
            state = (state * 1_103_515_245 + 12_345) % (1 << 31)
            price += (state >> 16) % 21 - 10
            side = "buy" if state & 0x10000 else "sell"
            out.write(
                f"{1_700_000_000_000 + number * 37},{price // 100}.{price % 100:02},{(1 + state % 999_999) / 1_000_000:.6f},{side},{number}\n"
            )


def import_ours(file: Path, catalog: Path) -> None:
    """As `flotilla data import` does it."""
    from flotilla.engine_sidecar.catalog.__main__ import main  # noqa: PLC0415

    given = ["--type", "trades", "--instrument", INSTRUMENT, "--json", "--catalog", str(catalog)]
    if main(["import", str(file), *given]):
        raise RuntimeError("the import was refused")


def import_theirs(file: Path, catalog: Path) -> None:
    """As NautilusTrader's own guide has it: pandas, wrangler, catalog."""
    import pandas as pd  # noqa: PLC0415
    from nautilus_trader.model.identifiers import InstrumentId  # noqa: PLC0415
    from nautilus_trader.persistence.catalog import ParquetDataCatalog  # noqa: PLC0415
    from nautilus_trader.persistence.wranglers import TradeTickDataWrangler  # noqa: PLC0415

    from flotilla.engine_sidecar.catalog.instruments import new_instrument  # noqa: PLC0415

    instrument = new_instrument(InstrumentId.from_str(INSTRUMENT), 2, 6, "USD")
    frame = pd.read_csv(file, dtype={"trade_id": str})
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="ms", utc=True)
    frame["side"] = frame["side"].str.upper()
    frame = frame.rename(columns={"size": "quantity"}).set_index("timestamp")
    ticks = TradeTickDataWrangler(instrument).process(frame)
    written = ParquetDataCatalog(str(catalog))
    written.write_data([instrument])
    written.write_data(ticks)


async def cpu_of(who: str, file: Path, catalog: Path) -> float:
    """CPU seconds of one import in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "benchmarks.import_trades", who, str(file), str(catalog)]
    await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rows_of(catalog: Path) -> Any:
    """All that a catalog holds of the trades, as it lies there."""
    files = sorted((catalog / "data/trade_tick").rglob("*.parquet"))
    return pq.read_table(files[0]) if len(files) == 1 else pq.read_table(files[0].parent)


async def measure(folder: Path) -> int:
    """Rounds of both, in turn, into new catalogs."""
    file, number = folder / "trades.csv", iter(range(1_000))
    write_csv(file)
    made: dict[str, Path] = {}

    async def one(who: str) -> float:
        made[who] = folder / f"{who}-{next(number)}"
        return await cpu_of(who, file, made[who])

    ours, theirs = await compare(lambda: one(OURS), lambda: one(THEIRS), rounds=ROUNDS)
    if not rows_of(made[OURS]).equals(rows_of(made[THEIRS])):
        raise RuntimeError("the two catalogs differ")
    return report(f"import of {ROWS:,} trades", ours, theirs, "CPU s", LIMIT)


def main(arguments: list[str]) -> int:
    """Without arguments the measurement; with them one import, which it is made of."""
    if arguments:
        who, file, catalog = arguments
        (import_ours if who == OURS else import_theirs)(Path(file), Path(catalog))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
