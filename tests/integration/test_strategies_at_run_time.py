"""Strategies of a running engine: added, started, stopped and removed while others trade on."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.link.asking import (
    AddStrategy,
    Answer,
    Ask,
    ListStrategies,
    Question,
    RemoveStrategy,
    StartStrategy,
    StopStrategy,
)
from flotilla.engine_sidecar.link.frames import Stop
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.package import PackageRef
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process
from tests.integration.engine_plans import BAR_TYPE, SLOWLY, strategy, until_event

OTHER = BAR_TYPE.replace("SPX", "IXIC")
NUMBERS = count(1)


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        folder,
        "--sample",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture
def engine(zygote: ZygoteProcess, catalog: Path) -> EngineProcess:
    """BuysEachBar-000 trades in it."""
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar")))
    engine.until_state(RunState.TRADING)
    return engine


def ask(engine: EngineProcess, question: Question, timeout_s: float = 20.0) -> Answer:
    number = next(NUMBERS)
    engine.send(Ask(number, question))
    return engine.until(
        lambda message: message if isinstance(message, Answer) and message.number == number else None,
        timeout_s,
    )


def refusal(engine: EngineProcess, question: Question) -> tuple[FaultCode, str]:
    fault = ask(engine, question).fault
    assert fault is not None
    return fault.code, fault.message


def states(answer: Answer) -> dict[str, str]:
    assert answer.fault is None, answer.fault
    return {view.strategy_id: view.state for view in answer.strategies}


def fills_of(engine: EngineProcess, strategy_id: str) -> int:
    return sum(event["strategy_id"] == strategy_id for event in engine.events(EventKind.FILL))


def until_it_fills(engine: EngineProcess, strategy_id: str) -> None:
    before = fills_of(engine, strategy_id)
    engine.until(lambda _: fills_of(engine, strategy_id) > before)


def end(engine: EngineProcess) -> None:
    engine.send(Stop(StopPolicy.FLATTEN, 5.0))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)
    assert ended.stop is not None
    assert ended.stop.is_flat


def test_a_strategy_is_added_stopped_started_and_removed_while_another_trades_on(
    engine: EngineProcess,
) -> None:
    added = ask(engine, AddStrategy(strategy("BuysEachBar", bar_type=OTHER)))
    assert states(added) == {"BuysEachBar-000": "RUNNING", "BuysEachBar-001": "RUNNING"}
    assert added.strategy_id == "BuysEachBar-001"
    assert added.strategies[1].strategy_class == "tests.strategies_for_tests:BuysEachBar"
    until_it_fills(engine, "BuysEachBar-001")
    stopped = ask(engine, StopStrategy("BuysEachBar-001", StopPolicy.FLATTEN, 10.0))
    assert states(stopped)["BuysEachBar-001"] == "STOPPED"
    assert (stopped.not_confirmed, stopped.strategies[1].positions_open) == ((), 0)
    fills = fills_of(engine, "BuysEachBar-001")
    until_it_fills(engine, "BuysEachBar-000")
    assert fills_of(engine, "BuysEachBar-001") == fills
    assert states(ask(engine, StartStrategy("BuysEachBar-001")))["BuysEachBar-001"] == "RUNNING"
    until_it_fills(engine, "BuysEachBar-001")
    removed = ask(engine, RemoveStrategy("BuysEachBar-001", StopPolicy.FLATTEN, 10.0))
    assert (states(removed), removed.not_confirmed) == ({"BuysEachBar-000": "RUNNING"}, ())
    until_it_fills(engine, "BuysEachBar-000")
    end(engine)


def test_a_number_that_a_removed_strategy_had_is_given_again_and_none_twice(engine: EngineProcess) -> None:
    for tag in ("001", "002"):
        assert ask(engine, AddStrategy(strategy("OnBars"))).strategy_id == f"OnBars-{tag}"
    ask(engine, RemoveStrategy("OnBars-001", StopPolicy.LEAVE, 5.0))
    assert ask(engine, AddStrategy(strategy("OnBars"))).strategy_id == "OnBars-001"
    end(engine)


def test_stopping_one_strategy_touches_no_order_and_no_position_of_another(engine: EngineProcess) -> None:
    ask(engine, AddStrategy(strategy("HoldsAndRests", bar_type=OTHER)))
    until_event(engine, EventKind.ORDER, "OrderAccepted")
    ask(engine, StopStrategy("BuysEachBar-000", StopPolicy.FLATTEN, 10.0))
    views = {view.strategy_id: view for view in ask(engine, ListStrategies()).strategies}
    assert (views["BuysEachBar-000"].state, views["BuysEachBar-000"].positions_open) == ("STOPPED", 0)
    other = views["HoldsAndRests-001"]
    assert (other.state, other.orders_open, other.positions_open) == ("RUNNING", 1, 1)
    end(engine)


@pytest.mark.parametrize(("policy", "left"), [("leave", (1, 1)), ("cancel", (0, 1)), ("flatten", (0, 0))])
def test_a_strategy_is_stopped_by_policy(engine: EngineProcess, policy: str, left: tuple[int, int]) -> None:
    ask(engine, AddStrategy(strategy("HoldsAndRests", bar_type=OTHER)))
    until_event(engine, EventKind.ORDER, "OrderAccepted")
    stopped = ask(engine, StopStrategy("HoldsAndRests-001", StopPolicy(policy), 10.0))
    view = stopped.strategies[1]
    assert ((view.orders_open, view.positions_open), stopped.not_confirmed) == (left, ())
    end(engine)


def test_what_a_removed_strategy_left_is_closed_by_the_stop_of_the_engine(engine: EngineProcess) -> None:
    ask(engine, AddStrategy(strategy("HoldsAndRests", bar_type=OTHER)))
    until_event(engine, EventKind.ORDER, "OrderAccepted")
    ask(engine, RemoveStrategy("HoldsAndRests-001", StopPolicy.LEAVE, 5.0))
    end(engine)
    assert engine.metrics()[-1].net_positions == {}


def test_a_strategy_may_be_added_without_being_started(engine: EngineProcess) -> None:
    added = ask(engine, AddStrategy(strategy("OnBars"), is_started=False))
    assert states(added)["OnBars-001"] == "READY"
    assert states(ask(engine, StartStrategy("OnBars-001")))["OnBars-001"] == "RUNNING"
    assert states(ask(engine, StartStrategy("OnBars-001")))["OnBars-001"] == "RUNNING"
    end(engine)


BAD: dict[str, tuple[dict[str, Any], FaultCode, str]] = {
    "a tag in use": (strategy("OnBars", order_id_tag="000"), FaultCode.CONFLICT, "000 is in use"),
    "an id in use": (
        strategy("BuysEachBar", strategy_id="BuysEachBar-000"),
        FaultCode.CONFLICT,
        "000 is in use",
    ),
    "a class that is not there": (strategy("Absent"), FaultCode.INVALID, "Absent"),
    "a constructor that raises": (strategy("RaisesInConstructor"), FaultCode.INVALID, "boom"),
    "an unknown field": (strategy("OnBars", colour="red"), FaultCode.INVALID, "colour"),
    "no config": ({"strategy_path": "a:B"}, FaultCode.INVALID, "config"),
    "nothing": ({}, FaultCode.INVALID, "strategy_path"),
    "one that stops itself": (
        {
            "strategy_path": "nautilus_trader.examples.strategies.ema_cross:EMACross",
            "config_path": "nautilus_trader.examples.strategies.ema_cross:EMACrossConfig",
            "config": {
                "instrument_id": "DAX.SIM",
                "bar_type": BAR_TYPE.replace("SPX", "DAX"),
                "trade_size": "1",
                "request_bars": False,
            },
        },
        FaultCode.CONFLICT,
        "after its start",
    ),
}


def test_a_strategy_that_cannot_be_added_is_refused_by_name_and_changes_nothing(
    engine: EngineProcess,
) -> None:
    for case, (plan, code, said) in BAD.items():
        before = set(states(ask(engine, ListStrategies())))
        found, message = refusal(engine, AddStrategy(plan))
        assert (found, message.startswith("strategy: "), said in message) == (code, True, True), (
            case,
            message,
        )
        assert set(states(ask(engine, ListStrategies()))) == before, case
    end(engine)


def package(name: str, **more: bytes) -> bytes:
    """A package with one strategy, `Mine`, in a module of its own name."""
    source = "from nautilus_trader.config import StrategyConfig\nfrom nautilus_trader.trading.strategy import Strategy\n"
    classes = "class MineConfig(StrategyConfig, frozen=True): pass\nclass Mine(Strategy): pass\n"
    return pack({f"{name}.py": f"{source}{classes}".encode(), **more})


def adding(name: str, *archives: bytes) -> AddStrategy:
    plan = {"strategy_path": f"{name}:Mine", "config_path": f"{name}:MineConfig", "config": {}}
    return AddStrategy(plan, packages=archives, labels=(f"{name}@1",))


def left_by(engine: EngineProcess) -> list[str]:
    """Modules that it has unpacked."""
    folders = Path(tempfile.gettempdir()).glob(f"flotilla-{engine.pid}-*")
    return sorted(path.name for folder in folders for path in folder.rglob("*.py"))


def test_packages_are_taken_into_a_running_engine_and_refused_by_the_names_of_both(
    engine: EngineProcess,
) -> None:
    added = ask(
        engine, adding("fe_one", package("fe_one", **{"fe_utils/ema.py": b"", "table.bin": bytes(1 << 20)}))
    )
    assert states(added)["Mine-001"] == "RUNNING"
    code, message = refusal(
        engine, adding("fe_two", package("fe_two", **{"fe_utils/ema.py": b"", "fe_utils/b.py": b""}))
    )
    assert (code, "fe_utils: fe_two@1 has" in message, "fe_one@1" in message) == (
        FaultCode.INVALID,
        True,
        True,
    )
    large = package("fe_three", **{"table.bin": bytes(7 << 20)})
    code, message = refusal(engine, adding("fe_three", large))
    assert (code, "fe_one@1 (1.0 MiB), fe_three@1 (7.0 MiB): more than 8 MiB together" in message) == (
        FaultCode.INVALID,
        True,
    )
    assert left_by(engine) == ["ema.py", "fe_one.py"]
    end(engine)
    assert left_by(engine) == []


def test_an_engine_whose_packages_do_not_go_together_ends_at_once_and_leaves_none(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    archives = tuple(package(name, **{"fe_utils.py": b""}) for name in ("fe_one", "fe_two"))
    refs = tuple(
        PackageRef(name=name, version="1", digest=digest_of(archive))
        for name, archive in zip(("fe_one", "fe_two"), archives, strict=True)
    )
    run = run_of(catalog, sandbox_node(**SLOWLY), strategy("OnBars"), packages=archives)
    engine = zygote.fork(msgspec.structs.replace(run, plan=msgspec.structs.replace(run.plan, packages=refs)))
    ended, code = engine.until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert ended.detail.startswith(
        "plan.packages: fe_utils: fe_two@1 has a module of this name, and so has fe_one@1"
    )
    assert left_by(engine) == []


def test_a_strategy_that_is_not_there_is_not_found(engine: EngineProcess) -> None:
    for question in (
        StartStrategy("OnBars-007"),
        StopStrategy("OnBars-007", StopPolicy.LEAVE, 1.0),
        RemoveStrategy("OnBars-007", StopPolicy.LEAVE, 1.0),
    ):
        assert refusal(engine, question)[0] is FaultCode.NOT_FOUND
    end(engine)


@pytest.mark.parametrize("how", ["start", "bar"])
def test_a_strategy_that_was_added_and_raises_ends_the_engine_like_any(
    engine: EngineProcess, how: str
) -> None:
    engine.send(Ask(next(NUMBERS), AddStrategy(strategy("Raises", bar_type=OTHER, how=how))))
    ended, _ = engine.until_ended()
    assert ended.reason is FailureReason.STRATEGY
    assert ended.detail.startswith("Raises-001 raised in on_")


def test_a_removed_strategy_leaves_nothing_behind_that_hears_events(engine: EngineProcess) -> None:
    for _ in range(3):
        ask(engine, AddStrategy(strategy("BuysEachBar", bar_type=OTHER)))
        until_it_fills(engine, "BuysEachBar-001")
        ask(engine, RemoveStrategy("BuysEachBar-001", StopPolicy.FLATTEN, 10.0))
    before = len(engine.log)
    until_it_fills(engine, "BuysEachBar-000")
    assert not [line for line in engine.log[before:] if "BuysEachBar-001" in line]
    assert not [line for line in engine.log if "[ERROR]" in line]
    end(engine)
