"""The journal, the outbox and the log book: nothing lost unseen, nothing out of order."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.outbox.journal import Entry, Journal
from flotilla.engine_sidecar.outbox.log_book import LineCutter, LogBook
from flotilla.engine_sidecar.outbox.outbox import Outbox
from flotilla.engine_sidecar.outbox.redaction import Redaction
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import Alert, EngineEvent, EventKind, Fill, Severity, StateChange
from tests.unit.sidecar.samples import spec

RESERVE = 1_000

FILL = Fill(
    trade_id="T-1",
    client_order_id="O-1",
    instrument_id="SPX.SIM",
    strategy_id="S-1",
    side="BUY",
    last_qty="10",
    last_px="1234.50",
    currency="USD",
    commission="0.00 USD",
    liquidity_side="TAKER",
    ts_event=1,
)


def entry(seq: int, kind: EventKind = EventKind.FILL, size: int = 10) -> Entry:
    return Entry(seq, kind, b"x" * size)


def test_events_are_numbered_from_one_over_all_kinds() -> None:
    journal = Journal(spec(), Redaction(()))
    entries = [
        journal.state(StateChange(state=RunState.BOOTING), 1),
        journal.happened(EventKind.FILL, msgspec.json.encode(FILL), 2),
        journal.alert(Alert(severity=Severity.INFO, code="x", message="y"), 3),
    ]
    assert [e.seq for e in entries] == [1, 2, 3]
    event = msgspec.json.decode(entries[1].payload, type=EngineEvent[Fill])
    assert (event.data, event.seq, event.at_ns, event.generation) == (FILL, 2, 2, 3)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (EventKind.FILL, b"{}"),
        (EventKind.FILL, b"not json"),
        (EventKind.FILL, b""),
        (EventKind.STATE, b'{"state":"trading"}'),
        (EventKind.ALERT, b'{"severity":"info","code":"x","message":"' + b"y" * (300 << 10) + b'"}'),
    ],
)
def test_what_is_no_event_gets_no_number(kind: EventKind, data: bytes) -> None:
    journal = Journal(spec(), Redaction(()))
    with pytest.raises(ValueError):  # noqa: PT011  any text will do
        journal.happened(kind, data, 1)
    assert journal.last_seq == 0


def test_what_the_sidecar_tells_always_fits_into_a_message() -> None:
    journal = Journal(spec(), Redaction(()))
    said = StateChange(
        state=RunState.STOPPED, detail="\0" * 5_000_000, not_confirmed=("order " + "x" * 9_000,) * 9_000
    )
    assert len(journal.state(said, 1).payload) < 256 << 10
    assert b'"and 8950 more"' in journal.state(said, 1).payload
    alert = Alert(severity=Severity.WARNING, code="impaired", message="\0" * 5_000_000)
    assert len(journal.alert(alert, 1).payload) < 256 << 10
    assert b"u0000" not in journal.alert(alert, 1).payload


def test_a_full_outbox_drops_the_newest_and_counts() -> None:
    outbox = Outbox(max_events=3, max_bytes=1 << 20)
    assert [outbox.add(entry(seq)) for seq in range(1, 6)] == [True, True, True, False, False]
    assert outbox.dropped == 2
    assert [e.seq for e in outbox.next(0, 10)] == [1, 2, 3]


def test_a_full_outbox_still_takes_states_and_alerts() -> None:
    outbox = Outbox(max_events=1, max_bytes=1_000)
    outbox.add(entry(1))
    assert outbox.add(entry(2, EventKind.STATE))
    assert outbox.add(entry(3, EventKind.ALERT))
    added = [outbox.add(entry(seq, EventKind.ALERT)) for seq in range(4, 2000)]
    assert added.count(True) == RESERVE - 2


def test_an_outbox_is_bounded_in_bytes_too() -> None:
    outbox = Outbox(max_events=1000, max_bytes=10_000)
    for seq in range(100):
        outbox.add(entry(seq, size=1000))
    assert len(outbox) == 8
    assert outbox.dropped == 92


def test_events_leave_the_outbox_only_when_settled() -> None:
    outbox = Outbox(max_events=10, max_bytes=1 << 20)
    for seq in range(1, 5):
        outbox.add(entry(seq))
    assert [e.seq for e in outbox.next(0, 2)] == [e.seq for e in outbox.next(0, 2)] == [1, 2]
    outbox.settle(2)
    assert [e.seq for e in outbox.next(0, 9)] == [3, 4]
    assert outbox.published == 2


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=40), st.integers(8, 40))
def test_lines_do_not_depend_on_how_the_pipe_cuts_them(data: bytes, cuts: list[int], limit: int) -> None:
    whole = LineCutter(limit)
    expected = [*whole.feed(data), *whole.finish()]
    cutter, lines, rest = LineCutter(limit), [], data
    for cut in cuts:
        lines += cutter.feed(rest[:cut])
        rest = rest[cut:]
    lines += [*cutter.feed(rest), *cutter.finish()]
    assert lines == expected
    assert all(len(line) <= limit and "\n" not in line and "\0" not in line for line in lines)


def test_a_long_line_is_cut_between_characters() -> None:
    text = "é" * 20_000
    cutter = LineCutter()
    lines = [*cutter.feed(text.encode() + b"\n"), *cutter.finish()]
    assert "".join(lines) == text
    assert len(lines) == 3


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert list(LineCutter().feed(b"a\xff\xfe\0b\r\n")) == ["a\ufffd\ufffd\ufffdb"]


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    cutter = LineCutter(100)
    assert sum(len(line) for _ in range(1000) for line in cutter.feed(b"x" * 1000)) >= 999_900


def test_log_lines_keep_their_numbers_when_the_oldest_are_dropped() -> None:
    book = LogBook(max_lines=3, max_bytes=1 << 20)
    for i in range(1, 8):
        book.add(f"line {i}")
    batch = book.take(1000)
    assert batch is not None
    assert (batch.first, batch.lines) == (5, ("line 5", "line 6", "line 7"))
    assert book.dropped == 4
    assert book.take(1000) is None


def test_a_log_book_is_bounded_in_bytes_too() -> None:
    book = LogBook(max_lines=10_000, max_bytes=1000)
    for _ in range(100):
        book.add("x" * 100)
    assert (len(book), book.size, book.dropped) == (10, 1000, 90)


def test_batches_are_small_but_never_empty() -> None:
    book = LogBook(max_lines=100, max_bytes=1 << 20)
    for size in (10, 10, 50, 10):
        book.add("x" * size)
    batches = []
    while batch := book.take(25):
        batches.append((batch.first, len(batch.lines)))
    assert batches == [(1, 2), (3, 1), (4, 1)]


def test_the_tail_is_kept_when_lines_are_dropped() -> None:
    book = LogBook(max_lines=1, max_bytes=100, tail=3)
    for i in range(10):
        book.add(str(i))
    assert book.tail == ("7", "8", "9")
