"""Bar types in NautilusTrader's whole grammar, in backtests and in engines: every aggregation, made inside of ticks or of other bars."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.telemetry import EventKind
from tests.book_catalog import BTC
from tests.engine_processes import ZygoteProcess
from tests.integration.test_every_kind_of_data import attached, planned, strategy
from tests.integration.test_replay_equals_backtest import zygote
from tests.integration.test_replay_of_every_kind import fills, replayed, started
from tests.integration.test_trials_equal_direct_runs import Pairs, assert_same

__all__ = ["attached", "planned", "zygote"]

OF_TICKS = (
    *(
        "10-TICK-LAST-INTERNAL",
        "6-VOLUME-LAST-INTERNAL",
        "60000-VALUE-LAST-INTERNAL",
        "5-RENKO-LAST-INTERNAL",
    ),
    *("3-TICK_IMBALANCE-LAST-INTERNAL", "2-TICK_RUNS-LAST-INTERNAL", "4-VOLUME_IMBALANCE-LAST-INTERNAL"),
    *("2-VOLUME_RUNS-LAST-INTERNAL", "30000-VALUE_IMBALANCE-LAST-INTERNAL", "20000-VALUE_RUNS-LAST-INTERNAL"),
    "20-TICK-MID-INTERNAL",
)
OF_BARS = ("2-TICK-LAST-INTERNAL@1-MINUTE-EXTERNAL", "120-VOLUME-LAST-INTERNAL@1-MINUTE-EXTERNAL")
BY_TIME = (
    *("30-SECOND-LAST-INTERNAL", "15-SECOND-BID-INTERNAL", "500-MILLISECOND-MID-INTERNAL"),
    "2-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL",
)

END = "2020-09-14T00:04:00"
"""Bars of time go on after the data."""


@pytest.fixture(scope="module")
def pairs(attached: Path) -> Iterator[Pairs]:
    with closing(Pairs(attached)) as found:
        yield found


def on_bars(form: str) -> dict[str, Any]:
    return strategy("ActsOn", kinds=["bars"], bar_type=f"{BTC}-{form}")


@pytest.mark.parametrize("form", [*OF_TICKS, *OF_BARS, *BY_TIME])
def test_a_backtest_makes_them_as_nautilustrader_does(pairs: Pairs, planned: Any, form: str) -> None:
    plan = planned("L1_MBP", strategies=[on_bars(form)], end_date=END)
    kinds = {one["kind"] for one in plan["data"]}
    assert kinds == ({"bars"} if form.endswith("@1-MINUTE-EXTERNAL") else {"quotes", "trades"})
    ours, theirs = pairs.run(plan)
    assert_same(ours, theirs)
    assert len(ours["fills"]) >= 1


def test_bars_of_bars_that_are_made_inside_need_somebody_who_wants_those(pairs: Pairs, planned: Any) -> None:
    inner, outer = "20-SECOND-LAST-INTERNAL", "1-MINUTE-LAST-INTERNAL@20-SECOND-INTERNAL"
    for forms, names in (((outer,), set()), ((inner, outer), {"ActsOn-001", "ActsOn-002"})):
        ours, theirs = pairs.run(planned("L1_MBP", strategies=[on_bars(one) for one in forms], end_date=END))
        assert_same(ours, theirs)
        assert {fill["strategy_id"] for fill in ours["fills"]} == names


@pytest.mark.parametrize("form", [OF_TICKS[0], OF_TICKS[4], *OF_BARS])
def test_an_engine_makes_the_same_of_what_it_replays(
    zygote: ZygoteProcess, attached: Path, pairs: Pairs, planned: Any, form: str
) -> None:
    plan = planned("L1_MBP", strategies=[on_bars(form)], end_date=END)
    if form in OF_TICKS:  # an engine replays what strategies subscribe to: trades alone
        plan["data"] = [one for one in plan["data"] if one["kind"] == "trades"]
    _, theirs = pairs.run(plan)
    ours = replayed(started(zygote, attached, *plan["strategies"]))
    assert fills(ours) == fills(theirs)
    assert len(ours["fills"]) >= 1


@pytest.mark.parametrize("form", [BY_TIME[0], BY_TIME[3]])
def test_a_replay_refuses_bars_that_the_wall_clock_would_cut(
    zygote: ZygoteProcess, attached: Path, form: str
) -> None:
    engine = started(zygote, attached, on_bars(form))
    ended, code = engine.until_ended(60)
    assert "is made inside NautilusTrader by the wall clock" in str(ended)
    assert (code != 0, engine.events(EventKind.FILL)) == (True, [])
