"""What is read of a catalog for pictures and tables: held against NautilusTrader's own objects, one by one, and against the program."""

import fcntl
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

from flotilla.engine_sidecar.catalog import stored
from flotilla.engine_sidecar.catalog.__main__ import main
from flotilla.engine_sidecar.catalog.questions import answer
from flotilla.engine_sidecar.replay.kinds import KINDS
from flotilla.engine_sidecar.replay.streams import DataSet, files_of, read
from flotilla.schemas.backtest import DataKind
from flotilla.schemas.data import CatalogAnswer, CatalogLine
from flotilla.schemas.fault import FaultCode
from tests import book_catalog
from tests.engine_processes import ROOT

SPX = "SPX.SIM-1-DAY-LAST-EXTERNAL"
EURUSD = "EUR/USD.SIM"
BEGIN = datetime(2024, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daily bars, and ticks of a pair: seconds apart with one pause of two hours, some at the same moment, in two files each."""
    folder = tmp_path_factory.mktemp("catalog")
    made = folder / "catalog"
    assert main(["import", "--sample", "--json", "--catalog", str(made)]) == 0
    chance = random.Random(7)
    for part in range(2):
        quotes, trades = ["time,bid,ask,bid_size,ask_size"], ["time,price,size,side"]
        at = BEGIN + timedelta(hours=6 * part)
        for index in range(3_000):
            at += timedelta(seconds=chance.randrange(3)) if index != 1_500 else timedelta(hours=2)
            bid = 1.1 + chance.randrange(-500, 500) / 1e5
            quotes.append(f"{at.isoformat()},{bid:.5f},{bid + 0.00003:.5f},1000,2000")
            trades.append(f"{at.isoformat()},{bid:.5f},{chance.randrange(1, 900)},BUYER")
        for kind, lines in (("quotes", quotes), ("trades", trades)):
            file = folder / f"{kind}-{part}.csv"
            file.write_text("\n".join(lines) + "\n")
            arguments = ["--type", kind, "--instrument", EURUSD, "--json", "--catalog", str(made)]
            assert main(["import", str(file), *arguments]) == 0
    return made


def ask(catalog: Path, **question: Any) -> CatalogAnswer:
    return answer(msgspec.convert({"path": str(catalog), **question}, CatalogLine))


def moments(events: list[Any]) -> list[datetime]:
    return [datetime.fromtimestamp(one.ts_init / 1e9, UTC) for one in events]


def events_of(catalog: Path, kind: type[Any], identifier: str) -> list[Any]:
    return list(read(catalog, DataSet(kind, identifier)))


def prices_of(event: Any) -> tuple[float, float, float, float]:
    match event:
        case Bar():
            return float(event.open), float(event.high), float(event.low), float(event.close)
        case QuoteTick():
            middle = (float(event.bid_price) + float(event.ask_price)) / 2
        case _:
            middle = float(event.price)
    return middle, middle, middle, middle


@pytest.mark.parametrize("batch_rows", [700, 65_536])
@pytest.mark.parametrize(
    ("kind", "data_type", "identifier"),
    [(Bar, "bars", SPX), (QuoteTick, "quotes", EURUSD), (TradeTick, "trades", EURUSD)],
)
@pytest.mark.parametrize("points", [1, 7, 100])
def test_each_point_is_what_its_events_make(
    catalog: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch_rows: int,
    kind: type[Any],
    data_type: str,
    identifier: str,
    points: int,
) -> None:
    monkeypatch.setattr(stored, "_BATCH_ROWS", batch_rows)
    chart = ask(catalog, chart={"identifier": identifier, "type": data_type, "points": points}).chart
    assert chart is not None
    events = events_of(catalog, kind, identifier)
    assert (chart.events, chart.is_down_sampled) == (len(events), True)
    assert 1 <= len(chart.points) <= points
    left = iter(events)
    for point in chart.points:
        own = [next(left) for _ in range(point.events)]
        prices = [prices_of(one) for one in own]
        assert (point.first, point.last) == (moments(own)[0], moments(own)[-1])
        assert point.open == pytest.approx(prices[0][0], abs=1e-9)
        assert point.high == pytest.approx(max(one[1] for one in prices), abs=1e-9)
        assert point.low == pytest.approx(min(one[2] for one in prices), abs=1e-9)
        assert point.close == pytest.approx(prices[-1][3], abs=1e-9)
        if kind is QuoteTick:
            assert point.volume is None
        else:
            assert point.volume == sum(float(one.volume if kind is Bar else one.size) for one in own)
        assert chart.bucket_s is not None
        assert point.last - point.first <= timedelta(seconds=chart.bucket_s)
    assert next(left, None) is None


def test_raw_numbers_are_read_as_what_they_stand_for_below_zero_too() -> None:
    values = ["-37.63", "0", "-0.01", "1.10001", "877000000", "98765432109.5", "-123456789.25"]
    raw = [int(Decimal(value) * 10**16).to_bytes(16, "little", signed=True) for value in values]
    column = pa.chunked_array([pa.array(raw, pa.binary(16))])
    assert [round(number, 5) for number in stored.numbers(column)] == list(map(float, values))
    assert [round(number, 5) for number in stored.numbers(column.slice(2, 3))] == list(
        map(float, values[2:5])
    )


def test_fewer_bars_than_points_are_the_bars_themselves_of_the_days_that_were_asked_for(
    catalog: Path,
) -> None:
    question = {"identifier": SPX, "from": "2001-09-10", "to": "2001-09-19T12:00:00+02:00", "points": 5}
    chart = ask(catalog, chart=question).chart
    assert chart is not None
    first, last = datetime(2001, 9, 10, tzinfo=UTC), datetime(2001, 9, 19, 10, tzinfo=UTC)
    wanted = [one for one in events_of(catalog, Bar, SPX) if first <= moments([one])[0] <= last]
    assert (chart.is_down_sampled, chart.bucket_s, chart.events) == (False, None, len(wanted))
    assert [one.first for one in chart.points] == moments(wanted)
    assert [(one.open, one.high, one.low, one.close) for one in chart.points] == list(map(prices_of, wanted))
    assert [one.volume for one in chart.points] == [float(one.volume) for one in wanted]


def test_of_a_time_without_events_there_is_no_point(catalog: Path) -> None:
    for span in (
        {"from": "2030-01-01"},
        {"to": "1980-01-01"},
        {"from": "2024-03-04T02:50", "to": "2024-03-04T02:51"},
    ):
        chart = ask(catalog, chart={"identifier": EURUSD, "type": "trades", **span}).chart
        assert chart is not None
        assert (chart.events, chart.points) == (0, ())
        is_within = "to" in span and "from" in span
        assert (chart.is_down_sampled, chart.bucket_s is not None) == (is_within, is_within)


@pytest.mark.parametrize("kind", list(DataKind))
def test_a_chart_is_of_the_kind_and_not_of_columns_that_look_like_one(tmp_path: Path, kind: DataKind) -> None:
    book_catalog.write(tmp_path)
    identifier = book_catalog.MINUTES if kind is DataKind.BARS else book_catalog.BTC
    answered = ask(tmp_path, chart={"identifier": identifier, "type": str(kind)})
    made_of = {
        DataKind.BARS: "bars",
        DataKind.QUOTES: "middle of bid and ask",
        DataKind.TRADES: "trades",
        DataKind.MARK_PRICES: "value",
        DataKind.INDEX_PRICES: "value",
    }
    if kind in made_of:
        assert answered.chart is not None
        assert (answered.chart.made_of, answered.chart.data_type) == (made_of[kind], kind)
        assert answered.chart.events == len(list(read(tmp_path, DataSet(KINDS[kind], identifier))))
    else:
        assert (answered.code, answered.chart) == (FaultCode.INVALID, None)
        assert answered.refusal.startswith(f"there is no chart of {kind}, only of bars")


@pytest.mark.parametrize("question", ["chart", "gaps", "rows"])
def test_a_file_without_the_column_of_times_is_named(tmp_path: Path, question: str) -> None:
    book_catalog.write(tmp_path)
    (file,) = files_of(tmp_path, DataSet(TradeTick, book_catalog.BTC))
    pq.write_table(pq.read_table(file).drop_columns(["ts_init"]), file)
    answered = ask(tmp_path, **{question: {"identifier": book_catalog.BTC, "type": "trades"}})
    assert answered.code == FaultCode.INVALID
    assert answered.refusal == f"{file.name} of {book_catalog.BTC} has no column ts_init"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_clock_has_is_refused_and_one_after_all_data_is_the_end(
    catalog: Path, moment: str
) -> None:
    answered = ask(catalog, rows={"identifier": SPX, "from": moment})
    assert (answered.code, "from: " in answered.refusal) == (FaultCode.INVALID, True)
    first, last = "0001-01-01", "9999-12-31"
    chart = ask(catalog, chart={"identifier": SPX, "from": first, "to": last, "points": 9}).chart
    assert chart is not None
    assert chart.events == 5031
    rows = ask(catalog, rows={"identifier": SPX, "from": last}).rows
    assert rows is not None
    assert rows.rows == ()


def test_gaps_are_those_that_the_check_of_the_catalog_finds(catalog: Path) -> None:
    bars = ask(catalog, gaps={"identifier": SPX}).gaps
    assert bars is not None
    assert [(one.first.date().isoformat(), one.last.date().isoformat()) for one in bars.gaps] == [
        ("2001-09-11", "2001-09-18")
    ]
    quotes = ask(catalog, gaps={"identifier": EURUSD, "type": "quotes", "limit": 2}).gaps
    assert quotes is not None
    times = moments(events_of(catalog, QuoteTick, EURUSD))
    wanted = [(early, late) for early, late in pairwise(times) if late - early > timedelta(seconds=5)]
    assert (quotes.usual_s, quotes.events, quotes.gap_count) == (1.0, len(times), len(wanted))
    assert [(one.first, one.last) for one in quotes.gaps] == wanted[:2]
    assert len(wanted) == 3


def test_rows_are_as_they_are_stored(catalog: Path) -> None:
    bars = ask(catalog, rows={"identifier": SPX, "from": "2001-09-18", "limit": 1}).rows
    assert bars is not None
    (row,) = bars.rows
    (bar,) = [
        one for one in events_of(catalog, Bar, SPX) if moments([one])[0] == datetime(2001, 9, 18, tzinfo=UTC)
    ]
    own = {name: str(getattr(bar, name)) for name in ("open", "high", "low", "close", "volume")}
    assert row == {**own, "ts_event": "2001-09-18T00:00:00Z", "ts_init": "2001-09-18T00:00:00Z"}
    trades = ask(catalog, rows={"identifier": EURUSD, "type": "trades", "limit": 2}).rows
    assert trades is not None
    assert [(one["price"], one["size"]) for one in trades.rows] == [
        (str(one.price), str(one.size)) for one in events_of(catalog, TradeTick, EURUSD)[:2]
    ]


@pytest.mark.parametrize(
    ("question", "code", "words"),
    [
        ({"chart": {"identifier": "ABC.SIM"}}, FaultCode.NOT_FOUND, "has no data of ABC.SIM"),
        ({"gaps": {"identifier": SPX, "type": "trades"}}, FaultCode.NOT_FOUND, "it has bars of it"),
        ({"rows": {"identifier": EURUSD}}, FaultCode.INVALID, "has quotes, trades of EUR/USD.SIM"),
        ({"chart": {"identifier": SPX, "from": "2001-02-30"}}, FaultCode.INVALID, "from: "),
        (
            {"chart": {"identifier": SPX, "from": "2001-02-02", "to": "2001-02-01"}},
            FaultCode.INVALID,
            "before",
        ),
        ({"remove": {"identifier": SPX, "type": "boots"}}, FaultCode.INVALID, "boots is no type of data"),
        ({"remove": {"identifier": "ABC.SIM"}}, FaultCode.NOT_FOUND, "has no data of ABC.SIM"),
    ],
)
def test_what_there_is_not_is_said(
    catalog: Path, question: dict[str, Any], code: FaultCode, words: str
) -> None:
    answered = ask(catalog, **question)
    assert answered.code == code
    assert words in answered.refusal
    assert (answered.chart, answered.gaps, answered.rows, answered.removed) == (None, None, None, None)


def test_data_are_not_removed_while_somebody_else_changes_the_catalog_nor_where_they_are_attached(
    tmp_path: Path,
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    assert main(["import", "--sample", "--json", "--catalog", str(theirs)]) == 0
    with (theirs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = ask(theirs, remove={"identifier": SPX})
    assert (busy.code, busy.removed) == (FaultCode.CONFLICT, None)
    ours.mkdir()
    assert main(["attach", str(theirs), "--json", "--catalog", str(ours)]) == 0
    attached = ask(ours, remove={"identifier": SPX})
    assert (attached.code, attached.removed) == (FaultCode.CONFLICT, None)
    assert "attached catalog 'theirs', which is only read" in attached.refusal
    drawn = ask(ours, chart={"identifier": SPX, "points": 2}).chart
    assert drawn is not None
    assert drawn.events == 5031
    part = ask(theirs, remove={"identifier": SPX, "from": "2001-01-01", "to": "2001-12-31"}).removed
    assert part is not None
    assert (part.rows > 200, part.is_whole) == (True, False)
    rest = ask(theirs, remove={"identifier": SPX, "from": "0001-01-01", "to": "9999-12-31"}).removed
    assert rest is not None
    assert (rest.rows, rest.is_whole) == (5031 - part.rows, True)


def test_a_file_that_is_cut_off_is_said_and_no_path_of_the_host(tmp_path: Path) -> None:
    assert main(["import", "--sample", "--json", "--catalog", str(tmp_path)]) == 0
    (file,) = (tmp_path / "data" / "bar" / SPX).glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    answered = ask(tmp_path, chart={"identifier": SPX})
    assert (answered.code, answered.chart) == (FaultCode.UNAVAILABLE, None)
    assert answered.refusal


@pytest.mark.parametrize(
    "identifier",
    ["../data", "SPX.SIM/../..", "SPX", "", "a .SIM", " a.SIM", "SPX.SIM\n", "/etc/passwd", "SPX.SIM\0"],
)
def test_an_identifier_is_none_that_could_lead_elsewhere(identifier: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "/", "chart": {"identifier": identifier}}, CatalogLine)


def lines_of(*questions: dict[str, Any]) -> Iterator[subprocess.CompletedProcess[bytes]]:
    command = [sys.executable, "-X", "importtime", "-m", "flotilla.engine_sidecar.catalog.questions"]
    for question in questions:
        text = json.dumps(question).encode() + b"\n"
        yield subprocess.run(command, cwd=ROOT, input=text, capture_output=True, check=False)


def test_the_program_answers_in_one_line_and_imports_no_nautilus_trader_to_look(catalog: Path) -> None:
    (done,) = lines_of({"path": str(catalog), "chart": {"identifier": SPX, "points": 3}})
    found = msgspec.json.decode(done.stdout, type=CatalogAnswer)
    assert found.chart is not None
    assert len(found.chart.points) == 3
    assert b"nautilus_trader" not in done.stderr
    (wrong,) = lines_of({"path": str(catalog), "boots": {}})
    assert (wrong.returncode, wrong.stdout) == (78, b"")
