"""The demo, as somebody who has just cloned this runs it."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import best_runtime
from tests.e2e.stacks import processes_of, run_flotilla

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for temporary files, where what the demo leaves behind would be seen."""
    with tempfile.TemporaryDirectory(prefix="flotilla-e2e-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def runtime() -> str:
    return best_runtime()


def leavings(folder: Path) -> list[str]:
    """Files below a folder, and processes that were told of it or run in it."""
    return [*map(str, folder.iterdir()), *map(str, processes_of(folder))]


def test_it_trades_real_data_accounts_for_all_of_it_and_leaves_nothing(
    runtime: str, scratch: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.html"
    arguments = ("--json", "--runtime", runtime, "--report", str(sheet))
    done = run_flotilla("demo", *arguments, timeout_s=280, env={"TMPDIR": str(scratch)})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["runtime"] == runtime
    assert told["orders"] == len(told["fills"]) == 444
    assert {fill["instrument_id"] for fill in told["fills"]} == {"SPX.SIM"}
    assert told["metrics"]["feeds"][0]["events"] == 5031
    assert told["metrics"]["realized_pnl"]["USD"] != "0.00"
    assert told["heard"]["heartbeat"] > 0
    assert told["heard"]["metrics"] > 0
    durable = ("state", "order", "fill", "position", "account", "alert")
    assert sum(told["heard"].get(kind, 0) for kind in durable) == told["events"] == told["events_recorded"]
    assert told["backtest"]["status"] == "completed"
    assert told["equal_fills"] == 443
    assert told["report"] == str(sheet)
    assert "bought (221)" in sheet.read_text()
    assert told["seconds"] < 120
    assert leavings(scratch) == []


def test_on_a_venue_engine_and_exchange_tell_the_same_trades_and_nothing_is_left(scratch: Path) -> None:
    done = run_flotilla("demo", "--venue", "--json", timeout_s=280, env={"TMPDIR": str(scratch)})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == []
    ours = {(fill["trade_id"], fill["side"], fill["last_px"], fill["commission"]) for fill in told["fills"]}
    theirs = {
        (fill["trade_id"], fill["side"], fill["price"], fill["fee"]) for fill in told["ledger"]["fills"]
    }
    assert ours == theirs
    assert len(ours) >= 6
    assert (told["ledger"]["positions"], told["ledger"]["open_orders"]) == (0, 0)
    assert told["events"] == told["events_recorded"]
    assert leavings(scratch) == []


def test_without_docker_it_runs_all_the_same_says_so_and_tells_people_what_happened(
    scratch: Path, tmp_path: Path
) -> None:
    sheet = str(tmp_path / "sheet.html")
    done = run_flotilla("demo", "--report", sheet, timeout_s=280, env={"TMPDIR": str(scratch), **NO_DOCKER})
    assert done.returncode == 0, done.stderr
    assert "local processes, NOT ISOLATED" in done.stderr
    for part in (
        r"orders +444 \(444 FILLED\)",
        r"1999-02-02 +BUY +100 +SPX.SIM +1,273.00",
        r"438 more",
        r"position +SPX.SIM -100",
        r"realized pnl +-120,498.00 USD",
        r"balance +[\d,.]+ USD",
        r"\d+ heartbeats, \d+ metrics",
        r"444 fill, 444 position, 444 account",
        r"sequence +1 to ([\d,]+), none missing; all \1 are in PostgreSQL",
        r"its 443 fills are those of the engine, one by one",
        r"tear sheet: .*sheet.html",
        r"Try next\n +\S*flotilla up.*\n +\S*flotilla engine start .*\n +\S*flotilla engine watch ",
    ):
        assert re.search(part, done.stdout), f"{part} is not in\n{done.stdout}"
    assert max(len(line) for line in done.stdout.splitlines() if sheet not in line) <= 80
    assert leavings(scratch) == []


def test_docker_that_is_wanted_and_not_there_is_a_failure_with_a_remedy(scratch: Path) -> None:
    done = run_flotilla("demo", "--runtime", "docker", env={"TMPDIR": str(scratch), **NO_DOCKER})
    assert done.returncode == 1
    assert "engines cannot run in Docker" in done.stderr
    assert "remedy: see `flotilla doctor`" in done.stderr
