"""Puts imported data into a catalog: staged beside it first, compared with what is there, then moved in by renames."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from engine_sidecar.catalog.columns import DataType
from engine_sidecar.catalog.refusal import ImportRefusedError
from engine_sidecar.catalog.survey import Chunk
from engine_sidecar.replay.streams import read_file
from schemas.catalog import file_interval, folder_name

FOLDERS: Final = {DataType.BARS: "bar", DataType.QUOTES: "quote_tick", DataType.TRADES: "trade_tick"}
_CLASSES: Final = {DataType.BARS: Bar, DataType.QUOTES: QuoteTick, DataType.TRADES: TradeTick}
_STAGING: Final = ".import"


@contextmanager
def locked(catalog: Path) -> Iterator[None]:
    """Makes the folder if need be and keeps other imports out; what an import that was killed had staged is removed."""
    catalog.mkdir(parents=True, exist_ok=True)
    with (catalog / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImportRefusedError(f"another import into {catalog} is under way") from None
        shutil.rmtree(catalog / _STAGING, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(catalog / _STAGING, ignore_errors=True)


class Target:
    """The folder of one data set in a catalog, and the staging folder that its new files go through."""

    def __init__(self, catalog: Path, data_type: DataType, identifier: str) -> None:
        self._catalog, self._data_type, self._identifier = catalog, data_type, identifier
        self._folder = Path("data") / FOLDERS[data_type] / folder_name(identifier)
        self._staging = catalog / _STAGING
        (self._staging / "data").mkdir(parents=True)
        self._staged = ParquetDataCatalog(str(self._staging))

    def check_ranges(self, chunks: Sequence[Chunk]) -> None:
        """Raises ImportRefusedError when a chunk overlaps data that is there, unless it has just the range of a file."""
        for path in sorted((self._catalog / self._folder).glob("*.parquet")):
            if (there := file_interval(path.name)) is None:
                continue
            for chunk in chunks:
                if chunk.first <= there[1] and there[0] <= chunk.last and there != (chunk.first, chunk.last):
                    raise ImportRefusedError(
                        f"{self._identifier} from {_day(chunk.first)} to {_day(chunk.last)} overlaps data that the "
                        f"catalog has from {_day(there[0])} to {_day(there[1])}: import the rows after {_day(there[1])}"
                    )

    def stage(self, data: list[Any]) -> bool:
        """Writes one chunk beside the catalog; False when the catalog holds it already. Different data is refused."""
        self._staged.write_data(data)
        path = max((self._staging / self._folder).glob("*.parquet"), key=lambda file: file.name)
        there = self._catalog / self._folder / path.name
        if not there.exists():
            return True
        if not _are_equal(_CLASSES[self._data_type], read_file(_CLASSES[self._data_type], there), data):
            raise ImportRefusedError(
                f"the catalog has other data for {self._identifier} from {_day(data[0].ts_init)} to "
                f"{_day(data[-1].ts_init)}"
            )
        path.unlink()
        return False

    def stage_instrument(self, instrument: Instrument) -> None:
        """Writes the instrument beside the catalog."""
        self._staged.write_data([instrument])

    def move_in(self) -> None:
        """Renames everything staged into the catalog, instruments first so that data never stands without its own."""
        data_folder = FOLDERS[self._data_type]
        files = sorted(
            self._staging.glob("data/*/*/*.parquet"), key=lambda file: (file.parts[-3] == data_folder, file)
        )
        for file in files:
            there = self._catalog / file.relative_to(self._staging)
            there.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, there)


def _are_equal(kind: Any, there: Iterable[Any], new: Sequence[Any]) -> bool:
    """By their fields: two trade ticks from different sources are unequal to NautilusTrader even when all fields agree."""
    return [kind.to_dict(event) for event in there] == [kind.to_dict(event) for event in new]


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
