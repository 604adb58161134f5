"""Every strategy that NautilusTrader's package ships runs here as it does by hand, or stands in the documentation with the reason."""

import pkgutil
import re
from pathlib import Path
from typing import Any

import nautilus_trader.examples.strategies as examples
import pytest

from tests.integration.test_simulations_equal_direct_runs import (
    MINUTES,
    TWAP,
    Pairs,
    cross,
    example,
    pairs,
    planned,
)
from tests.integration.test_trials_equal_direct_runs import assert_same
from tests.pair_catalog import EUR

__all__ = ["pairs"]

PAGE = Path(__file__).parents[2] / "docs/simulations.md"
ALGORITHM = {"exec_algorithms": [TWAP]}
HEDGING = {"oms_type": "HEDGING"}
PARAMS = {"horizon_secs": 300.0, "interval_secs": 60.0}
THROUGH_TWAP = {
    f"{name}_{key}": value
    for name in ("entry", "sl", "tp")
    for key, value in (("exec_algorithm_id", "TWAP"), ("exec_algorithm_params", PARAMS))
}
STOPS = {
    "atr_period": 20,
    "trailing_atr_multiple": 3.0,
    "trailing_offset_type": "PRICE",
    "trigger_type": "BID_ASK",
}
ON = {"instrument_id": EUR}
LIVELY = {"bar_type": MINUTES, "atr_period": 20, "atr_multiple": 2.0, "trade_size": "1000"}

RUN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bb_mean_reversion": (cross("BBMeanReversion", "bb_mean_reversion"), {}),
    "blank": (example("blank", "MyStrategy", **ON), {}),
    "ema_cross": (cross(), {}),
    "ema_cross_bracket": (cross("EMACrossBracket", "ema_cross_bracket"), {}),
    "ema_cross_bracket_algo": (cross("EMACrossBracketAlgo", "ema_cross_bracket_algo"), {}),
    "ema_cross_hedge_mode": (cross("EMACross", "ema_cross_hedge_mode"), HEDGING),
    "ema_cross_long_only": (cross("EMACrossLongOnly", "ema_cross_long_only"), {}),
    "ema_cross_stop_entry": (
        cross("EMACrossStopEntry", "ema_cross_stop_entry", trailing_offset="0.0010", **STOPS),
        {},
    ),
    "ema_cross_trailing_stop": (cross("EMACrossTrailingStop", "ema_cross_trailing_stop", **STOPS), {}),
    "ema_cross_twap": (cross("EMACrossTWAP", "ema_cross_twap"), ALGORITHM),
    "grid_market_maker": (
        example(
            "grid_market_maker",
            "GridMarketMaker",
            max_position="100000",
            trade_size="10000",
            grid_step_bps=1,
            **ON,
        ),
        {},
    ),
    "orderbook_imbalance": (
        example(
            "orderbook_imbalance", "OrderBookImbalance", max_trade_size="1000", use_quote_ticks=True, **ON
        ),
        {},
    ),
    "signal_strategy": (example("signal_strategy", "SignalStrategy", **ON), {}),
    "simpler_quoter": (
        example("simpler_quoter", "SimpleQuoterStrategy", order_qty="1000", **ON)
        | {"config_path": "nautilus_trader.examples.strategies.simpler_quoter:SimpleQuoterStrategyConfig"},
        {},
    ),
    "subscribe": (example("subscribe", "SubscribeStrategy", quote_ticks=True, **ON), {}),
    "volatility_market_maker": (
        example("volatility_market_maker", "VolatilityMarketMaker", **ON, **LIVELY),
        {},
    ),
}
QUIET = {"blank", "signal_strategy", "subscribe"}
"""Those that send no order."""


@pytest.mark.parametrize("name", RUN)
def test_an_example_gives_every_fill_and_statistic_that_it_gives_by_hand(pairs: Pairs, name: str) -> None:
    strategy, more = RUN[name]
    ours, theirs = pairs.run(planned(strategies=[strategy], tick_data=True, end_date="2020-09-14", **more))
    assert_same(ours, theirs)
    assert bool(ours["fills"]) == (name not in QUIET)
    assert ours["summary"]["orders"]["unsent"] == 0


def test_brackets_that_twap_does_not_carry_out_are_told(pairs: Pairs) -> None:
    """It takes market orders, and these are entered by stop-limit ones."""
    strategy = cross("EMACrossBracketAlgo", "ema_cross_bracket_algo", **THROUGH_TWAP)
    run = planned(strategies=[strategy], tick_data=True, end_date="2020-09-14", **ALGORITHM)
    ours, theirs = pairs.run(run)
    assert_same(ours, theirs)
    counts = ours["summary"]["orders"]
    assert counts["unsent"] == counts["total"] > 50
    assert [one["reason"] for one in counts["reasons"]] == ["the execution algorithm TWAP sent nothing of it"]


def test_every_example_is_run_or_stands_in_the_table_with_the_reason() -> None:
    rows = dict(re.findall(r"^\| `examples\.strategies\.(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    assert set(rows) == {module.name for module in pkgutil.iter_modules(examples.__path__)}
    assert {name for name, told in rows.items() if told.startswith("equal")} == set(RUN)
    assert all(told.startswith(("equal", "no: ")) for told in rows.values())
