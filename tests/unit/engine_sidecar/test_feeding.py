"""How the events of a trial are read: in time order, in chunks that split no moment, none lost and none twice."""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.backtest.feeding import Looks, chunks, data_set, extent_of, watched
from flotilla.engine_sidecar.replay import streams
from flotilla.engine_sidecar.replay.streams import DataSet, Extent, WrongDataError, batches, extents
from flotilla.schemas.backtest import TrialData
from tests.tick_catalog import quote, trade

FOREVER = 9_223_372_036_854_775_807

ACME = TrialData(kind="quotes", identifier="ACME.SIM")  # type: ignore[arg-type]
BETA = TrialData(kind="trades", identifier="BETA.SIM")  # type: ignore[arg-type]
QUOTES = DataSet(QuoteTick, "ACME.SIM")

type Times = list[int]


def written(folder: Path, *files: Times, trades: Times | None = None) -> Path:
    """A catalog with quotes of ACME.SIM, a file for each list of times, and trades of BETA.SIM."""
    catalog = ParquetDataCatalog(str(folder))
    for times in files:
        catalog.write_data([quote("ACME.SIM", ts, 10.0) for ts in times])
    if trades:
        catalog.write_data([trade("BETA.SIM", ts, 10.0) for ts in trades])
    return folder


def shape(events: list[Any]) -> list[tuple[int, str]]:
    return [(event.ts_init, type(event).__name__) for event in events]


def test_kinds_are_those_of_nautilustrader() -> None:
    assert data_set(BETA) == DataSet(TradeTick, "BETA.SIM")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_no_moment_is_split_whatever_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(streams, "BATCH_ROWS", 2)
    folder = written(tmp_path, [1, 2, 2, 2], [3, 3, 4, 9], trades=[2, 3, 3, 3, 20])
    found = list(chunks(folder, [data_set(BETA), data_set(ACME)], 0, FOREVER, size))
    assert shape([event for chunk in found for event in chunk]) == [
        *((ts, "QuoteTick") for ts in (1, 2, 2, 2)),
        (2, "TradeTick"),
        *((3, "QuoteTick"),) * 2,
        *((3, "TradeTick"),) * 3,
        (4, "QuoteTick"),
        (9, "QuoteTick"),
        (20, "TradeTick"),
    ]
    for earlier, later in pairwise(found):
        assert earlier[-1].ts_init < later[0].ts_init
    assert all(found)


def test_only_what_lies_in_the_range_is_read_to_both_its_ends(tmp_path: Path) -> None:
    folder = written(tmp_path, [1, 2, 3], [5, 5, 8], trades=[4, 5, 6])
    assert [
        [event.ts_init for event in chunk] for chunk in chunks(folder, [data_set(ACME), data_set(BETA)], 2, 5)
    ] == [[2, 3, 4, 5, 5, 5]]
    assert extent_of(folder, [data_set(ACME), data_set(BETA)], 2, 5) == Extent(6, 2, 5)
    assert list(extents(folder, QUOTES, 2, 5)) == [Extent(2, 2, 3), Extent(2, 5, 5)]
    assert list(extents(folder, QUOTES, 6, 7)) == []
    with pytest.raises(WrongDataError, match="no event"):
        extent_of(folder, [data_set(ACME)], 6, 7)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_data_set_of_one_chunk_exactly_is_whole(tmp_path: Path, count: int) -> None:
    folder = written(tmp_path, list(range(1, count + 1)))
    assert sum(len(chunk) for chunk in chunks(folder, [data_set(ACME)], 0, FOREVER, 4)) == count
    assert extent_of(folder, [data_set(ACME)], 0, FOREVER) == Extent(count, 1, count)


@pytest.mark.parametrize(("rows", "batch"), [([2, 1], 5), ([1, 2, 4, 3], 2), ([1, 3, 2, 4], 2)])
def test_a_file_out_of_order_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Times, batch: int
) -> None:
    monkeypatch.setattr(streams, "BATCH_ROWS", batch)
    folder = written(tmp_path, sorted(rows), [9])
    file = streams.files_of(folder, QUOTES)[0]
    table = pq.read_table(file)
    pq.write_table(table.take([row - 1 for row in rows]), file)
    with pytest.raises(WrongDataError, match=f"{file.name} is not in time order"):
        list(batches(folder, QUOTES))


def test_a_file_that_reaches_into_the_next_one_is_out_of_order(tmp_path: Path) -> None:
    folder = written(tmp_path, [1, 2], [5, 6])
    first, second = streams.files_of(folder, QUOTES)
    pq.write_table(pq.read_table(second), first)
    pq.write_table(pq.read_table(second).slice(0, 1), second)
    with pytest.raises(WrongDataError, match=f"{second.name} is not in time order"):
        list(batches(folder, QUOTES))


class Engine:
    """Takes events as NautilusTrader's iterator does: it asks for the next list when it takes the last event of one."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.looks: list[list[int]] = []

    def run(self, lists: Iterator[list[Any]]) -> None:
        taken = next(lists, None)
        while taken is not None:
            for event in taken[:-1]:
                self.done.append(event.ts_init)
            last, taken = taken[-1], next(lists, None)
            self.done.append(last.ts_init)


@given(
    pauses=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    step=st.integers(1, 50),
    size=st.integers(1, 10),
)
@settings(max_examples=50, deadline=None)
def test_each_look_is_after_all_events_up_to_its_moment(pauses: Times, step: int, size: int) -> None:
    times = [1_000 + sum(pauses[: index + 1]) for index in range(len(pauses))]
    events = [quote("ACME.SIM", ts, 10.0) for ts in times]
    engine = Engine()
    lists = [events[start : start + size] for start in range(0, len(events), size)]
    looks = Looks(
        1_000, lambda at: 999 + -((999 - at) // step) * step, lambda: engine.looks.append([*engine.done])
    )
    engine.run(watched(iter(lists), looks))
    assert engine.done == times
    assert engine.looks[0] == []
    assert len(engine.looks) <= (times[-1] - 1_000) // step + 2
    due = [look[-1] for look in engine.looks[1:]]
    for moment in range(999, times[-1], step):
        before = [ts for ts in times if ts <= moment]
        if before:
            assert before[-1] in due


def test_an_empty_folder_holds_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert list(chunks(Path(folder), [data_set(ACME)], 0, FOREVER)) == []
