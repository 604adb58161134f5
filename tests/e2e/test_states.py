"""What an engine is said to be is what it is: impaired, silent, killed; in the record, by REST, in the command line and in alerts."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.client.watch import Watch
from flotilla.schemas.config import EngineConfig, RestartPolicy, StrategyChoice
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import FailureReason, RunState, SilencePolicy
from flotilla.schemas.telemetry import Alert, FleetAlert, Severity
from flotilla.state.errors import EngineFailedError
from tests.e2e.engines import eventually, next_heartbeat, paced, stopped, trading
from tests.e2e.rest import ENGINE, ENGINES, Rest
from tests.e2e.stacks import RunningStack

with_local_processes = pytest.mark.parametrize("runtime", ["process"], indirect=True)
"""For what no runtime has a part in."""
NOWHERE = "DAX.ELSEWHERE"
"""An instrument of a venue that the sandbox is not."""


def lame(instance_id: str) -> EngineConfig:
    """An engine whose only strategy finds no instrument and stops itself."""
    config = {
        "instrument_id": NOWHERE,
        "bar_type": f"{NOWHERE}-1-DAY-LAST-EXTERNAL",
        "trade_size": "100",
        "fast_ema_period": 1,
        "slow_ema_period": 3,
    }
    name = "nautilus_trader.examples.strategies.ema_cross:EMACross"
    choice = StrategyChoice(strategy_path=name, config_path=f"{name}Config", config=config)
    chosen = paced(instance_id)
    return msgspec.structs.replace(chosen, strategies=(choice,))


@asynccontextmanager
async def rest_of(stack: RunningStack) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


async def alert_of(updates: Watch, code: str, name: str, timeout_s: float = 10.0) -> Any:
    """The next alert of that code about an engine, of the engine itself or of the fleet."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        update = await updates.next(left)
        if update is None or update.instance_id != name:
            continue
        alert = update.payload if isinstance(update.payload, FleetAlert) else update.payload.data
        if isinstance(alert, Alert | FleetAlert) and alert.code == code:
            return alert
    pytest.fail(f"no alert {code} about {name} within {timeout_s:g} s")


async def in_state(
    fleet: Flotilla, name: str, *states: RunState, timeout_s: float = 30.0
) -> tuple[EngineView, SessionView]:
    async def look() -> EngineView | None:
        view = await fleet.engine(name)
        return view if view.session and view.session.state in states else None

    view = await eventually(look, timeout_s, f"{name} {'/'.join(states)}")
    assert view.session is not None
    return view, view.session


async def holding(fleet: Flotilla, config: EngineConfig) -> tuple[EngineView, int]:
    """An engine that trades and holds a position, and the process of its engine as its sidecar sees it."""
    await trading(fleet, config)
    name = config.instance_id

    async def look() -> EngineView | None:
        view = await fleet.engine(name)
        return view if view.metrics and view.metrics.positions_open else None

    view = await eventually(look, 15, f"a position of {name}")
    async with fleet.watch(name, kinds=("heartbeat",)) as updates:
        pid = (await next_heartbeat(updates)).engine_pid
    assert pid is not None
    return view, pid


class Inside:
    """The processes of a session: its engine, the zygote above it, and the sidecar above that."""

    def __init__(self, stack: RunningStack, session: SessionView, engine_pid: int) -> None:
        self._is_docker = stack.runtime == "docker"
        self._container = session.container_name
        self._engine = engine_pid

    def _shell(self, script: str) -> str:
        argv = ["docker", "exec", self._container] if self._is_docker else []
        return subprocess.run([*argv, "sh", "-c", script], check=True, capture_output=True, text=True).stdout

    def pid(self, what: str) -> int:
        above = {"engine": 0, "zygote": 1, "sidecar": 2}[what]
        pid = self._engine
        for _ in range(above):
            pid = int(self._shell(f"cut -d' ' -f4 /proc/{pid}/stat"))
        return pid

    def kill(self, what: str) -> None:
        """SIGKILL that the fleet knows nothing of."""
        if what == "sidecar" and self._is_docker:
            subprocess.run(["docker", "kill", self._container], check=True, capture_output=True)
        else:
            self._shell(f"kill -9 {self.pid(what)}")

    def freeze(self) -> None:
        if self._is_docker:
            subprocess.run(["docker", "pause", self._container], check=True, capture_output=True)
        else:
            os.kill(self.pid("sidecar"), signal.SIGSTOP)

    def thaw(self) -> None:
        if self._is_docker:
            subprocess.run(["docker", "unpause", self._container], check=True, capture_output=True)
        else:
            os.kill(self.pid("sidecar"), signal.SIGCONT)


@with_local_processes
async def test_an_engine_whose_strategy_stopped_itself_is_impaired_wherever_it_is_looked_at(
    stack: RunningStack, fleet: Flotilla
) -> None:
    reasons = (
        "strategy EMACross-001 is STOPPED",
        f"strategy EMACross-001 names {NOWHERE}, which is not loaded",
    )
    body = json.dumps(msgspec.to_builtins(lame("lame")) | {"instance_id": "lame"})
    async with fleet.watch("lame", kinds=("alert",)) as updates:
        done = await asyncio.to_thread(stack.cli, "engine", "start", "lame", "--config", "-", stdin=body)
        assert done.returncode == 7, done.stderr
        assert done.stderr.splitlines()[0] == f"error: engine lame is impaired: {'; '.join(reasons)}"
        alert = await alert_of(updates, "impaired", "lame")
    assert (alert.severity, alert.message) == (Severity.WARNING, "; ".join(reasons))
    view, session = await in_state(fleet, "lame", RunState.IMPAIRED)
    assert (view.state, "; ".join(view.problems), session.trading_at) == ("error", "; ".join(reasons), None)
    with pytest.raises(EngineFailedError, match="is impaired"):
        await fleet.wait_for("lame")
    listed = await asyncio.to_thread(stack.cli, "engine", "ls")
    assert "impaired" in listed.stdout
    assert f"lame: {reasons[0]}" in listed.stdout.replace("\n", " ")
    async with rest_of(stack) as rest:
        _, answer = await rest.call("GET", f"{ENGINES}/lame")
        assert answer["engine"]["state"] == "error"
        _, told = await rest.call("GET", f"{ENGINE}/status?instance_id=lame")
        status = told["status"]
        assert (status["state"], status["last_error"]) == ("error", f"impaired: {'; '.join(reasons)}")
        code, refused = await rest.call("POST", f"{ENGINES}/lame/restart?wait=true", {})
        assert (code, refused["state"]) == (500, "error"), refused
        assert reasons[0] in refused["message"]
    await stopped(fleet, "lame")


@pytest.mark.parametrize("what", ["engine", "zygote", "sidecar"])
async def test_what_is_killed_from_outside_is_called_that_and_what_it_held_is_told(
    stack: RunningStack, fleet: Flotilla, what: str
) -> None:
    name = f"dies-by-{what}"
    async with fleet.watch(name, kinds=("fleet_alert",)) as updates:
        view, pid = await holding(fleet, paced(name, speed=86_400 * 2))
        assert view.session is not None
        assert view.metrics is not None
        Inside(stack, view.session, pid).kill(what)
        alert = await alert_of(updates, "engine_failed", name, 20.0)
    _, session = await in_state(fleet, name, RunState.FAILED)
    assert (session.reason, session.exit_code) == (FailureReason.KILLED, -9), session
    held = [text for text in session.not_confirmed if text.startswith("position SPX.SIM")]
    assert len(held) == 1, session.not_confirmed
    assert "100 (EMACross-001) when last heard" in held[0]
    assert (alert.severity, alert.session_id) == (Severity.CRITICAL, session.session_id)
    assert held[0] in alert.message
    assert "nobody asked" in alert.message


@with_local_processes
async def test_an_engine_whose_data_is_through_is_completed_and_no_longer_wanted(
    stack: RunningStack, fleet: Flotilla
) -> None:
    config = paced("replay", speed=0)
    config = msgspec.structs.replace(config, parameters={"speed": 0, "start": "2017-01-01"})
    async with fleet.watch("replay", kinds=("fleet_alert", "alert")) as updates:
        accepted = await fleet.start_engine(config)
        began = await fleet.wait_for("replay", session_id=accepted.session_id)
        assert began.session is not None
        view, session = await in_state(fleet, "replay", *ENDED)
        assert (session.state, session.reason, session.exit_code) == (RunState.COMPLETED, None, 0), session
        assert (view.state, view.desired, view.restart_at) == ("stopped", "stopped", None)
        assert (session.detail, session.not_confirmed) == ("the replay is finished", ())
        assert session.stop is not None
        assert session.stop.is_flat
        assert await updates.next(1.0) is None, "nobody has to be told of it"
    listed = await asyncio.to_thread(stack.cli, "engine", "ls")
    assert re.search(r"^ *replay +completed ", listed.stdout, re.MULTILINE), listed.stdout
    async with rest_of(stack) as rest:
        _, told = await rest.call("GET", f"{ENGINE}/status?instance_id=replay")
        assert (told["status"]["state"], told["status"]["last_error"]) == ("stopped", None)
        code, again = await rest.call("POST", f"{ENGINES}/replay/start?wait=true")
        assert (code, again["success"]) == (200, True), again
    await in_state(fleet, "replay", RunState.COMPLETED)


async def test_an_engine_that_is_not_heard_is_silent_and_its_policy_is_followed(
    stack: RunningStack, fleet: Flotilla
) -> None:
    policies = {f"mute-{policy}": policy for policy in SilencePolicy}
    inside: dict[str, Inside] = {}
    first: dict[str, str] = {}
    for name, policy in policies.items():
        restart = RestartPolicy(max_restarts=1, backoff_s=0.5, on_silence=policy)
        config = msgspec.structs.replace(paced(name, speed=86_400.0), restart=restart)
        view = await fleet.wait_for(name, session_id=(await fleet.start_engine(config)).session_id)
        async with fleet.watch(name, kinds=("heartbeat",)) as beats:
            pid = (await next_heartbeat(beats)).engine_pid
        assert view.session is not None
        assert pid is not None
        first[name] = view.session.session_id
        inside[name] = Inside(stack, view.session, pid)
    async with fleet.watch(kinds=("fleet_alert",)) as updates, rest_of(stack) as rest:
        for each in inside.values():
            each.freeze()
        frozen_at = time.monotonic()
        alert = await alert_of(updates, "silent", "mute-report", 30.0)
        assert time.monotonic() - frozen_at > 12
        assert alert.severity == Severity.CRITICAL
        _, session = await in_state(fleet, "mute-report", RunState.SILENT)
        assert session.detail == "no heartbeat for 15 s while its container is up"
        _, told = await rest.call("GET", f"{ENGINE}/status?instance_id=mute-report")
        assert told["status"]["state"] == "error"
        assert told["status"]["last_error"].startswith("silent: no heartbeat")
    _, ended = await in_state(fleet, "mute-stop", *ENDED, timeout_s=90)
    if ended.stop is None:
        assert (ended.state, ended.reason) == (RunState.FAILED, FailureReason.FROZEN)
        assert ended.not_confirmed
    else:  # Docker wakes what it ends, and the sidecar obeys
        assert (ended.state, ended.stop.is_flat) == (RunState.STOPPED, True)

    async def begun_again() -> EngineView | None:
        view = await fleet.engine("mute-restart")
        is_new = view.session is not None and view.session.session_id != first["mute-restart"]
        return view if is_new and view.session and view.session.state == RunState.TRADING else None

    again = await eventually(begun_again, 90, "the next session of mute-restart")
    assert again.restarts == 1
    assert (await fleet.engine("mute-stop")).desired == "stopped"
    _, session = await in_state(fleet, "mute-report", RunState.SILENT)
    async with fleet.watch("mute-report", kinds=("fleet_alert",)) as updates:
        inside["mute-report"].thaw()
        await in_state(fleet, "mute-report", RunState.TRADING)
        await alert_of(updates, "heard_again", "mute-report")
    assert session.session_id == first["mute-report"]
    for name in ("mute-report", "mute-restart"):
        await stopped(fleet, name)
