"""The first rows of files as an import would understand them; nothing is changed."""

from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.catalog.importing import ImportOrder, reading_of, told_of
from flotilla.engine_sidecar.catalog.records import records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.rows import layout_of, opened
from flotilla.engine_sidecar.catalog.times import moment_text

_ROWS: Final = 5


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """One file: which column is taken for which field, and its first rows: when each becomes known, and its values by field."""

    file: str
    columns: dict[str, str]
    rows: tuple[dict[str, str], ...]
    layouts: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def preview(catalog: Path, order: ImportOrder) -> list[Preview]:
    """Of each file. Raises ImportRefusedError for what is unsound in its first rows; further ones are not looked at."""
    return [_of_file(catalog, file, order) for file in order.files]


def _of_file(catalog: Path, file: Path, order: ImportOrder) -> Preview:
    how = reading_of(catalog, order)
    with opened(file, how) as (sheet, _):
        try:
            where = layout_of(sheet, how)
        except ImportRefusedError as error:
            raise ImportRefusedError(str(error), file) from None
    rows = tuple(
        {
            "time": moment_text(one.ts),
            **{field: f"{number:f}" for field, number in one.numbers.items()},
            **({"side": one.side, "trade_id": one.trade_id} if "side" in where.positions else {}),
        }
        for one in islice(records(file, how), _ROWS)
    )
    return Preview(file=str(file), columns=where.titles, rows=rows, **told_of([where], order))
