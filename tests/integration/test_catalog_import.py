"""`python -m flotilla.engine_sidecar.catalog`: what it writes is what NautilusTrader reads, and what it refuses leaves no trace."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog import survey
from flotilla.engine_sidecar.catalog.__main__ import main
from flotilla.engine_sidecar.replay.streams import DataSet, count, read
from flotilla.schemas.catalog import CatalogView
from tests.engine_processes import ROOT

SPX = "SPX.SIM-1-DAY-LAST-EXTERNAL"
BARS = ("--type", "bars", "--instrument", "ABC.XNAS", "--bar-type", "ABC.XNAS-1-MINUTE-LAST-EXTERNAL")
HEADER = "close_time,open,high,low,close,volume"


def minute(number: int, close: str = "10.5") -> str:
    return f"2024-01-02T10:{number:02}:00Z,10,11,9.5,{close},100"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def run(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and what was said, as a process of its own."""
    command = [sys.executable, "-m", "flotilla.engine_sidecar.catalog", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def imported(
    capsys: pytest.CaptureFixture[str], catalog: Path, *arguments: object
) -> tuple[int, dict[str, Any]]:
    """Exit code and last word of an import in this process."""
    code = main(["import", "--catalog", str(catalog), "--json", *map(str, arguments)])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def csv(folder: Path, *lines: str, name: str = "data.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def files_in(catalog: Path) -> list[str]:
    return sorted(file.relative_to(catalog).as_posix() for file in catalog.rglob("*.parquet"))


def test_the_sample_is_read_by_nautilus_trader_itself(catalog: Path) -> None:
    code, said = run("import", "--catalog", catalog, "--sample")
    assert code == 0
    assert [line["event"] for line in said] == ["progress", "progress", "imported"] * 2
    theirs = ParquetDataCatalog(str(catalog))
    bars = theirs.query(Bar, [SPX])
    assert len(bars) == 5031
    assert str(bars[0]) == f"{SPX},1229.23,1248.81,1219.10,1228.10,877000000,915494400000000000"
    assert bars[-1].ts_event == bars[-1].ts_init == 1546300800 * 10**9
    assert {str(one.id) for one in theirs.instruments()} == {"SPX.SIM", "IXIC.SIM"}


def test_our_reader_gives_what_theirs_gives(catalog: Path) -> None:
    run("import", "--catalog", catalog, "--sample")
    first, last = 946857600 * 10**9, 1009843200 * 10**9
    theirs = ParquetDataCatalog(str(catalog)).query(Bar, [SPX], start=first, end=last)
    ours = DataSet(Bar, SPX)
    assert list(read(catalog, ours, first, last)) == theirs
    assert count(catalog, ours, first, last) == len(theirs) > 400


def test_ls_lists_what_there_is(catalog: Path) -> None:
    assert run("ls", "--catalog", catalog) == (0, [{"path": str(catalog), "entries": [], "attached": []}])
    run("import", "--catalog", catalog, "--sample")
    _, (said,) = run("ls", "--catalog", catalog)
    view = msgspec.convert(said, CatalogView)
    assert [entry.identifier for entry in view.entries] == [SPX.replace("SPX", "IXIC"), SPX]
    assert view.entries[1].start.isoformat() == "1999-01-05T00:00:00+00:00"
    assert view.entries[1].size_bytes > 100_000


def test_importing_twice_changes_nothing_and_says_so(catalog: Path) -> None:
    run("import", "--catalog", catalog, "--sample")
    before = {name: (catalog / name).stat().st_mtime_ns for name in files_in(catalog)}
    code, said = run("import", "--catalog", catalog, "--sample")
    assert (code, said[-1]["event"]) == (0, "unchanged")
    assert {name: (catalog / name).stat().st_mtime_ns for name in files_in(catalog)} == before


def test_of_data_that_overlaps_what_is_there_equal_rows_are_dropped_and_others_named(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = csv(tmp_path, HEADER, minute(1), minute(2), minute(3))
    later = csv(tmp_path, HEADER, minute(4), minute(5), name="later.csv")
    overlapping = csv(tmp_path, HEADER, minute(3), minute(4), name="overlapping.csv")
    other = csv(tmp_path, HEADER, minute(1), minute(2), minute(3, "10.6"), name="other.csv")
    assert imported(capsys, catalog, first, *BARS)[0] == 0
    assert imported(capsys, catalog, later, *BARS)[1]["event"] == "imported"
    before = files_in(catalog)
    assert imported(capsys, catalog, overlapping, *BARS)[1]["event"] == "unchanged"
    code, said = imported(capsys, catalog, other, *BARS)
    assert code == 2
    assert said["message"] == (
        "the catalog has other data for ABC.XNAS-1-MINUTE-LAST-EXTERNAL at 2024-01-02T10:03:00Z: "
        "it has close 10.5, the file 10.6: give --replace to take what the files have"
    )
    around = csv(tmp_path, HEADER, *(minute(number) for number in range(7)), name="around.csv")
    code, said = imported(capsys, catalog, around, *BARS)
    assert (code, said["event"], said["rows"], said["new_rows"]) == (0, "imported", 7, 2)
    assert len(list(read(catalog, DataSet(Bar, "ABC.XNAS-1-MINUTE-LAST-EXTERNAL")))) == 7
    assert set(before) < set(files_in(catalog))
    assert not (catalog / ".import").exists()


def test_several_files_are_taken_in_the_order_of_their_times(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = csv(tmp_path, HEADER, minute(4), name="a.csv")
    first = csv(tmp_path, HEADER, minute(1), minute(2), name="b.csv")
    code, said = imported(capsys, catalog, later, first, *BARS)
    assert (code, said["rows"]) == (0, 3)
    overlapping = csv(tmp_path, HEADER, minute(2), minute(5), name="c.csv")
    code, said = imported(capsys, catalog / "new", first, overlapping, *BARS)
    assert code == 2
    assert said["message"] == (
        f"{overlapping}: begins before {first} ends: give --sort, and --dedupe where they have rows in common"
    )


def test_rows_that_are_kept_after_the_check_are_those_that_would_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = csv(tmp_path, HEADER, *map(minute, range(7)))
    assert imported(capsys, tmp_path / "kept", file, *BARS)[0] == 0
    read = []
    plain_tables = survey.plain_tables

    def counted(*given: Any) -> Any:
        read.append(given[0])
        return plain_tables(*given)

    monkeypatch.setattr(survey, "plain_tables", counted)
    assert imported(capsys, tmp_path / "kept-too", file, *BARS)[0] == 0
    assert read == [file]
    monkeypatch.setattr(survey, "_KEPT_BYTES", 0)
    assert imported(capsys, tmp_path / "again", file, *BARS)[0] == 0
    assert read == [file] * 3
    assert files_in(tmp_path / "again") == files_in(tmp_path / "kept")
    for name in files_in(tmp_path / "kept"):
        assert pq.read_table(tmp_path / "again" / name).equals(pq.read_table(tmp_path / "kept" / name))


def test_a_late_error_leaves_no_file_behind(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "CHUNK_ROWS", 2)
    file = csv(tmp_path, HEADER, *(minute(number) for number in range(7)), minute(6))
    code, said = imported(capsys, catalog, file, *BARS)
    assert code == 2
    assert said["message"].startswith(f"{file}, line 9, column 'close_time': is the same")
    assert [path.name for path in catalog.rglob("*") if path.is_file()] == [".lock"]


def test_long_data_is_cut_into_files_and_an_import_that_was_killed_is_completed(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "CHUNK_ROWS", 2)
    file = csv(tmp_path, HEADER, *(minute(number) for number in range(7)))
    assert imported(capsys, catalog, file, *BARS)[0] == 0
    chunks = [name for name in files_in(catalog) if name.startswith("data/bar")]
    assert len(chunks) == 4
    (catalog / chunks[-1]).unlink()
    assert imported(capsys, catalog, file, *BARS)[1]["event"] == "imported"
    assert len(list(read(catalog, DataSet(Bar, "ABC.XNAS-1-MINUTE-LAST-EXTERNAL")))) == 7
    assert imported(capsys, catalog, file, *BARS)[1]["event"] == "unchanged"


def test_ticks_of_one_time_stay_in_one_file_and_in_order(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "CHUNK_ROWS", 2)
    rows = [f"2024-01-02T10:00:0{index // 3}Z,{index + 1},1,buy,t{index}" for index in range(7)]
    file = csv(tmp_path, "timestamp,price,size,side,trade_id", *rows)
    assert imported(capsys, catalog, file, "--type", "trades", "--instrument", "ABC.XNAS")[0] == 0
    ticks = list(read(catalog, DataSet(TradeTick, "ABC.XNAS")))
    assert [str(tick.trade_id) for tick in ticks] == [f"t{index}" for index in range(7)]
    assert len([name for name in files_in(catalog) if "trade_tick" in name]) == 3


def test_a_pair_with_a_slash_keeps_its_name(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = csv(
        tmp_path, "time,bid,ask,bid_size,ask_size", "2024-01-02 10:00:00,1.10001,1.10003,1000000,2000000"
    )
    quotes = ("--type", "quotes", "--instrument", "EUR/USD.SIM", "--timezone", "Europe/London")
    assert imported(capsys, catalog, file, *quotes)[0] == 0
    theirs = ParquetDataCatalog(str(catalog))
    assert [str(one.instrument_id) for one in theirs.query(QuoteTick, ["EUR/USD.SIM"])] == ["EUR/USD.SIM"]
    assert [(str(one.id), one.price_precision) for one in theirs.instruments()] == [("EUR/USD.SIM", 5)]
    main(["ls", "--catalog", str(catalog), "--json"])
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert (entry["identifier"], entry["instrument_id"]) == ("EUR/USD.SIM", "EUR/USD.SIM")
    code, said = imported(
        capsys, catalog, file, "--type", "quotes", "--instrument", "EURUSD.SIM", "--timezone", "UTC"
    )
    assert code == 2
    assert "has EUR/USD.SIM in the folder that EURUSD.SIM would take" in said["message"]


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("^GSPC.CBOE", ("--class", "index")),
        ("ES=F.CME", ("--class", "equity")),
        ("BRK-B.XNYS", ()),
        ("7203.T", ()),
    ],
)
def test_symbols_with_special_characters_can_be_read_again(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], symbol: str, kind: tuple[str, ...]
) -> None:
    file = csv(tmp_path, "time,price,size", "2024-01-02T10:00:00Z,10,5")
    assert imported(capsys, catalog, file, "--type", "trades", "--instrument", symbol, *kind)[0] == 0
    assert [str(tick.instrument_id) for tick in read(catalog, DataSet(TradeTick, symbol))] == [symbol]
    assert (
        imported(capsys, catalog, file, "--type", "trades", "--instrument", symbol)[1]["event"] == "unchanged"
    )


TRADES = ("--type", "trades", "--instrument", "ABC.XNAS")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --sample, or FILE"),
        (("{file}", "--type", "trades"), "give --instrument, such as SPX.SIM"),
        (
            ("{file}", "--instrument", "ABC.XNAS"),
            "; --bar-type for bars, such as ABC.XNAS-1-DAY-LAST-EXTERNAL",
        ),
        (("{file}", "--type", "bars"), "give --instrument, such as SPX.SIM; --bar-type, such as"),
        (("{file}", *TRADES[:3], "ABC"), "instrument"),
        (("{file}", *TRADES[:3], "../etc/passwd.X"), "instrument"),
        (("{file}", *TRADES, "--timezone", "Mars/Base"), "'Mars/Base' is no time zone"),
        (("{file}", *TRADES, "--currency", "XXX1"), "'XXX1' is no currency"),
        (("{file}", *TRADES, "--size-precision", "2"), "only a pair"),
        (("{file}", *TRADES, "--price-precision", "99"), "price_precision"),
        (("{file}", *TRADES, "--bar-type", SPX), "--bar-type does not go with trades"),
        (
            ("{file}", "--type", "bars", "--instrument", "ABC.XNAS"),
            "give --bar-type, such as ABC.XNAS-1-DAY-LAST-EXTERNAL",
        ),
        (
            ("{file}", "--type", "bars", "--instrument", "ABC.XNAS", "--bar-type", SPX),
            "not a bar type of ABC.XNAS",
        ),
        (
            (
                "{file}",
                "--type",
                "bars",
                "--instrument",
                "SPX.SIM",
                "--bar-type",
                "SPX.SIM-7-MINUTE-LAST-EXTERNAL",
            ),
            "7",
        ),
        (
            (
                "{file}",
                "--type",
                "bars",
                "--instrument",
                "SPX.SIM",
                "--bar-type",
                "SPX.SIM-1-DAY-LAST-INTERNAL",
            ),
            "imported bars are EXTERNAL",
        ),
    ],
)
def test_bad_arguments_are_refused_in_words(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    file = csv(tmp_path, "time,price,size", "2024-01-02T10:00:00Z,10,5")
    code, last = imported(capsys, catalog, *(argument.format(file=file) for argument in arguments))
    assert (code, last["event"]) == (2, "error")
    assert said in last["message"]
    assert files_in(catalog) == []


def test_a_known_instrument_keeps_its_precision(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = csv(tmp_path, "time,price,size", "2024-01-02T10:00:00Z,10.25,5")
    finer = csv(tmp_path, "time,price,size", "2024-01-03T10:00:00Z,10.255,5", name="finer.csv")
    assert imported(capsys, catalog, first, *TRADES)[0] == 0
    code, said = imported(capsys, catalog, finer, *TRADES)
    assert code == 2
    assert said["message"].startswith(
        f"{finer}: prices have 3 decimals, ABC.XNAS in the catalog has 2: give --price-precision 2"
    )
    code, said = imported(capsys, catalog, finer, *TRADES, "--price-precision", "4")
    assert code == 2
    assert "is in the catalog with a price precision of 2, not 4" in said["message"]
    assert imported(capsys, catalog, finer, *TRADES, "--price-precision", "2")[0] == 0
    assert str(list(read(catalog, DataSet(TradeTick, "ABC.XNAS")))[-1].price) == "10.26"


def test_two_imports_at_once_do_not_meet(
    tmp_path: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flotilla.engine_sidecar.catalog.store import locked  # noqa: PLC0415

    file = csv(tmp_path, "time,price,size", "2024-01-02T10:00:00Z,10,5")
    with locked(catalog):
        code, said = imported(capsys, catalog, file, *TRADES)
    assert code == 2
    assert said["message"] == "another change of the catalog is under way"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = csv(tmp_path, "time,price,size", "2024-01-02T10:00:00Z,10,5")
    code, said = imported(capsys, file / "catalog", file, *TRADES)
    assert code == 2
    assert str(file) in said["message"]
