"""Actors and execution algorithms of an engine run beside its strategies, which hear signals of theirs and from outside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.link.asking import SendSignal
from flotilla.engine_sidecar.link.frames import Measured, Stop
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests import tick_catalog
from tests.engine_processes import ZygoteProcess, run_of, sandbox_node, zygote_process
from tests.integration.test_strategies_at_run_time import ask

NAME = "ACME.SIM"


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ticks")
    tick_catalog.write(folder)
    return folder


def importable(key: str, name: str, **config: Any) -> dict[str, Any]:
    path = f"tests.trial_strategies:{name}"
    return {key: path, "config_path": f"{path}Config", "config": config}


def test_an_actor_tells_a_strategy_whose_orders_an_algorithm_carries_out(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    node = sandbox_node() | {
        "actors": [importable("actor_path", "Tells", instrument_id=NAME, every=50)],
        "exec_algorithms": [importable("exec_algorithm_path", "SendsAtOnce", exec_algorithm_id="ONCE")],
    }
    buys = importable("strategy_path", "BuysOnSignal", instrument_id=NAME, units="10", algorithm="ONCE")
    engine = zygote.fork(run_of(catalog, node, buys))
    engine.until(
        lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].is_finished, 60
    )
    engine.send(Stop(StopPolicy.FLATTEN, 10.0))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)
    bought = [fill for fill in engine.events(EventKind.FILL) if fill["side"] == "BUY"]
    assert sum(int(fill["last_qty"]) for fill in bought) == 10 * (tick_catalog.QUOTES // 50)


def test_an_actor_that_raises_ends_its_engine_with_its_error(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node() | {"actors": [importable("actor_path", "Tells", instrument_id=NAME, every=0)]}
    engine = zygote.fork(run_of(catalog, node))
    ended, _ = engine.until_ended(60)
    assert "ZeroDivisionError" in str(ended.detail)


def test_a_signal_from_outside_reaches_what_listens_to_it(zygote: ZygoteProcess, catalog: Path) -> None:
    # It plays for a minute, and an actor has it play; what is bought is bought because of the signal.
    buys = importable("strategy_path", "BuysOnSignal", instrument_id=NAME, units="10")
    never = importable("actor_path", "Tells", instrument_id=NAME, every=1_000_000)
    engine = zygote.fork(run_of(catalog, sandbox_node(speed=5.0) | {"actors": [never]}, buys))
    engine.until(
        lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].events > 0, 60
    )
    for name, value, told in (
        ("count", 7, "sent signal count to 1 that listen"),
        ("count", "seven", "sent signal count to 1 that listen"),
        ("other", 0.5, "sent signal other, to which nothing listens"),
    ):
        answer = ask(engine, SendSignal(name, value))
        assert (answer.fault, answer.message) == (None, told)
    engine.until(lambda _: len(engine.events(EventKind.FILL)) == 2)
    engine.send(Stop(StopPolicy.FLATTEN, 10.0))
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (None, 0)
