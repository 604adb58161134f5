"""Puts imported data into a catalog: staged beside it first, compared with what is there, then moved in by renames."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.bus.files import move_whole, sync_folder
from flotilla.engine_sidecar.catalog.columns import DataType
from flotilla.engine_sidecar.catalog.entries import refuse_attached
from flotilla.engine_sidecar.catalog.overlap import Overlap
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.replay.streams import DataSet, WrongDataError, read
from flotilla.schemas.catalog import file_interval, folder_name

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
        refuse_attached(catalog, self._folder, identifier)
        self._staging = catalog / _STAGING
        (self._staging / "data").mkdir(parents=True)
        self._staged = ParquetDataCatalog(str(self._staging))
        self._staged_to: int | None = None
        self._kind = _CLASSES[data_type]
        files = (catalog / self._folder).glob("*.parquet")
        spans = (span for file in files if (span := file_interval(file.name)))
        self._overlap = Overlap(spans, self._kind.to_dict)

    def stage(self, rows: list[Any]) -> int:
        """Writes those of the next rows beside the catalog that it does not have, and gives their number; `check` tells of others."""
        first = rows[0].ts_init if self._staged_to is None else self._staged_to + 1
        self._staged_to = rows[-1].ts_init
        pieces = [rows]
        if self._overlap.touches(first, self._staged_to):
            there = read(self._catalog, DataSet(self._kind, self._identifier), first, self._staged_to)
            try:
                pieces = self._overlap.new(rows, there)
            except WrongDataError as error:
                raise ImportRefusedError(f"the catalog's own data is not sound: {error}") from None
        for piece in pieces:
            self._staged.write_data(piece)
        return sum(map(len, pieces))

    def check(self) -> None:
        """After the last row. Raises ImportRefusedError when some were there already, and not the same."""
        self._overlap.check(self._identifier)

    def stage_instrument(self, instrument: Instrument) -> None:
        """Writes the instrument beside the catalog."""
        self._staged.write_data([instrument])

    def move_in(self) -> None:
        """Renames everything staged into the catalog, instruments first so that data never stands without its own.

        When it returns all of it is on disk, names of folders too. Raises OSError.
        """
        data_folder = FOLDERS[self._data_type]
        files = sorted(
            self._staging.glob("data/*/*/*.parquet"), key=lambda file: (file.parts[-3] == data_folder, file)
        )
        for file in files:
            there = self._catalog / file.relative_to(self._staging)
            there.parent.mkdir(parents=True, exist_ok=True)
            move_whole(file, there)
            for folder in there.parent.relative_to(self._catalog).parents:
                sync_folder(self._catalog / folder)
