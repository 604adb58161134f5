"""The dress rehearsal is worth what its fills are worth: they must be those of NautilusTrader's own BacktestEngine."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import Measured, Stop
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ROOT, ZygoteProcess, ema_cross, run_of, sandbox_node, zygote_process

BARS = {symbol: f"{symbol}.SIM-1-DAY-LAST-EXTERNAL" for symbol in ("SPX", "IXIC")}


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    subprocess.run(
        [sys.executable, "-m", "flotilla.engine_sidecar.catalog", "import", "--catalog", folder, "--sample"],
        cwd=ROOT,
        check=True,
    )
    return folder


def strategy(name: str, symbol: str, **config: Any) -> dict[str, Any]:
    return {
        "strategy_path": f"tests.strategies_for_tests:{name}",
        "config_path": "tests.strategies_for_tests:BarsConfig",
        "config": {"bar_type": BARS[symbol]} | config,
    }


def backtest(catalog: Path, *strategies: dict[str, Any], **options: Any) -> dict[str, Any]:
    bar_types = sorted({plan["config"]["bar_type"] for plan in strategies})
    plan = {"catalog": str(catalog), "strategies": strategies, "bar_types": bar_types}
    plan |= {"start": None, "end": None, "account_type": "MARGIN"} | options
    command = [sys.executable, "-W", "ignore", "-m", "tests.backtest_for_tests"]
    done = subprocess.run(
        command, input=json.dumps(plan).encode(), capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def replay(
    zygote: ZygoteProcess, catalog: Path, *strategies: dict[str, Any], **options: Any
) -> dict[str, Any]:
    engine = zygote.fork(run_of(catalog, sandbox_node(**options), *strategies))
    engine.until(
        lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].is_finished, 120
    )
    engine.send(Stop(StopPolicy.LEAVE, 10.0))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)
    metrics = engine.metrics()[-1]
    return {
        "orders": engine.events(EventKind.ORDER),
        "fills": engine.events(EventKind.FILL),
        "positions": engine.events(EventKind.POSITION),
        "balances": metrics.balances,
        "realized_pnl": metrics.realized_pnl,
        "events": metrics.feeds[0].events,
    }


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """All of it but the wall clock: client order ids carry it, and so do events that do not come from the venue."""
    numbers: dict[str, int] = {}

    def numbered(event: dict[str, Any]) -> dict[str, Any]:
        number = numbers.setdefault(event["client_order_id"], len(numbers))
        reason = re.sub(r"O-\d{8}-\d{6}-", "O-", event.get("reason") or "")
        return event | {"client_order_id": number, "reason": reason}

    orders: dict[int, list[dict[str, Any]]] = {}
    for event in map(numbered, result["orders"]):
        from_venue = event["event"] not in (
            "OrderInitialized",
            "OrderDenied",
            "OrderPendingCancel",
            "OrderPendingUpdate",
        )
        orders.setdefault(event["client_order_id"], []).append(
            event if from_venue else event | {"ts_event": 0}
        )
    return result | {"orders": orders, "fills": [numbered(fill) for fill in result["fills"]]}


def assert_equal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    ours, theirs = comparable(ours), comparable(theirs)
    for index, (our_fill, their_fill) in enumerate(zip(ours["fills"], theirs["fills"], strict=False)):
        assert our_fill == their_fill, f"fill {index}"
    for key in ("fills", "orders", "positions", "balances", "realized_pnl", "events"):
        assert ours[key] == theirs[key], key


def test_ema_cross_over_the_whole_range_as_fast_as_can_be(zygote: ZygoteProcess, catalog: Path) -> None:
    theirs = backtest(catalog, ema_cross())
    ours = replay(zygote, catalog, ema_cross())
    assert len(theirs["fills"]) == 443
    assert_equal(ours, theirs)


def test_ema_cross_over_two_years_at_a_pace(zygote: ZygoteProcess, catalog: Path) -> None:
    days = {"start": "2007-06-01", "end": "2009-05-29"}
    # A replay answers requests for the past, and a backtest only when it is to.
    strategy = ema_cross()
    strategy["config"]["request_bars"] = False
    theirs = backtest(catalog, strategy, start="2007-06-01T00:00:00.000000001", end="2009-05-30")
    ours = replay(zygote, catalog, strategy, speed=86_400 * 250, **days)
    assert len(theirs["fills"]) > 30
    assert_equal(ours, theirs)


def test_two_strategies_on_two_instruments_in_one_account(zygote: ZygoteProcess, catalog: Path) -> None:
    plans = [
        ema_cross(),
        ema_cross(instrument_id="IXIC.SIM", bar_type=BARS["IXIC"], fast_ema_period=5, slow_ema_period=50),
    ]
    assert_equal(replay(zygote, catalog, *plans), backtest(catalog, *plans))


@pytest.mark.parametrize(("account_type", "how"), [("MARGIN", "leveraged"), ("CASH", "solvent")])
def test_brackets_stops_limits_partial_fills_and_changes(
    zygote: ZygoteProcess, catalog: Path, account_type: str, how: str
) -> None:
    plan = strategy("TradesInManyWays", "SPX", how=how, size="10" if how == "solvent" else "100")
    theirs = backtest(catalog, plan, account_type=account_type, end="2003-01-01")
    kinds = {event["event"] for event in theirs["orders"]}
    assert {"OrderFilled", "OrderCanceled", "OrderUpdated", "OrderRejected"} <= kinds
    assert_equal(replay(zygote, catalog, plan, account_type=account_type, end="2002-12-31"), theirs)


def test_cancelling_in_the_same_breath_is_where_all_live_trading_differs(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    def cancelled(result: dict[str, Any]) -> list[int]:
        orders = comparable(result)["orders"]
        return [number for number, events in orders.items() if events[-1]["event"] == "OrderCanceled"]

    plan = strategy("CancelsInTheSameBreath", "SPX")
    assert cancelled(backtest(catalog, plan, end="1999-06-01")) == list(range(10))
    # Each is cancelled by the next bar's cancel, when it is known to rest.
    assert cancelled(replay(zygote, catalog, plan, end="1999-05-31")) == list(range(9))


def test_one_other_fill_would_be_noticed(catalog: Path) -> None:
    theirs = backtest(catalog, ema_cross(), end="2001-01-01")
    for field, other in (("last_px", "1.00"), ("last_qty", "101"), ("side", "BUY"), ("ts_event", 1)):
        last = theirs["fills"][-1] | {field: other}
        with pytest.raises(AssertionError, match="fill"):
            assert_equal(theirs | {"fills": [*theirs["fills"][:-1], last]}, theirs)
    with pytest.raises(AssertionError, match="fills"):
        assert_equal(theirs | {"fills": theirs["fills"][:-1]}, theirs)
