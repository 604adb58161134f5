"""One order over several data sets."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

from flotilla.engine_sidecar.replay.feed import Merge
from flotilla.engine_sidecar.replay.streams import DataSet


class Event(msgspec.Struct, frozen=True):
    ts_init: int
    name: str


BARS, QUOTES, TRADES = (DataSet(kind, "A.X") for kind in (Bar, QuoteTick, TradeTick))


def drained(merge: Merge) -> list[tuple[int, str]]:
    out: list[tuple[int, str]] = []
    while merge.peek() is not None:
        data_set, event = merge.pop()
        out.append((event.ts_init, data_set.kind.__name__))
    return out


def events(*times: int) -> Any:
    return iter([Event(time, "") for time in times])


def test_events_of_one_time_come_by_kind_then_by_identifier() -> None:
    merge = Merge()
    other = DataSet(Bar, "B.X")
    for data_set in (TRADES, other, QUOTES, BARS):
        merge.add(data_set, events(1, 2))
    order = [merge.pop()[0] for _ in range(4)]
    assert order == [BARS, other, QUOTES, TRADES]


def test_a_data_set_may_come_late_and_go_early() -> None:
    merge = Merge()
    merge.add(BARS, events(1, 3, 5))
    assert merge.pop()[1].ts_init == 1
    merge.add(QUOTES, events(2, 4))
    assert merge.pop()[1].ts_init == 2
    merge.remove(BARS)
    merge.remove(TRADES)
    assert drained(merge) == [(4, "QuoteTick")]


def test_nothing_is_left_at_the_end() -> None:
    merge = Merge()
    merge.add(BARS, events())
    assert merge.peek() is None
    with pytest.raises(IndexError):
        merge.pop()


@given(st.lists(st.lists(st.integers(0, 20)), min_size=3, max_size=3))
def test_it_is_a_sort_of_all_events(times: list[list[int]]) -> None:
    merge = Merge()
    for data_set, stamps in zip((TRADES, BARS, QUOTES), times, strict=True):
        merge.add(data_set, events(*sorted(stamps)))
    names = ("TradeTick", "Bar", "QuoteTick")
    assert drained(merge) == sorted(
        (time, name) for name, some in zip(names, times, strict=True) for time in some
    )
