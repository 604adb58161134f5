"""What strategies request of the past (`request_bars`), answered from the catalog where the run is to warm up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.replay.streams import DataSet, files_of

_HELD: Final = (Bar, QuoteTick, TradeTick)

type Read = Callable[[list[Path]], None]


class History(ParquetDataCatalog):  # type: ignore[misc]
    """The catalog as the data engine of a trial asks it.

    NautilusTrader would also take data from it that a strategy subscribes to and the run does not have: such a question reaches beyond
    the present moment, and is answered with nothing, as if there were no catalog. `read` is told of files before they are.
    """

    def __init__(self, engine: Any, catalog: Path, *, is_open: bool, read: Read) -> None:
        super().__init__(str(catalog))
        self._engine, self._catalog, self._is_open, self._read = engine, catalog, is_open, read
        self.answered = self.unanswered = 0
        engine.kernel.data_engine.register_catalog(self, "history")

    def get_missing_intervals_for_request(
        self, start: int, end: int, data_cls: type, identifier: Any = None
    ) -> list[tuple[int, int]]:
        """The whole range where the answer is nothing, else what the catalog says."""
        if data_cls not in _HELD or end > self._engine.kernel.clock.timestamp_ns():
            return [(start, end)]
        if not self._is_open:
            self.unanswered += 1
            return [(start, end)]
        self.answered += 1
        self._read(list(files_of(self._catalog, DataSet(data_cls, str(identifier)), start, end)))
        found: list[tuple[int, int]] = super().get_missing_intervals_for_request(
            start, end, data_cls, identifier
        )
        return found

    def query_last_timestamp(self, data_cls: type, identifier: str | None = None) -> None:
        """Nothing: a subscription begins now, not where the catalog ends."""

    def instruments(self, *, instrument_ids: list[str] | None = None, **_: Any) -> list[Any]:
        """Those of the run, as they were loaded."""
        found = self._engine.cache.instruments()
        return [one for one in found if instrument_ids is None or one.id.value in instrument_ids]
