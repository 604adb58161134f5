"""A sandbox engine replays every kind of data that its strategies subscribe to, and fills as NautilusTrader's BacktestEngine does."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import Measured, Stop
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.book_catalog import BTC, ETH
from tests.engine_processes import EngineProcess, ZygoteProcess, run_of, sandbox_node
from tests.integration.test_every_kind_of_data import BY_ORDER, EVERY, acts_on, attached, planned, strategy
from tests.integration.test_replay_equals_backtest import zygote
from tests.integration.test_trials_equal_direct_runs import Pairs

__all__ = ["attached", "planned", "zygote"]


@pytest.fixture(scope="module")
def pairs(attached: Path) -> Iterator[Pairs]:
    with closing(Pairs(attached)) as found:
        yield found


def started(
    zygote: ZygoteProcess, catalog: Path, *strategies: dict[str, Any], **options: Any
) -> EngineProcess:
    node = sandbox_node(**{"base_currency": "USDT", **options})
    return zygote.fork(run_of(catalog, node, *strategies))


def replayed(engine: EngineProcess) -> dict[str, Any]:
    engine.until(
        lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].is_finished, 120
    )
    engine.send(Stop(StopPolicy.LEAVE, 10.0))
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
    metrics = engine.metrics()[-1]
    return {
        "fills": engine.events(EventKind.FILL),
        "balances": metrics.balances,
        "events": metrics.feeds[0].events,
    }


def fills(result: Any) -> list[Any]:
    """With ids that neither the wall clock is part of, nor how many instruments the venue has."""
    numbers: dict[str, int] = {}
    return [
        {key: value for key, value in fill.items() if key not in ("trade_id", "venue_order_id")}
        | {"client_order_id": numbers.setdefault(fill["client_order_id"], len(numbers))}
        for fill in result["fills"]
    ]


DELTAS = ["order_book_deltas"]
RUNS: dict[str, tuple[str, list[str], str, dict[str, Any]]] = {
    "every kind": ("L2_MBP", EVERY, BTC, acts_on(*EVERY)),
    "a maker": ("L2_MBP", DELTAS, BTC, strategy("MakesTheMarket", every=90)),
    "by order": ("L3_MBO", DELTAS, ETH, strategy("MakesTheMarket", **BY_ORDER)),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_replay_fills_as_a_backtest(
    zygote: ZygoteProcess, attached: Path, pairs: Pairs, planned: Any, name: str
) -> None:
    book_type, kinds, instrument, one = RUNS[name]
    plan = planned(book_type, strategies=[one], data_types=kinds, instruments=[instrument])
    _, theirs = pairs.run(plan)
    ours = replayed(started(zygote, attached, *plan["strategies"], book_type=book_type))
    for index, (fill, wanted) in enumerate(zip(fills(ours), fills(theirs), strict=False)):
        assert fill == wanted, f"fill {index}"
    assert len(ours["fills"]) == len(theirs["fills"]) > 20
    assert (ours["events"], ours["balances"]) == (theirs["events"], theirs["balances"])


@pytest.mark.parametrize(
    ("one", "book_type", "why"),
    [
        (acts_on("quotes"), "L2_MBP", f"book_type L2_MBP of SIM needs the order book of {BTC}"),
        (strategy("LooksAtIntervals"), "L2_MBP", "is subscribed to every 500 ms by the wall clock"),
    ],
)
def test_what_cannot_be_replayed_rightly_is_refused(
    zygote: ZygoteProcess, attached: Path, one: dict[str, Any], book_type: str, why: str
) -> None:
    ended, code = started(zygote, attached, one, book_type=book_type).until_ended(60)
    assert why in str(ended)
    assert code != 0


def test_changes_of_a_book_come_together_in_an_engine_too(zygote: ZygoteProcess, attached: Path) -> None:
    found = {}
    for is_buffered in (False, True):
        engine = started(zygote, attached, acts_on(*DELTAS), book_type="L2_MBP", buffer_deltas=is_buffered)
        replayed(engine)
        found[is_buffered] = len(engine.events(EventKind.FILL))
    assert 0 < found[True] < found[False] / 10
