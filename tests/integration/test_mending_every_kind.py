"""`data check`, `rm` and `consolidate` on every kind of data, as NautilusTrader wrote it into the catalog."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.inspection import inspect
from flotilla.engine_sidecar.catalog.mending import consolidate, remove
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, files_of, read
from flotilla.schemas.backtest import DataKind
from tests import book_catalog
from tests.book_catalog import BTC, BTC_PERP, ETH, MINUTES, SECOND, at


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    book_catalog.write(tmp_path)
    return tmp_path


def held(catalog: Path, kind: DataKind) -> list[str]:
    return [str(one) for one in read(catalog, data_set(kind))]


def data_set(kind: DataKind) -> DataSet:
    return DataSet(KINDS[kind], MINUTES if kind is DataKind.BARS else BTC)


@pytest.mark.parametrize("kind", list(DataKind))
def test_a_part_is_taken_out_and_the_others_stay(catalog: Path, kind: DataKind) -> None:
    before = list(read(catalog, data_set(kind)))
    first, last = at(60), at(150)
    done = remove(catalog, data_set(kind).identifier, kind, first, last)
    left = [str(one) for one in before if not first <= one.ts_init <= last]
    assert done.rows == len(before) - len(left) > 0
    assert held(catalog, kind) == left
    assert remove(catalog, data_set(kind).identifier, kind).is_whole
    assert held(catalog, kind) == []
    assert len(list(read(catalog, DataSet(KINDS[DataKind.ORDER_BOOK_DELTAS], ETH)))) > 100


@pytest.mark.parametrize("kind", list(DataKind))
def test_many_files_become_one(catalog: Path, kind: DataKind) -> None:
    made: list[Any] = book_catalog.KINDS[kind]()
    for file in files_of(catalog, data_set(kind)):
        file.unlink()
    writer = ParquetDataCatalog(str(catalog))
    for part in (
        [one for one in made if one.ts_init <= at(120)],
        [one for one in made if one.ts_init > at(120)],
    ):
        writer.write_data(part)
    before, files = held(catalog, kind), files_of(catalog, data_set(kind))
    metadata = pq.read_schema(files[0]).metadata
    (done,) = consolidate(catalog, data_set(kind).identifier)
    assert (done.data_type, done.files_before, done.files) == (kind, len(files), 1)
    assert held(catalog, kind) == before
    (file,) = files_of(catalog, data_set(kind))
    assert pq.read_schema(file).metadata == metadata


def test_every_kind_is_looked_through(catalog: Path) -> None:
    found = {(one.data_type, one.identifier): one for one in inspect(catalog)}
    assert len(found) == 12
    assert all(one.is_sound for one in found.values())
    late = [one for one in book_catalog.mark_prices() if not at(50) < one.ts_init < at(180)]
    (file,) = files_of(catalog, data_set(DataKind.MARK_PRICES))
    file.unlink()
    ParquetDataCatalog(str(catalog)).write_data(late)
    (gap,) = next(one for one in inspect(catalog) if one.data_type == "mark_prices").gaps
    assert gap.last_ns - gap.first_ns == 130 * SECOND


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_looked_through(catalog: Path) -> None:
    (file,) = files_of(catalog, data_set(DataKind.MARK_PRICES))
    table = pq.read_table(file)
    values = table["value"].to_pylist()
    values[-1] = (1 << 100).to_bytes(16, "little")
    bad = table.set_column(table.schema.get_field_index("value"), "value", pa.array(values, pa.binary(16)))
    pq.write_table(bad.replace_schema_metadata(table.schema.metadata), file)
    (cut,) = files_of(catalog, data_set(DataKind.TRADES))
    cut.write_bytes(cut.read_bytes()[:-20])
    found = {(one.data_type, one.identifier): one for one in inspect(catalog)}
    assert len(found) == 12
    unsound = {data_type: one.bad for (data_type, _), one in found.items() if not one.is_sound}
    assert unsound.keys() == {"mark_prices", "trades"}
    assert "is more than any price: the rest of" in unsound["mark_prices"][0].why
    assert cut.name in unsound["trades"][0].why


def test_a_crossed_book_is_told(catalog: Path) -> None:
    depth = book_catalog.depths()[0]
    crossed = type(depth)(
        BTC_PERP.id, depth.asks, depth.bids, depth.ask_counts, depth.bid_counts, 0, 0, at(500), at(500)
    )
    ParquetDataCatalog(str(catalog)).write_data([crossed])
    found = next(one for one in inspect(catalog) if one.data_type == "order_book_depths")
    assert [one.why for one in found.bad] == [f"bid {depth.asks[0].price} is above ask {depth.bids[0].price}"]
