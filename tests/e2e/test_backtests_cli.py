"""Backtests and studies from the command line and the typed client, on a whole stack of local processes."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
import pytest

from flotilla import BacktestFailedError, SyncFlotilla
from flotilla.schemas.backtest import BacktestStatus, Manifest, ResultPart
from flotilla.schemas.fault import FaultCode, FaultError
from tests.e2e.stacks import RunningStack

EMA = ("--strategy", "ema_cross")
SHORT = ("--start", "2010-01-01", "--end", "2012-12-31")


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes: the command line cannot tell."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def done(stack: RunningStack) -> str:
    """A backtest that has completed."""
    told = stack.json("backtest", "run", "done", *EMA)
    assert told["backtest"]["status"] == "completed", told
    return "done"


def test_a_strategy_by_name_is_enough_and_its_result_fits_into_80_columns(
    stack: RunningStack, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.html"
    ran = stack.cli("backtest", "run", *EMA, "--report", str(sheet))
    assert ran.returncode == 0, ran.stderr
    for part in (
        "completed",
        "Sharpe ratio",
        "-10.12 %",
        "NautilusTrader",
        "-12.05 %",
        "open position      SHORT 100 SPX.SIM",
        "879,502.00 USD",
        "equity, USD",
        "drawdown",
    ):
        assert part in ran.stdout
    assert re.search(r"trades won +68\n", ran.stdout)
    assert ran.stdout.count("-13.11 %") == 2, "in the table, and beside the plot"
    lines = [line for line in ran.stdout.splitlines() if str(sheet) not in line]
    assert max(map(len, lines)) <= 80
    assert ran.stderr.count("runs in") <= 1
    html = sheet.read_text()
    assert html.startswith("<!doctype html>")
    assert "<script" not in html
    assert len(html) < 300_000
    assert html.count(">-13.11 %<") == 2, "among the figures, and the worst of the drawdowns"
    for part in ("-12.05 %", "879,502.00 USD", ">SHORT<", "bought (221)", "buy and hold SPX.SIM"):
        assert part in html


def test_nautilustraders_own_sheet_is_drawn_for_who_asks(
    stack: RunningStack, done: str, tmp_path: Path
) -> None:
    sheet = tmp_path / "theirs.html"
    with SyncFlotilla(stack.folder.root) as fleet:
        assert not fleet.backtest(done).has_report
        with pytest.raises(FaultError, match="a run again draws it, by POST backtests/"):
            fleet.backtest_result(done, ResultPart.REPORT)
    told = stack.json("backtest", "report", done, "--nautilus", "--out", str(sheet))
    assert told == {"backtest_id": done, "file": str(sheet), "size_bytes": sheet.stat().st_size}
    assert "Plotly" in sheet.read_text()
    with SyncFlotilla(stack.folder.root) as fleet:
        assert fleet.backtest(done).has_report, "it is kept"
        before = fleet.backtests().total_count
        stack.json("backtest", "report", done, "--nautilus", "--out", str(sheet))
        assert fleet.backtests().total_count == before


def test_a_sheet_is_measured_by_any_instrument_of_the_catalog(
    stack: RunningStack, done: str, tmp_path: Path
) -> None:
    sheet = tmp_path / "measured.html"
    stack.json("backtest", "report", done, "--benchmark", "IXIC.SIM", "--out", str(sheet))
    assert "buy and hold IXIC.SIM" in sheet.read_text()
    asked = stack.cli(
        "backtest", "report", done, "--benchmark", "NOPE.SIM", "--out", str(tmp_path / "no.html")
    )
    assert asked.returncode != 0
    assert "benchmark: has no prices" in asked.stderr
    assert not (tmp_path / "no.html").exists()


def test_a_result_that_is_not_saved_has_no_sheet_and_none_is_promised(
    stack: RunningStack, done: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"save_results": False}))
    ran = stack.cli("backtest", "run", "unsaved", *EMA, *SHORT, "--config", str(config))
    assert ran.returncode == 0, ran.stderr
    assert "tear sheet" not in ran.stdout
    asked = stack.cli("backtest", "report", "unsaved", "--out", str(tmp_path / "sheet.html"))
    assert "was not saved (save_results)" in asked.stderr
    assert not (tmp_path / "sheet.html").exists()


def test_the_client_reads_whole_results(stack: RunningStack, done: str) -> None:
    with SyncFlotilla(stack.folder.root) as fleet:
        view = fleet.backtest(done)
        assert view.metrics is not None
        trades = fleet.backtest_result(done, ResultPart.TRADES)
        fills = fleet.backtest_result(done, "fills")
        manifest = fleet.backtest_result(done, ResultPart.MANIFEST)
        assert len(trades) == view.metrics.total_trades == 221
        assert len(fills) == 443
        assert isinstance(manifest, Manifest)
        assert manifest.files
        assert fleet.backtest_result(done, ResultPart.BALANCES) == {"USD": "879502.00"}
        assert done in [one.backtest_id for one in fleet.all_backtests(status=BacktestStatus.COMPLETED)]
        with pytest.raises(FaultError) as caught:
            fleet.run_backtest(done, view.config)
        assert caught.value.fault.code == FaultCode.CONFLICT


def test_the_client_hears_progress_and_says_when_one_was_cancelled(stack: RunningStack, done: str) -> None:
    with SyncFlotilla(stack.folder.root) as fleet, fleet.watch_backtests("heard") as views:
        config = fleet.backtest(done).config
        fleet.run_backtest("heard", config)
        while next(views).status is not BacktestStatus.RUNNING:
            continue
        assert fleet.cancel_backtest("heard").status is BacktestStatus.CANCELLED
        with pytest.raises(BacktestFailedError, match="cancelled"):
            fleet.wait_for_backtest("heard", timeout_s=30)


def test_whoever_watches_hears_when_the_tear_sheet_is_there(stack: RunningStack, done: str) -> None:
    with SyncFlotilla(stack.folder.root) as fleet, fleet.watch_backtests("drawn") as views:
        config = msgspec.structs.replace(fleet.backtest(done).config, start_date="2016-01-01")
        fleet.run_backtest("drawn", config)
        view = next(views)
        while view.status is not BacktestStatus.COMPLETED:
            view = next(views)
        assert not view.has_report
        fleet.verify("drawn", wants_report=True)
        while not view.has_report:
            view = next(views)
        assert view.status is BacktestStatus.COMPLETED
        assert "<html" in fleet.backtest_result("drawn", ResultPart.REPORT)


def test_lists_are_exported_in_every_format(stack: RunningStack, done: str, tmp_path: Path) -> None:
    files = {form: tmp_path / f"fills.{form}" for form in ("csv", "json", "parquet")}
    for form, file in files.items():
        told = stack.json("backtest", "export", done, "--format", form, "--part", "fills", "--out", str(file))
        assert told["rows"] == 443
    of_csv = [row["last_px"] for row in csv.DictReader(files["csv"].read_text().splitlines())]
    of_json = [row["last_px"] for row in json.loads(files["json"].read_text())]
    of_parquet = pyarrow.parquet.read_table(files["parquet"]).column("last_px").to_pylist()
    assert of_csv == of_json == of_parquet
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.name for file in files.values())


def test_a_run_again_is_equal(stack: RunningStack, done: str) -> None:
    ran = stack.cli("backtest", "verify", done)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "is equal: 443 fills compared" in ran.stdout


def test_show_and_ls_tell_of_it(stack: RunningStack, done: str) -> None:
    text = stack.cli("backtest", "show", done).stdout
    for part in ("configuration", "ran by", "215 more", "1999-01-05 to 2019-01-01"):
        assert part in text
    assert done in stack.cli("backtest", "ls", "--status", "completed").stdout


def test_a_study_shows_results_as_they_come_and_the_best(stack: RunningStack, done: str) -> None:
    axes = ("--axis", "fast_ema_period=5,20", "--axis", "slow_ema_period=30:60:30")
    ran = stack.cli("study", "run", "st", *EMA, *axes)
    assert ran.returncode == 0, ran.stderr
    assert "4 of 4 done: 4 completed" in ran.stdout
    assert ran.stderr.count("Sharpe ratio") == 4
    told = stack.json("study", "show", "st")
    values = [one["metrics"]["sharpe_ratio"] for one in told["backtests"]]
    assert told["study"]["best"]["metrics"]["sharpe_ratio"] == max(values)
    assert "st" in stack.cli("study", "ls").stdout
    compared = stack.cli("backtest", "compare", "st-0001", "st-0002", done)
    assert compared.returncode == 0, compared.stderr
    for part in ("slow_ema_period", "return since the start", "*"):
        assert part in compared.stdout
    assert stack.cli("study", "cancel", "st").returncode == 5


def test_a_random_study_tries_what_it_draws_and_the_same_again(stack: RunningStack, done: str) -> None:
    options = ("--kind", "random", "--samples", "3", "--choice-seed", "7", "--axis", "fast_ema_period=3:20")
    tried = []
    for name in ("ra", "rb"):
        ran = stack.cli("--json", "study", "run", name, *EMA, *options, *SHORT)
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)
        tried.append({one["config"]["strategy_config"]["fast_ema_period"] for one in told["backtests"]})
        lines = [json.loads(line) for line in ran.stderr.splitlines()]
        assert {line["parameters"]["fast_ema_period"] for line in lines} == tried[-1]
    assert tried[0] == tried[1]
    assert len(tried[0]) + told["study"]["left_out"] == 3
    assert all(isinstance(fast, int) and 3 <= fast <= 20 for fast in tried[0])


def test_a_walk_forward_tries_the_best_of_each_period_on_the_next(
    stack: RunningStack, done: str, tmp_path: Path
) -> None:
    options = ("--kind", "walk_forward", "--folds", "2", "--axis", "fast_ema_period=5,15")
    ran = stack.cli("study", "run", "wf", *EMA, *options, *SHORT, "--best-by", "total_return")
    assert ran.returncode == 0, ran.stderr
    assert "6 of 6 done: 6 completed" in ran.stdout
    assert ran.stderr.count("out of sample") == 2
    told = stack.json("study", "show", "wf")
    members = {one["backtest_id"][-4:]: one for one in told["backtests"]}
    rows = [line.split() for line in ran.stdout.splitlines()]
    for first in (1, 4):
        one, other, tried = (members[f"{first + index:04}"] for index in range(3))
        chosen = max((one, other), key=lambda member: member["metrics"]["total_return"])
        assert tried["config"]["strategy_config"] == chosen["config"]["strategy_config"]
        assert one["config"]["end_date"] < tried["config"]["start_date"]
        assert ["out", *(tried["config"][name][:10] for name in ("start_date", "end_date"))] in [
            row[:3] for row in rows
        ]
    assert told["study"]["best"]["backtest_id"] in ("wf-0003", "wf-0006")
    sheet = tmp_path / "wf.html"
    assert stack.json("study", "report", "wf", "--out", str(sheet))["study_id"] == "wf"
    walk = told["walk_forward"]
    assert [each["tried"] for each in walk["windows"]] == ["wf-0003", "wf-0006"]
    compounded = math.prod(1 + each["total_return"] for each in walk["windows"]) - 1
    assert walk["figures"]["total_return"] == pytest.approx(compounded)
    assert f"2 of 2 windows stitched: return {100 * compounded:.2f} %" in " ".join(ran.stdout.split())
    assert "2 of 2 windows. Each piece begins" in sheet.read_text()


def test_ctrl_c_lets_the_backtest_go_on_and_says_how_to_follow_it(stack: RunningStack, done: str) -> None:
    argv = [
        sys.executable,
        "-m",
        "flotilla",
        "--state",
        str(stack.folder.root),
        "backtest",
        "run",
        "left",
        *EMA,
    ]
    with (
        # Not by a command: on a busy machine the backtest is through by the time that one has begun.
        SyncFlotilla(stack.folder.root) as fleet,
        fleet.watch_backtests("left") as views,
        subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process,
    ):
        next(views)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on without us" in errors
    assert "backtest show left --follow" in errors
    assert stack.json("backtest", "show", "left", "--follow")["backtest"]["status"] == "completed"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("backtest", "run"), 2, "--strategy"),
        (("backtest", "run", "--strategy", "nope", "--instrument", "SPX.SIM"), 3, "config.strategy"),
        (("backtest", "run", *EMA, "--param", "fast_ema_period=x"), 3, "fast_ema_period"),
        (("backtest", "run", *EMA, "--balance", "-1"), 3, "initial_balance"),
        (("backtest", "run", *EMA, "--start", "2010-01-01", "--end", "2009-01-01"), 3, "start_date"),
        (
            (
                "backtest",
                "run",
                *EMA,
                "--instrument",
                "NO.SIM",
                "--start",
                "2010-01-01",
                "--end",
                "2011-01-01",
            ),
            3,
            "NO.SIM",
        ),
        (("backtest", "run", "../x", *EMA), 3, "backtest_id"),
        (("backtest", "run", "done", *EMA), 5, "done"),
        (("backtest", "show", "nope"), 4, "nope"),
        (("backtest", "cancel", "done"), 5, "completed"),
        (("backtest", "run", *EMA, "--instrument", "NO.SIM"), 3, "NO.SIM not in the data catalog"),
        (("backtest", "run", *EMA, "--bar-type", "FOO"), 3, "--bar-type"),
        (("study", "run", *EMA, "--axis", "fast_ema_period=9:3:1"), 3, "config.axes.fast_ema_period"),
        (("backtest", "compare", "done"), 2, "two"),
        (("study", "run", *EMA, "--axis", "fast_ema_period"), 2, "NAME="),
        (("study", "run", *EMA, "--axis", "nope=1,2"), 3, "nope"),
        (("study", "show", "nope"), 4, "nope"),
    ],
)
def test_what_cannot_be_done_says_why(
    stack: RunningStack, done: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = stack.cli(*arguments)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert words in ran.stderr


def test_a_backtest_that_fails_exits_with_1_and_shows_its_reason(stack: RunningStack, done: str) -> None:
    ran = stack.cli("backtest", "run", "late", *EMA, "--timeout", "0.001", "--json")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    told: dict[str, Any] = json.loads(ran.stderr.splitlines()[-1])["error"]
    assert told["code"] == "backtest_failed"
    assert "timeout" in told["message"]


def test_a_sound_catalog_is_found_sound(stack: RunningStack) -> None:
    found = stack.json("data", "check")
    assert [(one["events"], one["bad_count"]) for one in found] == [(5031, 0), (5031, 0)]


def test_several_strategies_with_a_venues_settings_and_warm_up_are_run_and_verified(
    stack: RunningStack,
) -> None:
    chosen = (
        *("--add-strategy", "ema_cross,fast_ema_period=5", "--add-strategy", "grid"),
        *("--actor", "nautilus_trader.examples.strategies.nothing:Nothing"),
        *("--venue-set", 'SIM.fees={"kind": "per_contract", "commission": "0.01 USD"}', "--warm-up", *SHORT),
    )
    ran = stack.cli("backtest", "run", "wrong", *chosen)
    assert "No module named" in ran.stderr + ran.stdout
    told = stack.json("backtest", "run", "several", *chosen[:4], *chosen[6:])["backtest"]
    first, second = told["summary"]["strategies"]
    assert (first["strategy_id"], second["strategy_id"]) == ("EMACross-001", "Grid-002")
    assert float(first["fees"]["USD"]) == first["fills"]  # a hundred units each, at a cent
    assert told["summary"]["unanswered_requests"] == 0
    assert stack.cli("backtest", "verify", "several").returncode == 0
    both = ("--venue-set", 'SIM.starting_balances=["1 BTC", "5 USD"]', "--venue-set", "SIM.base_currency=USD")
    refused = stack.cli("backtest", "run", "refused", *EMA, *both)
    assert refused.returncode == 3
    assert "--venue-set SIM.starting_balances" in refused.stderr
