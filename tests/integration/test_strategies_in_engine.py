"""Our strategies in a real engine process: on bars made by hand, on the sample data, and where there is nothing to trade."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.states import RunState, StopPolicy
from tests.bars_by_hand import (
    DAY,
    FIRST_DAY,
    BacktestsByHand,
    Outcome,
    Row,
    backtests_by_hand,
    from_template,
)
from tests.engine_processes import ROOT, ZygoteProcess, run_of, sandbox_node, zygote_process
from tests.integration import test_strategies_by_hand as by_hand
from tests.integration.test_replay_equals_backtest import assert_equal, backtest, replay

SPX = {"instrument_id": "SPX.SIM", "bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL"}
HAND = ("--type", "bars", "--instrument", "HAND.SIM", "--bar-type", "HAND.SIM-1-DAY-LAST-EXTERNAL")
BY_HAND: dict[str, tuple[list[Row], dict[str, Any]]] = {
    "simple_momentum": (
        [*by_hand.TestSimpleMomentum.RISE, (107, 107, 98, 99)],
        {"atr_period": 3, "stop_multiple": 2.0},
    ),
    "donchian_breakout": (
        list(by_hand.TestDonchianBreakout.ROWS),
        {"entry_period": 3, "exit_period": 2, "atr_period": 2},
    ),
    "bollinger_reversion": (list(by_hand.TestBollingerReversion.BACK), {"period": 4}),
    "grid": (list(by_hand.TestGrid.ROWS), {"levels": 2, "trade_size": "10", "max_inventory": "20"}),
}
# From 1999 to 2003, with the templates' defaults.
FILLS = {"simple_momentum": 77, "donchian_breakout": 51, "bollinger_reversion": 122, "grid": 143}


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def backtests() -> Iterator[BacktestsByHand]:
    with backtests_by_hand() as process:
        yield process


def imported(folder: Path, *arguments: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        str(folder),
        *arguments,
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("catalog"), "--sample")


def iso(ts: int) -> str:
    return datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def catalog_of(folder: Path, rows: Sequence[Row], first_day: int = FIRST_DAY) -> Path:
    lines = ["close_time,open,high,low,close,volume"]
    for number, row in enumerate(rows):
        moment = iso(first_day + number * DAY)
        lines.append(",".join([moment, *(f"{price:.2f}" for price in row), "1000000"]))
    file = folder / "hand.csv"
    file.write_text("\n".join(lines) + "\n")
    precise = ("--price-precision", "2", "--size-precision", "0", "--timezone", "UTC")
    return imported(folder / "catalog", *HAND, *precise, str(file))


@pytest.mark.parametrize("name", BY_HAND)
def test_it_trades_in_an_engine_as_it_does_by_hand(
    zygote: ZygoteProcess, backtests: BacktestsByHand, tmp_path: Path, name: str
) -> None:
    rows, parameters = BY_HAND[name]
    plan = from_template(name, **parameters)
    wanted = backtests.run(plan, rows, balance=1_000_000)
    heard = replay(zygote, catalog_of(tmp_path, rows), plan)
    times = [FIRST_DAY + number * DAY for number in range(len(rows))]
    in_engine = Outcome(heard | {"faults": [], "state": ""}, times)
    assert len(wanted.trades) >= 2
    assert in_engine.trades == wanted.trades


@pytest.mark.parametrize("name", FILLS)
def test_on_the_sample_data_it_trades_as_in_a_backtest(
    zygote: ZygoteProcess, catalog: Path, name: str
) -> None:
    plan = from_template(name, **SPX)
    theirs = backtest(catalog, plan, end="2004-01-01")
    assert len(theirs["fills"]) == FILLS[name]
    assert_equal(replay(zygote, catalog, plan, end="2003-12-31"), theirs)


@pytest.mark.parametrize("days_ago", [10, 6_000])
def test_bars_from_before_the_start_are_observed_so_that_it_can_enter_at_once(
    zygote: ZygoteProcess, tmp_path: Path, days_ago: int
) -> None:
    # The breakout is on the fourth bar, and the first that is replayed. The strategy asks for the last weeks by the wall clock, which
    # lie years after all that the catalog has: then those before the first bar that is replayed are meant.
    first_day = (time.time_ns() // DAY - days_ago) * DAY
    catalog = catalog_of(tmp_path, by_hand.TestSimpleMomentum.RISE, first_day)
    for request_bars, fills in ((True, ["103.00"]), (False, [])):
        plan = from_template("simple_momentum", atr_period=3, request_bars=request_bars)
        heard = replay(zygote, catalog, plan, start=iso(first_day + 3 * DAY))
        assert [fill["last_px"] for fill in heard["fills"]] == fills


def test_ema_cross_holds_no_more_than_its_trade_size(zygote: ZygoteProcess, catalog: Path) -> None:
    plan = from_template("ema_cross", **SPX, trade_size="7")
    heard = replay(zygote, catalog, plan, end="2003-01-01")
    assert {fill["last_qty"] for fill in heard["fills"]} == {"7"}
    assert {event["quantity"] for event in heard["positions"]} == {"7", "0"}


@pytest.mark.parametrize("name", BY_HAND)
def test_without_its_instrument_it_stops_itself_and_says_so(
    zygote: ZygoteProcess, catalog: Path, name: str
) -> None:
    plan = from_template(name)
    engine = zygote.fork(run_of(catalog, sandbox_node(), plan))
    engine.until_state(RunState.TRADING)
    assert set(engine.metrics()[-1].strategies.values()) == {"STOPPED"}
    engine.send(Stop(StopPolicy.LEAVE, 5.0))
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
    assert any("Stopped: there is no instrument HAND.SIM" in line for line in engine.log)


def test_nonsense_is_refused_with_every_fault_at_once(zygote: ZygoteProcess, catalog: Path) -> None:
    plan = from_template("simple_momentum", **SPX | {"instrument_id": "IXIC.SIM"}, trade_size="-1")
    plan["config"]["risk_fraction"] = "2"
    ended, code = zygote.fork(run_of(catalog, sandbox_node(), plan)).until_ended()
    assert code == 78
    assert ended.detail.startswith("plan.strategies[0]: ValidationError: ")
    for fault in ("`bar_type` is of SPX.SIM", "`trade_size` must be", "`risk_fraction` must be"):
        assert fault in ended.detail
