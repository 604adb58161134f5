"""Backtests over REST on a real stack: they run, their figures are those of a public library, and a cancelled one's process is gone."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas import contract
from flotilla.schemas.backtest import TrialEvent, TrialStarted
from tests.e2e.engines import eventually
from tests.e2e.rest import API, ENGINE, Rest
from tests.e2e.stacks import RunningStack, is_running
from tests.engine_processes import ROOT, ema_cross
from tests.integration.test_replay_equals_backtest import backtest, catalog
from tests.library_figures import library_figures

__all__ = ["catalog"]

CANCEL_S = float(os.environ.get("FLOTILLA_CANCEL_S", "5"))
"""It is 1 s that is promised, of a machine that has a core to spare."""
BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
RESULTS = f"{API}/backtest/results"
BACKTEST = f"{ENGINE}/backtest"
EARLY = {
    "strategyClass": "EMACross",
    "strategyConfig": {},
    "startDate": "2000-01-01",
    "endDate": "2002-12-31",
    "instruments": ["SPX.SIM"],
}
STUCK = {
    "strategy_class": "tests.trial_strategies:Misbehaves",
    "strategy_config": {"bar_type": BARS, "how": "loop"},
    "start_date": "2000-01-01",
    "end_date": "2002-12-31",
    "instruments": ["SPX.SIM"],
}
"""A strategy that is stuck at its tenth bar."""


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes, whose workers can import the strategies of our tests."""
    modules = "nautilus_trader.examples.strategies,tests.trial_strategies"
    made = RunningStack("process", env={"PYTHONPATH": str(ROOT), "FLOTILLA_STRATEGY_MODULES": modules})
    made.start()
    yield made
    made.remove()


@pytest.fixture
async def rest(stack: RunningStack) -> AsyncIterator[Rest]:
    """Its REST API."""
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


async def ended(rest: Rest, backtest_id: str) -> Any:
    """The backtest once it has ended; what is said of its progress on the way never goes back."""
    last = 0.0

    async def look() -> Any:
        nonlocal last
        shown = (await rest.done("GET", f"{BACKTEST}/{backtest_id}"))["backtest"]
        assert last <= shown["progress"] <= 100
        last = shown["progress"]
        return shown if shown["status"] in ("completed", "failed", "cancelled") else None

    return await eventually(look, 60, f"the end of backtest {backtest_id}")


async def completed(rest: Rest, backtest_id: str, config: Any) -> Any:
    told = await rest.done("POST", BACKTEST, {"backtestId": backtest_id, "config": config})
    assert (told["backtest_id"], told["status"]) == (backtest_id, "pending")
    shown = await ended(rest, backtest_id)
    assert shown["status"] == "completed", shown
    return shown


async def test_a_backtest_runs_and_gives_what_nautilustrader_gives(rest: Rest, catalog: Path) -> None:
    theirs = backtest(catalog, ema_cross(), instruments=["SPX.SIM"])
    there = (await rest.done("GET", f"{ENGINE}/catalog"))["catalog"]
    assert "SPX.SIM" in there["instruments"]
    assert "SIM" in there["venues"]
    assert "bars" in there["data_types"]
    held = there["ranges"]["bars"][BARS]
    config = {**EARLY, "startDate": held["start"][:10], "endDate": held["end"][:10]}
    plan = ema_cross()
    config |= {"strategyClass": plan["strategy_path"], "configClass": plan["config_path"]}
    config |= {"strategyConfig": plan["config"], "barTypes": [BARS]}

    shown = await completed(rest, "whole", config)
    assert shown["progress"] == 100
    metrics, realized = shown["results"]["metrics"], shown["results"]["nautilus_statistics"]
    assert realized["total_return"] == pytest.approx(theirs["statistics"]["USD"]["PnL% (total)"] / 100)
    assert realized["sharpe_ratio"] == theirs["statistics"]["returns"]["Sharpe Ratio (252 days)"]
    curve = shown["results"]["equity_curve"]
    at = [int(datetime.fromisoformat(one["timestamp"]).timestamp()) * 10**9 for one in curve]
    figures = library_figures(at, [one["equity"] for one in curve])
    assert {name: metrics[name] for name in figures} == pytest.approx(figures, rel=1e-9)
    assert shown["results"]["currency"] == "USD"
    assert shown["results"]["order_counts"]["filled"] == len(theirs["fills"])
    (held,) = shown["results"]["open_positions"]
    assert metrics["final_equity"] == float(theirs["balances"]["USD"]) + float(held["unrealized_pnl"])
    assert len(shown["results"]["trades"]) == metrics["total_trades"]
    assert shown["results"]["equity_curve"][-1]["balance"] == float(theirs["balances"]["USD"])
    fills = await rest.done("GET", f"{API}/backtests/whole/results/fills?limit=5000")
    assert len(theirs["fills"]) > 400
    assert fills["entries"] == theirs["fills"]
    manifest = (await rest.done("GET", shown["results"]["manifest"]))["entries"][0]
    assert manifest["files"]
    csv, media = await rest.page(f"{API}/backtests/whole/export?part=fills")
    assert (media, len(csv.splitlines())) == ("text/csv", len(theirs["fills"]) + 1)
    status, told = await rest.call("POST", BACKTEST, {"backtest_id": "whole", "config": config})
    assert (status, told["code"]) == (409, "conflict")
    status, told = await rest.call("DELETE", f"{BACKTEST}/whole")
    assert (status, told["code"]) == (409, "conflict")


async def test_the_tear_sheet_is_one_page_that_loads_nothing(rest: Rest) -> None:
    await completed(rest, "drawn", EARLY)
    link = (await rest.done("GET", f"{BACKTEST}/drawn"))["backtest"]["results"]["tearsheet"]
    ours, media = await rest.page(link)
    assert media == "text/html"
    assert "Plotly" not in ours
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", ours)
    status, told = await rest.call("GET", f"{link}?nautilus=true")
    assert (status, "a run again draws it" in told["message"]) == (404, True)
    await rest.done("POST", f"{API}/backtests/drawn/verify", {"wants_report": True})

    async def theirs() -> str:  # drawn once the run again has completed
        html = (await rest.page(link))[0]
        return html if "Plotly" in html else ""

    html = await eventually(theirs, 60, "NautilusTrader's tear sheet")
    assert html.rstrip().endswith("</html>")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)=", html)
    metrics = (await rest.done("GET", f"{BACKTEST}/drawn"))["backtest"]["results"]["metrics"]
    depth = f">{metrics['max_drawdown'] * 100:.2f} %<"
    assert html.count(depth) == 2, "in the table, and beside the picture"
    assert "Marked equity" in html


async def test_a_base_currency_that_the_data_have_no_rate_for_fails_the_backtest_and_is_named(
    rest: Rest,
) -> None:
    told = await rest.done(
        "POST", BACKTEST, {"backtestId": "foreign", "config": {**EARLY, "baseCurrency": "EUR"}}
    )
    assert told["status"] == "pending", "what SPX.SIM is settled in its name does not tell"
    shown = await ended(rest, "foreign")
    assert (shown["status"], shown["reason"], shown["results"]) == ("failed", "config", None)
    assert "base_currency EUR: the run's data have no rate from USD" in shown["error"]
    zone = {"backtestId": "nowhere", "config": {**EARLY, "timezone": "Mars/Olympus"}}
    status, refused = await rest.call("POST", BACKTEST, zone)
    assert (status, [each["field"] for each in refused["errors"]]) == (422, ["config.timezone"])


async def test_other_parameters_give_other_results_and_both_are_compared_listed_and_verified(
    rest: Rest,
) -> None:
    one = await completed(rest, "one", EARLY)
    other = await completed(rest, "other", {**EARLY, "strategyConfig": {"fast_ema_period": 3}})
    assert one["results"]["metrics"] != other["results"]["metrics"]
    compared = await rest.done("GET", f"{API}/backtests/compare?ids=one,other")
    assert compared["parameters"]["strategy_config.fast_ema_period"] == [None, 3]
    listed = await rest.done("GET", f"{ENGINE}/backtests?status=completed&limit=2")
    assert [shown["id"] for shown in listed["backtests"]] == ["other", "one"]
    assert listed["total_count"] >= 2

    async def verdict() -> Any:
        told = await rest.done("POST", f"{API}/backtests/one/verify", {"verifyId": "one-again"})
        return told["verdict"] if told["verdict"]["is_equal"] is not None else None

    again = await eventually(verdict, 60, "a verdict")
    assert again["is_equal"] is True, again
    assert again["fills_compared"] > 20
    posted = await rest.done("POST", f"{API}/backtest/compare", {"backtestIds": ["one", "other"]})
    assert posted == compared
    row = posted["backtests"][0]
    assert row["startTime"] < row["endTime"]
    assert row["metrics"]["totalReturn"] == one["results"]["metrics"]["total_return"]
    assert row["results"]["benchmark"] == "SPX.SIM"
    assert None not in [row["metrics"][name] for name in ("information_ratio", "alpha", "beta")]
    assert {trade["side"] for trade in one["results"]["trades"]} <= {"BUY", "SELL"}
    assert (await rest.done("GET", f"{RESULTS}/one"))["results"] == one["results"]
    await rest.done("DELETE", f"{RESULTS}/one")
    assert (await rest.call("GET", f"{RESULTS}/one"))[0] == 404
    left = (await rest.done("GET", f"{BACKTEST}/one"))["backtest"]["results"]
    assert (left["trades"], left["metrics"]) == (None, one["results"]["metrics"])


async def test_groups_of_settings_are_honoured(rest: Rest) -> None:
    groups = {"executionSettings": {"initialBalance": 5_000_000}, "riskSettings": {"maxOrderRate": 1}}
    free = (await completed(rest, "free", EARLY))["results"]
    slow = (await completed(rest, "slow", {**EARLY, **groups}))["results"]
    assert [each["equity_curve"][0]["equity"] for each in (free, slow)] == [1_000_000, 5_000_000]
    # Turning round takes two orders at once.
    assert free["order_counts"]["denied"] == 0 < slow["order_counts"]["denied"]


async def test_progress_is_measured_and_a_cancelled_backtest_is_gone(rest: Rest, stack: RunningStack) -> None:
    pids: list[int] = []

    async def told(event: TrialEvent, _: object) -> None:
        if event.backtest_id == "stuck" and isinstance(event.data, TrialStarted):
            pids.append(event.data.pid)

    async with Flotilla.connect(stack.connection, wait_s=10) as fleet:
        await fleet.bus.listen(contract.TRIAL_EVENT, told)
        await rest.done("POST", BACKTEST, {"backtest_id": "stuck", "config": STUCK})

        async def runs() -> Any:
            shown = (await rest.done("GET", f"{BACKTEST}/stuck"))["backtest"]
            return shown if shown["status"] == "running" and pids else None

        await eventually(runs, 60, "its start")
        (pid,) = pids
        # Time goes by and its simulated time does not: no timer counts for it.
        until = time.monotonic() + 2
        while time.monotonic() < until:
            shown = (await rest.done("GET", f"{BACKTEST}/stuck"))["backtest"]
            assert (shown["status"], shown["results"]) == ("running", None)
            assert shown["progress"] < 10
            active = (await rest.done("GET", f"{ENGINE}/status"))["status"]
            assert list(active["active_backtests"]) == ["stuck"]
        assert is_running(pid)
        began = time.monotonic()
        done = await rest.done("DELETE", f"{BACKTEST}/stuck")
        assert not is_running(pid)
        assert time.monotonic() - began < CANCEL_S
    assert done["status"] == "cancelled"
    shown = (await rest.done("GET", f"{BACKTEST}/stuck"))["backtest"]
    assert (shown["status"], shown["results"]) == ("cancelled", None)
    assert "cancelled_at" in shown
    assert (await rest.done("GET", f"{ENGINE}/status"))["status"]["active_backtests"] == {}
    # The worker goes on.
    await completed(rest, "after", EARLY)


async def test_a_cancel_from_the_command_line_ends_the_process_and_asked_again_says_the_same(
    rest: Rest, stack: RunningStack
) -> None:
    pids: list[int] = []

    async def told(event: TrialEvent, _: object) -> None:
        if event.backtest_id == "held" and isinstance(event.data, TrialStarted):
            pids.append(event.data.pid)

    async with Flotilla.connect(stack.connection, wait_s=10) as fleet:
        await fleet.bus.listen(contract.TRIAL_EVENT, told)
        await rest.done("POST", BACKTEST, {"backtest_id": "held", "config": STUCK})

        async def runs() -> Any:
            return bool(pids)

        await eventually(runs, 60, "its start")
    assert is_running(pids[0])
    done = await asyncio.to_thread(stack.cli, "backtest", "cancel", "held")
    assert not is_running(pids[0])
    assert (done.returncode, "cancelled" in done.stdout) == (0, True), done.stderr
    first = (await rest.done("GET", f"{BACKTEST}/held"))["backtest"]
    assert (await rest.done("DELETE", f"{BACKTEST}/held"))["status"] == "cancelled"
    assert (await rest.done("GET", f"{BACKTEST}/held"))["backtest"] == first


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"instruments": ["NONE.SIM"]}, "config.instruments"),
        ({"startDate": "1800-01-01", "endDate": "1800-02-01"}, None),
        ({"strategyClass": "NoSuchStrategy"}, "config.strategy_class"),
        ({"strategyConfig": {"fast_ema_period": -1}}, "config.strategy_config.fast_ema_period"),
        ({"strategyConfig": {"unheard_of": 1}}, "config.strategy_config.unheard_of"),
    ],
)
async def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    rest: Rest, change: dict[str, Any], field: str | None
) -> None:
    status, told = await rest.call("POST", BACKTEST, {"backtest_id": "bad", "config": {**EARLY, **change}})
    assert (status, told["code"]) == (422, "invalid"), told
    assert field is None or field in [error["field"] for error in told["errors"]], told
    status, told = await rest.call("GET", f"{BACKTEST}/bad")
    assert (status, told["code"]) == (404, "not_found")


async def test_a_study_sweeps_and_names_the_best(rest: Rest) -> None:
    axes = {"fast_ema_period": {"values": [3, 5]}, "slow_ema_period": {"values": [20, 30]}}
    config = {"base": EARLY, "axes": axes, "bestBy": "total_return"}
    await rest.done("POST", f"{API}/studies", {"studyId": "sweep", "config": config})

    async def look() -> Any:
        shown = (await rest.done("GET", f"{API}/studies/sweep"))["study"]
        return shown if shown["completed_at"] else None

    shown = await eventually(look, 60, "the end of the study")
    assert (shown["status"], shown["total"], shown["progress"]) == ("completed", 4, 100)
    members = (await rest.done("GET", f"{API}/studies/sweep/backtests"))["backtests"]
    returns = {one["id"]: one["results"]["metrics"]["total_return"] for one in members}
    assert len(returns) == 4
    assert shown["best"]["id"] == max(returns, key=lambda name: returns[name])
