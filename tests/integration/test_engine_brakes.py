"""Brakes in a real engine: what leaves it, what does not, and what is counted as confirmed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.bus.alive import since_boot
from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import BrakeTaken, GoOn, HoldLease, PutBrake, Reduce, Stop
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process
from tests.integration.engine_plans import BAR_TYPE, SLOWLY, intervened, names, strategy, until_event

HALTED, REDUCED, RELEASED = (
    EngineBrake(brake=brake, number=number, by="alice")
    for number, brake in enumerate((Brake.HALTED, Brake.REDUCED, Brake.NONE), start=1)
)
IXIC = BAR_TYPE.replace("SPX", "IXIC")
TWAP = {
    "exec_algorithm_path": "nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm",
    "config_path": "nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithmConfig",
    "config": {},
}


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


def put(engine: EngineProcess, brake: EngineBrake) -> int:
    """Puts a brake on and waits until the engine has taken it; how many order events were heard before."""
    engine.send(PutBrake(brake))
    engine.until(lambda message: message == BrakeTaken(brake))
    return len(names(engine, EventKind.ORDER))


def denials(engine: EngineProcess, count: int) -> None:
    for _ in range(count):
        until_event(engine, EventKind.ORDER, "OrderDenied")


def reasons(engine: EngineProcess, since: int = 0) -> set[str]:
    """Why orders were denied, from the order event of this number on.

    One that passed the gate just before a brake was on is denied by NautilusTrader, in words of its own.
    """
    told = engine.events(EventKind.ORDER)[since:]
    return {event["reason"] for event in told if event["event"] == "OrderDenied"}


def ended(engine: EngineProcess, policy: StopPolicy = StopPolicy.FLATTEN) -> Any:
    engine.send(Stop(policy, 5.0))
    last, code = engine.until_ended()
    assert (last.reason, last.not_confirmed, code) == (None, (), 0)
    return last.stop


def test_nothing_but_cancels_leaves_a_halted_engine_and_what_is_open_stays(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    plans = strategy("HoldsAndRests"), strategy("RestsAndCancels", bar_type=IXIC)
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), *plans))
    until_event(engine, EventKind.POSITION, "PositionOpened")
    until_event(engine, EventKind.ORDER, "OrderAccepted")
    before = put(engine, HALTED)
    denials(engine, 5)
    until_event(engine, EventKind.ORDER, "OrderCanceled")
    told = set(names(engine, EventKind.ORDER)[before:])
    assert told == {"OrderInitialized", "OrderDenied", "OrderPendingCancel", "OrderCanceled"} & told
    assert {"OrderDenied", "OrderCanceled"} <= told
    assert reasons(engine, before) == {"the engine is halted"}
    assert "PositionClosed" not in names(engine, EventKind.POSITION)
    put(engine, RELEASED)
    until_event(engine, EventKind.ORDER, "OrderFilled")
    assert ended(engine).is_flat


def test_an_engine_that_begins_halted_trades_nothing_until_it_is_resumed(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    run = run_of(catalog, sandbox_node(**SLOWLY), strategy("BuysEachBar"), brake=HALTED)
    engine = zygote.fork(run)
    engine.until_state(RunState.TRADING)
    denials(engine, 5)
    assert set(names(engine, EventKind.ORDER)) <= {"OrderInitialized", "OrderDenied"}
    put(engine, EngineBrake(number=2))
    until_event(engine, EventKind.ORDER, "OrderFilled")
    ended(engine)


def test_a_reduced_engine_closes_and_does_not_open(zygote: ZygoteProcess, catalog: Path) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("TurnsWhenDenied")))
    until_event(engine, EventKind.POSITION, "PositionOpened")
    before = put(engine, REDUCED)
    # It may be closed by the time at which the engine says that it has taken the brake.
    engine.until(lambda _: "PositionClosed" in names(engine, EventKind.POSITION))
    denials(engine, 4)
    assert reasons(engine, before) == {"only orders that reduce a position pass"}
    assert names(engine, EventKind.POSITION)[-1] == "PositionClosed"
    ended(engine)


def test_of_lease_and_brake_the_narrower_holds(zygote: ZygoteProcess, catalog: Path) -> None:
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), strategy("TakesTurns"), brake=HALTED))
    engine.until_state(RunState.TRADING)
    engine.send(Reduce())
    engine.send(GoOn())
    denials(engine, 3)
    assert reasons(engine) == {"the engine is halted"}
    engine.send(Reduce())
    put(engine, EngineBrake(number=2))
    denials(engine, 3)
    assert reasons(engine) == {"the engine is halted", "only orders that reduce a position pass"}
    assert "OrderFilled" not in names(engine, EventKind.ORDER)
    engine.send(GoOn())
    until_event(engine, EventKind.ORDER, "OrderFilled")
    ended(engine)


def test_a_halted_engine_is_flattened_and_stays_halted(zygote: ZygoteProcess, catalog: Path) -> None:
    plans = strategy("BuysEachBar"), strategy("BuysEachBar", bar_type=IXIC)
    engine = zygote.fork(run_of(catalog, sandbox_node(**SLOWLY), *plans))
    for _ in plans:
        until_event(engine, EventKind.POSITION, "PositionOpened")
    put(engine, HALTED)
    answer = intervened(engine, StopPolicy.FLATTEN)
    assert (answer.positions_closed, answer.not_confirmed) == (2, ())
    denials(engine, 6)
    assert names(engine, EventKind.POSITION).count("PositionClosed") == 2
    assert names(engine, EventKind.POSITION)[-1] == "PositionClosed"
    assert ended(engine, StopPolicy.LEAVE).is_flat


def test_what_emulator_and_execution_algorithms_hold_is_braked_and_cancelled_too(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    node = sandbox_node(**SLOWLY) | {"exec_algorithms": [TWAP]}
    engine = zygote.fork(run_of(catalog, node, strategy("KeepsOrdersInside", size="1000")))
    until_event(engine, EventKind.ORDER, "OrderEmulated")
    until_event(engine, EventKind.POSITION, "PositionOpened")
    put(engine, HALTED)
    filled = names(engine, EventKind.ORDER).count("OrderFilled")
    denials(engine, 3)
    assert names(engine, EventKind.ORDER).count("OrderFilled") == filled
    answer = intervened(engine, StopPolicy.CANCEL)
    assert (answer.orders_cancelled, answer.not_confirmed) == (2, ())
    put(engine, RELEASED)
    engine.until(lambda _: engine.metrics()[-1].positions_open == 1 or None)
    stopped = ended(engine)
    assert (stopped.orders_cancelled, stopped.positions_closed) == (0, 1)
    assert names(engine, EventKind.ORDER).count("OrderFilled") == filled + 1


def test_beyond_its_lease_an_engine_lets_nothing_out_that_opens_though_nobody_tells_it_to(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    """Neither what strategies send, nor what an execution algorithm spawns; its sidecar says nothing at all."""
    node = sandbox_node(**SLOWLY) | {"exec_algorithms": [TWAP]}
    plans = strategy("KeepsOrdersInside", size="1000"), strategy("BuysEachBar", bar_type=IXIC)
    engine = zygote.fork(run_of(catalog, node, *plans, lease_until_s=since_boot() + 60))
    for _ in plans:
        until_event(engine, EventKind.POSITION, "PositionOpened")
    engine.send(HoldLease(since_boot() + 0.5))
    denied: set[str] = set()
    while len(denied) < len(plans):
        until_event(engine, EventKind.ORDER, "OrderDenied")
        denied = {
            each["instrument_id"] for each in engine.events(EventKind.ORDER) if each["event"] == "OrderDenied"
        }
    filled = names(engine, EventKind.ORDER).count("OrderFilled")
    denials(engine, 4)
    assert names(engine, EventKind.ORDER).count("OrderFilled") == filled
    assert reasons(engine) == {
        "the lease on the engine's accounts has run out: only orders that reduce a position pass"
    }
    engine.send(HoldLease(since_boot() + 60))
    until_event(engine, EventKind.ORDER, "OrderFilled")
    ended(engine)


def test_before_it_trades_an_engine_is_braked_and_takes_no_intervention(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    node = sandbox_node() | {"timeout_connection": 30.0}
    node["data_clients"]["FAR"] = {
        "path": "nautilus_trader.config:LiveDataClientConfig",
        "factory": {"path": "tests.venues_for_tests:NeverConnectsFactory"},
        "config": {},
    }
    engine = zygote.fork(run_of(catalog, node, strategy("BuysEachBar")))
    engine.until_state(RunState.CONNECTING)
    put(engine, HALTED)
    engine.send(Ask(7, Intervene(StopPolicy.FLATTEN, 5.0)))
    answer = engine.until(lambda message: message if isinstance(message, Answer) else None)
    assert answer.fault is not None
    assert answer.fault.code is FaultCode.CONFLICT
    engine.send(Stop(StopPolicy.CANCEL, 5.0))
    engine.until_ended()
