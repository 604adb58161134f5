"""A strategy that attacks its sidecar gets nowhere: the engine trades on, is heard, and stops flat; so do trials in a worker (ADR 25)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.states import RunState
from tests.e2e.engines import PACED, eventually, stopped, traded_more, trading
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.stacks import RunningStack, until

BARS = "SPX.SIM-1-DAY-LAST-EXTERNAL"
NAMED_S = 15.0


@pytest.fixture(scope="module")
def stack(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the strategies of this folder."""
    with stack_with_own_code(runtime, tmp_path_factory.mktemp("image")) as made:
        yield made


def attacker(stack: RunningStack) -> StrategyChoice:
    bus = urlsplit(stack.connection.nats_url)
    told: dict[str, Any] = {"bar_type": BARS}
    if stack.runtime == "process":
        told["how"] = f"{bus.hostname}:{bus.port}"
    return StrategyChoice(
        strategy_path="tests.e2e.hostile_strategies:AttacksItsSidecar",
        config_path="tests.strategies_for_tests:BarsConfig",
        config=told,
    )


async def test_the_engine_trades_on_and_stops_flat(stack: RunningStack, fleet: Flotilla) -> None:
    config = EngineConfig(
        instance_id="hostile",
        engine_type="sandbox",
        parameters={"speed": PACED},
        strategies=(attacker(stack),),
    )
    # It sends no order before the attack is over, and none if anything came through.
    view = await trading(fleet, config)
    assert view.metrics is not None
    await traded_more(fleet, "hostile", view.metrics.fills_total)

    def has_tried() -> bool:
        return "tried " in stack.cli("engine", "logs", "hostile", "--lines", "1000").stdout

    until(has_tried, what="the attack in the log")
    view = await stopped(fleet, "hostile")
    assert view.session is not None
    assert (view.session.exit_code, view.session.not_confirmed) == (0, ())


@pytest.mark.parametrize(("what", "reason"), [("link", "crash"), ("silence", "frozen")])
async def test_one_that_hangs_up_or_falls_silent_is_named_within_fifteen_seconds_and_ended(
    stack: RunningStack, fleet: Flotilla, what: str, reason: str
) -> None:
    strategy = StrategyChoice(
        strategy_path="tests.e2e.hostile_strategies:Starves",
        config_path="tests.strategies_for_tests:BarsConfig",
        config={"bar_type": BARS, "how": what},
    )
    name = f"takes-{what}"
    config = EngineConfig(
        instance_id=name, engine_type="sandbox", parameters={"speed": PACED}, strategies=(strategy,)
    )
    accepted = await fleet.start_engine(config)

    def has_begun() -> bool:
        return f"takes {what}" in stack.cli("engine", "logs", name, "--lines", "1000").stdout

    until(has_begun, 60, what="the attack in the log")

    async def is_named() -> bool:
        view = await fleet.engine(name)
        return view.is_frozen or (view.session is not None and view.session.state == RunState.FAILED)

    await eventually(is_named, NAMED_S, "its name")
    view = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=60)
    assert view.session is not None
    assert (view.session.state, view.session.reason) == (RunState.FAILED, reason)


async def test_a_trial_runs_to_its_end_and_so_does_the_next_on_the_same_worker(
    stack: RunningStack, fleet: Flotilla
) -> None:
    strategy = attacker(stack)
    config = BacktestConfig(
        strategy_class=strategy.strategy_path,
        config_class=strategy.config_path,
        strategy_config=strategy.config,
        start_date="2000-01-01",
        end_date="2000-12-31",
        instruments=("SPX.SIM",),
    )
    workers = set()
    for number in (1, 2):
        await fleet.run_backtest(f"hostile-{number}", config)
        view = await fleet.wait_for_backtest(f"hostile-{number}", timeout_s=90)
        workers.add(view.worker)
        assert view.metrics is not None
        # It trades only when nothing was let through.
        assert (view.metrics.total_trades > 0, view.attempts) == (True, 1)
    assert len(workers) == 1
