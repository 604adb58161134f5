"""Two venues and ticks through the whole chain: the plan that is rendered gives what NautilusTrader gives, and bad choices are named."""

from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import BacktestConfig, BacktestStatus, ResultPart
from flotilla.schemas.fault import FaultError
from tests import tick_catalog
from tests.integration.backtest_bench import BacktestBench, backtests
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same

__all__ = ["backtests"]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    tick_catalog.write(tmp_path / "ticks")
    return tmp_path / "ticks"


def chosen(**changes: Any) -> dict[str, Any]:
    """On quotes, trades and no bars of two venues, with every option there is."""
    return {
        "strategy_class": "tests.trial_strategies:TradesOnEverything",
        "strategy_config": {"instruments": ["ACME.SIM", "BETA.XNAS"], "order_id_tag": "001"},
        "start_date": "2020-09-13",
        "end_date": "2020-09-13T12:40:00",
        "instruments": ["ACME.SIM", "BETA.XNAS"],
        "venues": ["SIM", "XNAS"],
        "tick_data": True,
        "base_currency": "USD",
        "oms_type": "HEDGING",
        "leverage": 5.0,
        "latency_ms": 100.0,
        "commission": 0.5,
        "fill_model": {"prob_slippage": 0.3, "prob_fill_on_limit": 0.7},
        "seed": 42,
    } | changes


async def test_two_venues_on_ticks_give_what_nautilustrader_gives(
    backtests: BacktestBench, catalog: Path
) -> None:
    await backtests.run("ticks", msgspec.convert(chosen(), BacktestConfig))
    done = await backtests.status("ticks", BacktestStatus.COMPLETED, BacktestStatus.FAILED)
    assert done.status is BacktestStatus.COMPLETED, done
    ours: dict[str, Any] = {"events": done.events, "metrics": msgspec.to_builtins(done.metrics)}
    for part in (ResultPart.FILLS, ResultPart.ORDERS, ResultPart.TRADES):
        ours[part] = await backtests.part("ticks", part, limit=5_000)
    (ours["balances"],) = await backtests.part("ticks", ResultPart.BALANCES)
    (manifest,) = await backtests.part("ticks", ResultPart.MANIFEST)
    assert [data["kind"] for data in manifest["plan"]["data"]] == ["quotes", "trades", "trades"]
    with closing(Pairs(catalog)) as pairs:
        _, theirs = pairs.run(manifest["plan"] | {"chunk": 1_000})
    assert theirs["accounts"] == 2
    assert len(theirs["fills"]) > 50
    assert_same(ours, theirs)


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"strategy_class": None, "strategy": "no_such"}, "config.strategy", "no_such"),
    ({"strategy_class": "os:path"}, "config.strategy_class", "outside"),
    ({"config_class": "subprocess:Popen"}, "config.config_class", "outside"),
    (
        {"strategy_class": None, "strategy": "ema_cross", "strategy_config": {"fast_ema_period": "x"}},
        "config.strategy_config.fast_ema_period",
        "",
    ),
    (
        {"strategy_class": None, "strategy": "ema_cross", "strategy_config": {"fast_ema_period": -1}},
        "config.strategy_config.fast_ema_period",
        "",
    ),
    ({"instruments": ["ACME.SIM", "NONE.SIM"]}, "config.instruments", "NONE.SIM"),
    ({"venues": ["SIM"]}, "config.venues", "XNAS"),
    ({"venues": ["SIM", "XNAS", "SIM"]}, "config.venues", "twice"),
    ({"start_date": "1999-01-01"}, "config.start_date", "2020-09-13"),
    ({"end_date": "2030-01-01"}, "config.end_date", "2020-09-13"),
    ({"bar_types": ["ACME.SIM-1-DAY-LAST-EXTERNAL"]}, "config.bar_types[0]", "ACME.SIM-20-SECOND"),
    ({"account_type": "CASH"}, "config.leverage", "MARGIN"),
]


async def test_a_choice_that_cannot_be_run_is_named_and_nothing_is_recorded(backtests: BacktestBench) -> None:
    for change, field, text in FAULTS:
        with pytest.raises(FaultError) as raised:
            await backtests.run("bad", msgspec.convert(chosen(**change), BacktestConfig))
        told = {error.field: error.message for error in raised.value.fault.errors}
        assert field in told, (change, raised.value.fault)
        assert text in told[field]
    with pytest.raises(FaultError, match="bad"):
        await backtests.get("bad")
