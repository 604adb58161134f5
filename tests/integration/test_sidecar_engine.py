"""The sidecar with the real zygote and real NautilusTrader engines that replay a catalog."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.bus import Bus
from flotilla.embedded.nats import NatsServer
from schemas.contract import COMMAND_FLATTEN, COMMAND_STOP
from schemas.session import EngineCommand, EnginePlan
from schemas.states import FailureReason, RunState, StopPolicy
from schemas.telemetry import EventKind
from tests.engine_processes import ema_cross, sandbox_node
from tests.integration.sidecars import ROOT, Heard, Sidecar, is_alive, recorded, until


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [sys.executable, "-m", "engine_sidecar.catalog", "import", "--catalog", str(folder), "--sample"]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture
def sidecar(nats: NatsServer, tmp_path: Path) -> Iterator[Sidecar]:
    folder = tmp_path / "sidecar"
    folder.mkdir()
    one = Sidecar(nats, folder, "engine_sidecar")
    yield one
    one.end()


@pytest.fixture
async def heard(bus: Bus) -> Heard:
    ears = Heard()
    await ears.listen(bus)
    return ears


def plan(**replay: Any) -> EnginePlan:
    return EnginePlan(
        trader_id="ENGINE-001",
        node=sandbox_node(**replay),
        strategies=(ema_cross(),),
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
    assert (change.reason, change.exit_code) == (FailureReason.CRASH, -9)
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
