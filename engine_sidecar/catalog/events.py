"""Tables of an import as NautilusTrader writes its events, and back: its raw numbers are the unscaled values of decimals."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from flotilla.engine_sidecar.catalog.columns import NUMBERS
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.tables import NUMBER, table_schema
from flotilla.schemas.catalog import file_name

KINDS: Final[dict[DataType, type[Any]]] = {
    DataType.BARS: Bar,
    DataType.QUOTES: QuoteTick,
    DataType.TRADES: TradeTick,
}
_RAW: Final = pa.binary(16)
GROUP_ROWS: Final = 5_000
"""As NautilusTrader writes them; readers take a row group at a time."""


class Form:
    """How the events of one data set are written: what they are of, and how many decimals they have."""

    def __init__(
        self, data_type: DataType, identifier: str, price_precision: int, size_precision: int
    ) -> None:
        self.data_type = data_type
        self.kind = KINDS[data_type]
        is_bars = data_type is DataType.BARS
        self.schema = NAUTILUS_ARROW_SCHEMA[self.kind].with_metadata(
            {
                **({"bar_type": identifier} if is_bars else {}),
                "instrument_id": identifier.rsplit("-", 4)[0] if is_bars else identifier,
                "price_precision": str(price_precision),
                "size_precision": str(size_precision),
            }
        )

    def written(self, table: pa.Table) -> pa.Table:
        """The table as a file of the catalog has it; `ts_init` equals `ts_event`."""
        columns: dict[str, Any] = {"ts_event": table["ts"], "ts_init": table["ts"]}
        columns |= {field: _raw(table[field]) for field in NUMBERS[self.data_type]}
        if self.data_type is DataType.TRADES:
            columns |= {"aggressor_side": table["side"], "trade_id": table["trade_id"]}
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)

    def write(self, table: pa.Table, folder: Path) -> None:
        """Writes a file of the catalog. Raises OSError."""
        times = table["ts"]
        name = file_name(times[0].as_py(), times[-1].as_py())
        pq.write_table(self.written(table), folder / name, row_group_size=GROUP_ROWS)

    def events(self, table: pa.Table) -> list[Any]:
        """NautilusTrader's own objects."""
        made: list[Any] = self.kind.from_pyo3_list(
            ArrowSerializer.deserialize(self.kind, self.written(table))
        )
        return made

    def of_events(self, events: list[Any]) -> pa.Table:
        """The table of events."""
        return table_of(ArrowSerializer.serialize_batch(events, data_cls=self.kind), self.data_type)


def table_of(written: pa.Table, data_type: DataType) -> pa.Table:
    """What a file of the catalog holds, as an import has it."""
    columns: list[Any] = [written["ts_init"], *(_number(written[field]) for field in NUMBERS[data_type])]
    if data_type is DataType.TRADES:
        columns += [written["aggressor_side"], written["trade_id"].cast(pa.string())]
    return pa.table(columns, schema=table_schema(data_type))


def _raw(column: Any) -> Any:
    whole = column.combine_chunks()
    return pa.FixedSizeBinaryArray.from_buffers(
        _RAW, len(whole), [None, whole.buffers()[1]], offset=whole.offset
    )


def _number(column: Any) -> Any:
    whole = column.combine_chunks()
    return pa.Decimal128Array.from_buffers(
        NUMBER, len(whole), [None, whole.buffers()[1]], offset=whole.offset
    )
