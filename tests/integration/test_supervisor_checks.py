"""Checks of plans by the real NautilusTrader, asked of a supervisor on the bus."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.schemas.contract import PLAN_CHECK, Actor
from flotilla.schemas.session import PlanCheck
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.supervisors import Supervisor, environment_of, listed, ready

EMA = {
    "strategy_path": "nautilus_trader.examples.strategies.ema_cross:EMACross",
    "config_path": "nautilus_trader.examples.strategies.ema_cross:EMACrossConfig",
    "config": {"instrument_id": "SPX.SIM", "bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL", "trade_size": "1"},
}


@pytest.fixture
def supervisor(nats: NatsServer, tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(environment_of(nats, tmp_path / "state"), tmp_path / "supervisor.log")
    made.start()
    yield made
    made.end(signal.SIGTERM)


async def test_classes_and_configs_are_judged_by_nautilus_trader_and_nothing_is_started(
    connect_as: ConnectAs, supervisor: Supervisor, tmp_path: Path
) -> None:
    bus = await connect_as(Actor.ORCHESTRATOR)
    await ready(bus)
    missing = EMA | {"strategy_path": "nautilus_trader.no_such_module:Nothing"}
    wrong = EMA | {"config": EMA["config"] | {"no_such_field": 1}}  # type: ignore[operator]
    answer = await bus.call(PLAN_CHECK, PlanCheck(strategies=(EMA, missing, wrong)))
    fields = [problem.field for problem in answer.problems]
    assert len(fields) == 2
    assert fields[0].startswith("strategies[1]")
    assert fields[1].startswith("strategies[2]")
    assert (await bus.call(PLAN_CHECK, PlanCheck(strategies=(EMA,)))).problems == ()
    assert await listed(bus) == {}
    assert list((tmp_path / "state" / "sessions").iterdir()) == []
