"""Every fill, order, trade, balance and statistic of a trial is that of a BacktestEngine with all data loaded at once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flotilla.schemas.backtest import MAX_CURVE_POINTS
from tests import tick_catalog
from tests.engine_processes import ROOT, from_template
from tests.integration.test_replay_equals_backtest import catalog
from tests.integration.test_trial_equals_backtest import ENGINE, FOREVER, UNTIL_NS, VENUE, trial
from tests.tick_catalog import ACME_BARS, BEGIN, END, SECOND

__all__ = ["catalog"]

XNAS = VENUE | {"name": "XNAS"}
MODELS = "nautilus_trader.backtest.models"
CONFIGS = "nautilus_trader.backtest.config"
QUOTES = {"kind": "quotes", "identifier": "ACME.SIM"}
SPX = {"kind": "bars", "identifier": "SPX.SIM-1-DAY-LAST-EXTERNAL"}
TRADES = {"kind": "trades", "identifier": "BETA.XNAS"}
FEW = {"kind": "trades", "identifier": "ACME.SIM"}
BARS = {"kind": "bars", "identifier": ACME_BARS}
ONCE = {"kind": "quotes", "identifier": "ONCE.SIM"}


def trader(*instruments: str, **config: Any) -> dict[str, Any]:
    return {
        "strategy_path": "tests.trial_strategies:TradesOnEverything",
        "config_path": "tests.trial_strategies:TradesOnEverythingConfig",
        "config": {"instruments": instruments or ["ACME.SIM"], "order_id_tag": "001"} | config,
    }


def model(kind: str, name: str, **config: Any) -> dict[str, Any]:
    path = {f"{kind}_model_path": f"{MODELS}:{name}", "config_path": f"{CONFIGS}:{name}Config"}
    return {f"{kind}_model": path | {"config": config}}


def on(*data: dict[str, Any], **plan: Any) -> dict[str, Any]:
    instruments = sorted({one["identifier"].split("-")[0] for one in data})
    venues = [VENUE | {"name": name} for name in sorted({each.split(".")[1] for each in instruments})]
    whole = {"strategies": [trader(*instruments)], "instruments": instruments, "venues": venues}
    return (
        whole
        | {
            "data": sorted(data, key=lambda one: (one["kind"], one["identifier"])),
            "engine": ENGINE,
            "start_ns": 0,
            "end_ns": FOREVER,
            "chunk": 40,
        }
        | plan
    )


LATENCY = model("latency", "LatencyModel", base_latency_nanos=250_000_000)
FILLS = model("fill", "FillModel", prob_fill_on_limit=0.5, prob_slippage=0.5, random_seed=7)
FEES = model("fee", "FixedFeeModel", commission="1.5 USD")
TICKS = {
    "quotes": on(QUOTES),
    "trades": on(TRADES),
    "bars and quotes": on(BARS, QUOTES, strategies=[trader(bar_types=[ACME_BARS])]),
    "two venues and a data set that begins late": on(QUOTES, TRADES),
    "cash": on(QUOTES, venues=[VENUE | {"account_type": "CASH"}]),
    "hedging": on(QUOTES, venues=[VENUE | {"oms_type": "HEDGING"}]),
    "latency": on(FEW, BARS, venues=[VENUE | LATENCY]),
    "latency and leverage": on(
        QUOTES, venues=[VENUE | LATENCY | {"default_leverage": 10.0}], strategies=[trader(size=20_000)]
    ),
    "chances and a commission": on(QUOTES, venues=[VENUE | FILLS | FEES]),
    "timers between chunks": on(QUOTES, FEW, strategies=[trader(timer_s=7.0)], chunk=10),
    "timers before and after all data": on(
        FEW, strategies=[trader(timer_s=60)], start_ns=BEGIN - 1_000 * SECOND, end_ns=BEGIN + 3_000 * SECOND
    ),
    "a late subscription to a late data set": on(
        QUOTES, TRADES, strategies=[trader("ACME.SIM", "BETA.XNAS", late_s=250.0)]
    ),
    "a data set of one event": on(ONCE, QUOTES, strategies=[trader("ACME.SIM", "ONCE.SIM")]),
    "one event": on(ONCE),
    "an end in the middle of a file": on(QUOTES, TRADES, end_ns=END - 100 * SECOND),
    "bars made of quotes": on(
        QUOTES, strategies=[trader(bar_types=["ACME.SIM-3-SECOND-BID-INTERNAL"])], end_ns=END + 100 * SECOND
    ),
    "one at a time": on(FEW, BARS, chunk=1),
}

BAR_STRATEGIES: dict[str, dict[str, Any]] = {
    "donchian_breakout": {"allow_short": True},
    "bollinger_reversion": {"allow_short": True},
    "grid": {"allow_short": True},
}


class Pairs:
    """A process that runs plans in pairs."""

    def __init__(self, folder: Path) -> None:
        self._known: dict[bytes, tuple[Any, Any]] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.direct_runs", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def run(self, plan: dict[str, Any]) -> tuple[Any, Any]:
        """The results of trial and direct run; of a plan that was run before, the same again."""
        line = json.dumps(plan).encode()
        if line not in self._known:
            self._known[line] = self._run(line)
        return self._known[line]

    def _run(self, line: bytes) -> tuple[Any, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        ours, theirs = json.loads(self._process.stdout.readline())
        assert ours is not None
        assert theirs is not None
        return ours, theirs

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def sample(catalog: Path) -> Iterator[Pairs]:
    with closing(Pairs(catalog)) as pairs:
        yield pairs


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    folder = tmp_path_factory.mktemp("ticks")
    tick_catalog.write(folder)
    with closing(Pairs(folder)) as pairs:
        yield pairs


def assert_same(ours: Any, theirs: Any) -> None:
    for index, (fill, wanted) in enumerate(zip(ours["fills"], theirs["fills"], strict=False)):
        assert fill == wanted, f"fill {index}"
    assert len(ours["fills"]) == len(theirs["fills"])
    orders = {order["client_order_id"]: [order["status"], order["filled_qty"]] for order in ours["orders"]}
    assert orders == theirs["orders"]
    trades = sorted([str(trade["exit_time_ns"]), trade["pnl"]] for trade in ours["trades"])
    assert trades == theirs["trades"]
    assert ours["events"] == theirs["events"]
    assert ours["balances"] == theirs["balances"]
    if theirs["accounts"] == 1:  # of several, BacktestEngine gives the statistics of the last
        assert ours["statistics"] == theirs["statistics"]


@pytest.mark.parametrize("name", TICKS)
def test_a_trial_on_ticks_gives_what_nautilustrader_gives(ticks: Pairs, name: str) -> None:
    ours, theirs = ticks.run(TICKS[name])
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 10 or name == "one event"
    moments = [point["at_ns"] for point in ours["equity_curve"]]
    # The first one is before the first event, and of its moment.
    assert moments[1:] == sorted(set(moments[1:]))
    assert moments[0] <= moments[1]
    assert len(moments) <= MAX_CURVE_POINTS + 1
    assert ours["equity_curve"][0]["equity"] == 1_000_000 * theirs["accounts"]
    assert ours["equity_curve"][-1]["balance"] == float(ours["balances"]["USD"])


@pytest.mark.parametrize("name", BAR_STRATEGIES)
def test_a_strategy_on_bars_gives_what_nautilustrader_gives(sample: Pairs, name: str) -> None:
    plan = from_template(name, **BAR_STRATEGIES[name])
    ours, theirs = sample.run(on(SPX, strategies=[plan], chunk=1_000, end_ns=UNTIL_NS))
    assert_same(ours, theirs)
    assert len(ours["fills"]) > 30


def test_the_figures_of_several_venues_are_of_all_accounts_together(ticks: Pairs) -> None:
    ours, _ = ticks.run(on(QUOTES, TRADES))
    began, ended = 2_000_000, float(ours["balances"]["USD"])
    assert {trade["instrument_id"] for trade in ours["trades"]} == {"ACME.SIM", "BETA.XNAS"}
    realized = ours["summary"]["nautilus_statistics"]["total_return"]
    assert realized == pytest.approx((ended - began) / began)
    assert ours["metrics"]["final_equity"] == ours["equity_curve"][-1]["equity"]
    assert ours["metrics"]["total_return"] == pytest.approx(ours["metrics"]["final_equity"] / began - 1)
    assert ours["metrics"]["largest_win"] == max(float(trade["pnl"]) for trade in ours["trades"])
    # A venue where nothing is traded changes nothing but the balance.
    alone, _ = ticks.run(on(QUOTES))
    beside, _ = ticks.run(on(QUOTES, venues=[VENUE, XNAS]))
    for figure in ("win_rate", "profit_factor", "average_win", "largest_loss"):
        assert beside["metrics"][figure] == alone["metrics"][figure]


@pytest.mark.parametrize("index", [0, 1], ids=["first", "later"])
def test_data_out_of_order_is_refused_and_its_file_named(ticks: Pairs, index: int, tmp_path: Path) -> None:
    tick_catalog.write(tmp_path)
    folder = tmp_path / "data/quote_tick/ACME.SIM"
    file = sorted(folder.glob("*.parquet"))[index]
    table = pq.read_table(file)
    pq.write_table(table.take(list(reversed(range(len(table))))), file)
    said = trial(tmp_path, {key: value for key, value in on(QUOTES).items() if key != "chunk"}, code=78)
    assert said[-1]["refused"] == f"{file.relative_to(tmp_path)} is not in time order"
