"""`python -m flotilla.engine_sidecar.backtest.export --part PART --out FILE`: a list of a result or a ledger, as JSON on stdin, to a Parquet file.

A program of its own, because the command line has no pyarrow.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from msgspec import inspect
from pyarrow import parquet

from flotilla.schemas.backtest import ClosedTrade, EquityPoint, ExposurePoint, OpenPosition, PricePoint
from flotilla.schemas.ledger import LEDGER_ROWS, cells
from flotilla.schemas.telemetry import Fill, OrderUpdate

PARTS: Final[dict[str, type[msgspec.Struct]]] = {
    "trades": ClosedTrade,
    "orders": OrderUpdate,
    "fills": Fill,
    "equity_curve": EquityPoint,
    "open_positions": OpenPosition,
    "prices": PricePoint,
    "exposure": ExposurePoint,
    **{f"ledger_{name}": kind for name, kind in LEDGER_ROWS.items()},
}
_TYPES: Final = {
    inspect.StrType: pa.string(),
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.BoolType: pa.bool_(),
    inspect.DateTimeType: pa.timestamp("us", tz="UTC"),
    inspect.VarTupleType: pa.string(),  # as JSON
}


def schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """The columns of a type: decimals stay text, times are integers of nanoseconds."""
    return pa.schema([pa.field(field.name, _column(field.type)) for field in msgspec.structs.fields(kind)])


def write(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct], path: Path) -> None:
    """Writes `rows` of `kind`; no rows make a table with columns only."""
    plain = [dict(zip(kind.__struct_fields__, cells(row), strict=True)) for row in rows]
    parquet.write_table(pa.Table.from_pylist(plain, schema=schema(kind)), path)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flotilla.engine_sidecar.backtest.export", description=__doc__
    )
    parser.add_argument("--part", choices=list(PARTS), required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    chosen = parser.parse_args(arguments)
    kind = PARTS[chosen.part]
    rows: Any = msgspec.json.decode(sys.stdin.buffer.read(), type=list[kind])  # type: ignore[valid-type]
    write(rows, kind, chosen.out)
    return 0


def _column(annotation: Any) -> pa.DataType:
    """The type, without the null that it may also be."""
    kind = msgspec.inspect.type_info(annotation)
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return _TYPES[type(kind.type if isinstance(kind, inspect.Metadata) else kind)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
