"""Reads the files once, checks every row, and learns what must be known before the first is written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.catalog.columns import Layout
from flotilla.engine_sidecar.catalog.plausible import looks_fixed_point
from flotilla.engine_sidecar.catalog.records import PRICES, Reading, Record, look, records
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

CHUNK_ROWS: Final = 100_000
MAX_PRECISION: Final = 16

type Progress = Callable[[str, Path, int], None]


class Chunk(msgspec.Struct, frozen=True):
    """The rows that one catalog file takes: first and last time (ns), and how many."""

    first: int
    last: int
    rows: int


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The files in time order with their layouts, the chunks of all their rows, and the most decimals seen."""

    files: tuple[Path, ...]
    layouts: tuple[Layout, ...]
    chunks: tuple[Chunk, ...]
    price_precision: int
    size_precision: int

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(chunk.rows for chunk in self.chunks)


def survey(files: Sequence[Path], how: Reading, progress: Progress) -> Survey:
    """Raises ImportRefusedError for the first unsound row, and when two files overlap in time."""
    found = sorted((_survey_file(file, how, progress) for file in files), key=lambda one: one.chunks[0].first)
    for earlier, later in pairwise(found):
        if later.chunks[0].first <= earlier.chunks[-1].last:
            raise ImportRefusedError(f"begins before {earlier.files[0]} ends", later.files[0])
    return Survey(
        files=tuple(file for one in found for file in one.files),
        layouts=tuple(layout for one in found for layout in one.layouts),
        chunks=tuple(chunk for one in found for chunk in one.chunks),
        price_precision=max(one.price_precision for one in found),
        size_precision=max(one.size_precision for one in found),
    )


def _survey_file(file: Path, how: Reading, progress: Progress) -> Survey:
    price = size = 0
    chunks: list[Chunk] = []
    rows, is_fixed = 0, how.fixed_decimals is None
    for batch in batches(records(file, how)):
        for record in batch:
            price = max(price, _decimals(record, is_price=True))
            size = max(size, _decimals(record, is_price=False))
            is_fixed = is_fixed and all(map(looks_fixed_point, _prices(record)))
        rows += len(batch)
        chunks.append(Chunk(batch[0].ts, batch[-1].ts, len(batch)))
        progress("checked", file, rows)
    if is_fixed:
        raise ImportRefusedError(
            "all prices are large round numbers, such as fixed-point ones are: give --fixed-decimals 9 where 186030000000 "
            "means 186.03, or --fixed-decimals 0 where they mean what they say",
            file,
        )
    if max(price, size) > MAX_PRECISION:
        raise ImportRefusedError(
            f"has numbers of more than {MAX_PRECISION} decimals: give --price-precision or --size-precision to round to",
            file,
        )
    return Survey(
        files=(file,),
        chunks=tuple(chunks),
        layouts=(look(file, how),),
        price_precision=price,
        size_precision=size,
    )


def _prices(record: Record) -> Iterator[Decimal]:
    return (number for field, number in record.numbers.items() if field in PRICES)


def batches(rows: Iterable[Record]) -> Iterator[list[Record]]:
    """Cuts rows into chunks of CHUNK_ROWS; rows of the same time stay together, because catalog files may not touch."""
    batch: list[Record] = []
    for row in rows:
        if len(batch) >= CHUNK_ROWS and row.ts != batch[-1].ts:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _decimals(record: Record, *, is_price: bool) -> int:
    exponents = (
        number.normalize().as_tuple().exponent
        for field, number in record.numbers.items()
        if (field in PRICES) == is_price
    )
    return max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
