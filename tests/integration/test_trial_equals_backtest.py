"""A trial gives what NautilusTrader's own BacktestEngine gives: every fill, every order, every statistic."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.backtest.price_history import prices
from flotilla.schemas.backtest import MAX_PRICE_POINTS
from tests.engine_processes import ROOT, ema_cross
from tests.integration.test_replay_equals_backtest import backtest, catalog, strategy

__all__ = ["catalog"]

FOREVER = (1 << 63) - 1
UNTIL, UNTIL_NS = "2003-01-01", 1_041_379_200_000_000_000
VENUE = {
    "name": "SIM",
    "oms_type": "NETTING",
    "account_type": "MARGIN",
    "starting_balances": ["1000000 USD"],
    "base_currency": "USD",
}
ENGINE = {"logging": {"log_level": "ERROR"}, "risk_engine": {"max_order_submit_rate": "1000000/00:00:01"}}


def trial(folder: Path, plan: dict[str, Any], code: int = 0) -> list[dict[str, Any]]:
    """What `python -m flotilla.engine_sidecar.backtest` says, line by line."""
    whole = {"engine": ENGINE, "venues": [VENUE], "start_ns": 0, "end_ns": FOREVER} | plan
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "flotilla.engine_sidecar.backtest", str(folder)],
        input=json.dumps(whole).encode(),
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr.decode()[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def bars(*strategies: dict[str, Any]) -> dict[str, Any]:
    types = sorted({plan["config"]["bar_type"] for plan in strategies})
    return {
        "strategies": strategies,
        "data": [{"kind": "bars", "identifier": name} for name in types],
        "instruments": sorted({name.split("-")[0] for name in types}),
    }


def assert_same(said: list[dict[str, Any]], theirs: dict[str, Any]) -> None:
    result = said[-1]["result"]
    for index, (ours, wanted) in enumerate(zip(result["fills"], theirs["fills"], strict=False)):
        assert ours == wanted, f"fill {index}"
    assert len(result["fills"]) == len(theirs["fills"])
    assert result["events"] == theirs["events"]
    assert result["balances"] == theirs["balances"]
    assert result["statistics"] == theirs["statistics"]
    assert len(result["orders"]) == len({event["client_order_id"] for event in theirs["orders"]})


def test_every_fill_and_every_statistic_of_ema_cross(catalog: Path) -> None:
    said = trial(catalog, bars(ema_cross()))
    theirs = backtest(catalog, ema_cross(), instruments=["SPX.SIM"])
    assert len(theirs["fills"]) > 400
    assert_same(said, theirs)
    result = said[-1]["result"]
    realized = result["summary"]["nautilus_statistics"]
    assert realized["total_return"] == pytest.approx(theirs["statistics"]["USD"]["PnL% (total)"] / 100)
    assert realized["sharpe_ratio"] == theirs["statistics"]["returns"]["Sharpe Ratio (252 days)"]
    metrics = result["metrics"]
    assert metrics["total_trades"] == metrics["winning_trades"] + metrics["losing_trades"]
    # The account is worth what it has and what is open at the end, which is named.
    (held,) = result["open_positions"]
    worth = float(result["balances"]["USD"]) + float(held["unrealized_pnl"])
    assert result["equity_curve"][-1]["equity"] == pytest.approx(worth)
    assert metrics["total_return"] == pytest.approx(worth / 1_000_000 - 1)
    assert result["summary"]["open_positions"] == [held]
    # Prices come with it: at moments of the equity curve, the ends and the extremes of what the catalog has.
    kept = [(point["at_ns"], point["price"]) for point in result["prices"]]
    assert 900 < len(kept) <= MAX_PRICE_POINTS
    assert {at_ns for at_ns, _ in kept} <= {point["at_ns"] for point in result["equity_curve"]}
    closes = prices(catalog, "SPX.SIM", 0, FOREVER)
    assert (kept[0][1], kept[-1]) == (closes[0][1], closes[-1])
    for extreme in (min, max):
        assert extreme(price for _, price in kept) == extreme(price for _, price in closes)
    assert len(closes) <= MAX_PRICE_POINTS
    assert prices(catalog, "NOPE.SIM", 0, FOREVER) == []


def test_two_strategies_on_two_instruments(catalog: Path) -> None:
    other = {"instrument_id": "IXIC.SIM", "bar_type": "IXIC.SIM-1-DAY-LAST-EXTERNAL", "order_id_tag": "002"}
    plans = [ema_cross(order_id_tag="001"), ema_cross(**other)]
    theirs = backtest(catalog, *plans, end=UNTIL)
    assert_same(trial(catalog, bars(*plans) | {"end_ns": UNTIL_NS}), theirs)


def test_orders_of_every_kind(catalog: Path) -> None:
    plan = strategy("TradesInManyWays", "SPX", how="leveraged", size="100")
    theirs = backtest(catalog, plan, instruments=["SPX.SIM"], end=UNTIL)
    assert_same(trial(catalog, bars(plan) | {"end_ns": UNTIL_NS}), theirs)


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with 60,000 quotes of a random walk, several at one moment."""
    folder = tmp_path_factory.mktemp("ticks")
    chance, price, ts = random.Random(7), 100.0, 1_600_000_000_000
    lines = ["timestamp,bid,ask,bid_size,ask_size"]
    for _ in range(60_000):
        price, ts = price + chance.choice((-0.01, 0.0, 0.01)), ts + chance.choice((0, 250, 1_000))
        lines.append(f"{ts},{price:.2f},{price + 0.01:.2f},100,100")
    (folder / "ACME.csv").write_text("\n".join(lines))
    imported = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "flotilla.engine_sidecar.catalog",
                "import",
                "--catalog",
                folder / "catalog",
            ),
            *("--type", "quotes", "--instrument", "ACME.SIM", folder / "ACME.csv"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr + imported.stdout
    return folder / "catalog"


def test_quote_ticks_in_chunks_give_what_they_give_at_once(ticks: Path) -> None:
    config = {"instrument_id": "ACME.SIM", "bar_type": "ACME.SIM-1-MINUTE-BID-INTERNAL"}
    plan = ema_cross(**config, fast_ema_period=3, slow_ema_period=7)
    said = trial(
        ticks,
        {
            "strategies": [plan],
            "data": [{"kind": "quotes", "identifier": "ACME.SIM"}],
            "instruments": ["ACME.SIM"],
        },
    )
    theirs = backtest(ticks, plan, bar_types=[], QuoteTick=["ACME.SIM"])
    assert len(theirs["fills"]) > 50
    assert_same(said, theirs)
    kept, quotes = said[-1]["result"]["prices"], prices(ticks, "ACME.SIM", 0, FOREVER)
    assert max(len(kept), len(quotes)) <= MAX_PRICE_POINTS
    assert kept[-1] == {"instrument_id": "ACME.SIM", "at_ns": quotes[-1][0], "price": quotes[-1][1]}
    done = [line["progress"]["events"] for line in said if "progress" in line]
    assert done == sorted(done)
    assert done[-1] == 60_000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instruments": ["SPX.SIM", "NONE.SIM"]}, "the catalog has no NONE.SIM"),
        ({"data": [{"kind": "quotes", "identifier": "SPX.SIM"}]}, "no event of these data sets"),
        ({"end_ns": 1}, "no event of these data sets"),
        ({"timezone": "Mars/Olympus"}, "timezone Mars/Olympus is not known here"),
        ({"venues": [VENUE | {"leverage": 3}]}, "leverage"),
        ({"engine": {"bypass": True}}, "bypass"),
        ({"strategies": [{"strategy_path": "no.such:Thing", "config_path": "no:C", "config": {}}]}, "no"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_in_words(
    catalog: Path, change: dict[str, Any], told: str
) -> None:
    said = trial(catalog, bars(ema_cross()) | change, code=78)
    assert told in said[-1]["refused"]
