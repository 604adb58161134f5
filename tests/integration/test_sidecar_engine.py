"""The sidecar with the real zygote and real NautilusTrader engines that replay a catalog."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import (
    COMMAND_ADD_STRATEGY,
    COMMAND_END_NOW,
    COMMAND_FLATTEN,
    COMMAND_REMOVE_STRATEGY,
    COMMAND_STOP,
    COMMAND_STOP_STRATEGY,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import EndNow, EngineCommand, EnginePlan
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.strategy import AddToEngine, ChangeInEngine
from flotilla.schemas.telemetry import EventKind
from flotilla.stack.servers.nats import NatsServer
from tests.engine_processes import ema_cross, sandbox_node
from tests.integration.engine_plans import BAR_TYPE, SLOWLY, strategy
from tests.integration.sidecars import ROOT, Heard, Sidecar, is_alive, recorded, until


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        str(folder),
        "--sample",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture
def sidecar(nats: NatsServer, tmp_path: Path) -> Iterator[Sidecar]:
    folder = tmp_path / "sidecar"
    folder.mkdir()
    one = Sidecar(nats, folder, "flotilla.engine_sidecar")
    yield one
    one.end()


def plan(*strategies: dict[str, Any], **replay: Any) -> EnginePlan:
    return EnginePlan(
        trader_id="ENGINE-001",
        node=sandbox_node(**replay),
        strategies=strategies or (ema_cross(),),
        exec_factories={"SIM": "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"},
    )


async def test_a_real_engine_trades_and_stops_flat(
    sidecar: Sidecar, heard: Heard, bus: Bus, catalog: Path, record_property: Callable[[str, object], None]
) -> None:
    sidecar.start(catalog=catalog, plan=plan(speed=86_400 * 200.0), frozen_after_s=5.0, stop_timeout_s=20.0)
    await heard.trading()
    await until(lambda: len(heard.fills) >= 4 and heard.metrics, 60.0)
    record_property("sidecar_mib", sidecar.rss_mib)
    assert sidecar.rss_mib <= 40
    await bus.call(COMMAND_FLATTEN, EngineCommand(), instance_id="e1")
    await bus.call(COMMAND_STOP, EngineCommand(policy=StopPolicy.FLATTEN), instance_id="e1")
    change = await heard.state(RunState.STOPPED, 30.0)
    assert await sidecar.wait() == 0
    assert change.not_confirmed == ()
    events = await recorded(bus)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {EventKind.STATE, EventKind.ORDER, EventKind.FILL, EventKind.POSITION, EventKind.ACCOUNT} <= {
        event.kind for event in events
    }
    assert events[-1].data == change
    assert heard.lines


async def test_a_real_engine_that_is_killed_is_told_of(sidecar: Sidecar, heard: Heard, catalog: Path) -> None:
    sidecar.start(catalog=catalog, plan=plan(speed=86_400 * 50.0), frozen_after_s=5.0)
    pid = await heard.trading()
    os.kill(pid, signal.SIGKILL)
    change = await heard.state(RunState.FAILED, 3.0)
    assert (change.reason, change.exit_code) == (FailureReason.KILLED, -9)
    assert change.log_tail
    assert await sidecar.wait() == 1


async def test_a_plan_that_is_none_is_a_matter_of_configuration(
    sidecar: Sidecar, heard: Heard, catalog: Path
) -> None:
    sidecar.start(catalog=catalog, node={"no": "such key"})
    change = await heard.state(RunState.FAILED, 20.0)
    assert change.reason is FailureReason.CONFIG
    assert await sidecar.wait() == 78


async def test_neither_a_running_nor_a_frozen_engine_outlives_a_killed_sidecar(
    sidecar: Sidecar, heard: Heard, catalog: Path
) -> None:
    sidecar.start(
        catalog=catalog, plan=plan(speed=86_400 * 50.0), frozen_after_s=60.0, kill_frozen_after_s=60.0
    )
    pid = await heard.trading()
    below = sidecar.descendants()
    os.kill(pid, signal.SIGSTOP)
    sidecar.signal(signal.SIGKILL)
    try:
        await until(lambda: not any(is_alive(one) for one in below), 5.0, "their end")
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


async def test_ending_now_answers_with_what_the_engine_did(
    sidecar: Sidecar, heard: Heard, bus: Bus, catalog: Path
) -> None:
    sidecar.start(catalog=catalog, plan=plan(strategy("HoldsAndRests"), **SLOWLY), frozen_after_s=5.0)
    await heard.trading()
    await until(
        lambda: heard.metrics and heard.metrics[-1].orders_open and heard.metrics[-1].positions_open, 30.0
    )
    answer = await bus.call(COMMAND_END_NOW, EndNow(deadline_s=20.0), instance_id="e1")
    report = answer.end.stop
    assert report is not None
    assert (report.policy, report.is_flat, answer.end.not_confirmed) == (StopPolicy.FLATTEN, True, ())
    assert (report.orders_cancelled, report.positions_closed) == (1, 1)
    assert (report.orders_left, report.positions_left) == (0, 0)
    assert 0 < (report.stop_ms or 0) < 20_000
    assert await heard.state(RunState.STOPPED) == answer.end
    assert await sidecar.wait() == 0


async def test_a_strategy_is_added_to_a_running_engine_and_removed_again(
    sidecar: Sidecar, heard: Heard, bus: Bus, catalog: Path
) -> None:
    sidecar.start(catalog=catalog, plan=plan(strategy("OnBars"), **SLOWLY), frozen_after_s=5.0)
    await heard.trading()
    added = await bus.call(
        COMMAND_ADD_STRATEGY, AddToEngine(strategy=strategy("BuysEachBar")), instance_id="e1"
    )
    assert added.strategy_id == "BuysEachBar-001"
    await heard.more_fills(2)
    await until(lambda: "BuysEachBar-001" in heard.metrics[-1].strategies)
    one = ChangeInEngine(strategy_id="BuysEachBar-001", policy=StopPolicy.FLATTEN)
    stopped = await bus.call(COMMAND_STOP_STRATEGY, one, instance_id="e1")
    assert (stopped.strategies[1].state, stopped.not_confirmed) == ("STOPPED", ())
    metrics = len(heard.metrics)
    await until(lambda: len(heard.metrics) > metrics + 3)
    assert heard.heartbeats[-1].problems == ()
    removed = await bus.call(COMMAND_REMOVE_STRATEGY, one, instance_id="e1")
    assert [view.strategy_id for view in removed.strategies] == ["OnBars-000"]
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_ADD_STRATEGY, AddToEngine(strategy=strategy("Absent")), instance_id="e1")
    assert refused.value.fault.code is FaultCode.INVALID
    assert refused.value.fault.errors[0].field == "strategy"


@pytest.mark.parametrize(
    ("misdeed", "reason", "detail"),
    [
        ("Raises", FailureReason.STRATEGY, "Raises-000 raised in on_bar: ValueError: boom on a bar"),
        ("LoopsForever", FailureReason.FROZEN, "its loop was silent for more than 3 s"),
        ("EatsMemory", FailureReason.OOM, "it used more than its 1024 MiB of memory"),
        ("Exits", FailureReason.CRASH, "the engine exited with 3"),
    ],
)
async def test_four_ways_to_ruin_an_engine_have_four_reasons(
    sidecar: Sidecar, heard: Heard, catalog: Path, misdeed: str, reason: FailureReason, detail: str
) -> None:
    sidecar.start(
        catalog=catalog,
        plan=plan(strategy(misdeed, how="bar"), **SLOWLY),
        frozen_after_s=1.5,
        # A busy machine may freeze those that are ruined otherwise.
        kill_frozen_after_s=3.0 if reason is FailureReason.FROZEN else 60.0,
        memory_bytes=1 << 30,
    )
    change = await heard.state(RunState.FAILED, 60.0)
    assert (change.reason, change.detail.startswith(detail)) == (reason, True), change.detail
    assert await sidecar.wait() == 1
    assert change.log_tail
    assert len(heard.lines) > 20
    assert set(change.log_tail) <= set(heard.lines)


async def test_an_engine_whose_strategy_stopped_itself_is_found_out(
    sidecar: Sidecar, heard: Heard, catalog: Path
) -> None:
    idle = ema_cross(instrument_id="DAX.SIM", bar_type=BAR_TYPE.replace("SPX", "DAX"))
    sidecar.start(catalog=catalog, plan=plan(idle, **SLOWLY), frozen_after_s=5.0)
    change = await heard.state(RunState.IMPAIRED)
    reasons = ("strategy EMACross-000 is STOPPED", "strategy EMACross-000 names DAX.SIM, which is not loaded")
    assert change.detail == "; ".join(reasons)
    await heard.beat(lambda beat: beat.problems == reasons)
    assert RunState.TRADING not in heard.states
    assert heard.alerts == ["impaired"]
