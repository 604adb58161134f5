"""Emergency stops of engines that trade: a receipt each, also with the control plane dead, and a flag that stays."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.receipts import are_confirmed
from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import FleetStopped
from flotilla.schemas.states import DesiredState, FailureReason, RunState
from tests.e2e.engines import engine_pids, eventually, paced, resting, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack, is_running, until
from tests.e2e.stops import still_running

FOUR = tuple(f"engine-{number}" for number in range(4))

with_local_processes = pytest.mark.parametrize("runtime", ["process"], indirect=True)


@pytest.fixture
async def fleet(stack: RunningStack) -> AsyncIterator[Flotilla]:
    """A client; what a test leaves in force is lifted, because the stack is the next one's too."""
    async with Flotilla.connect(stack.connection, wait_s=10) as connected:
        yield connected

        async def lifted() -> bool:
            try:
                left = await connected.lift_stop()
            except FaultError:  # the supervisor is not back yet
                return False
            return not left.flags and not left.unreached

        await eventually(lifted, 30, "the end of every stop")


async def exposed(fleet: Flotilla, names: Sequence[str]) -> dict[str, str]:
    """Starts engines, every other one with orders that rest, and waits until each has something to lose; their sessions."""
    sessions: dict[str, str] = {}
    for index, name in enumerate(names):
        accepted = await fleet.start_engine(resting(name) if index % 2 else paced(name))
        sessions[name] = str(accepted.session_id)
    for name in names:
        await fleet.wait_for(name, (RunState.TRADING,), session_id=sessions[name], timeout_s=90)
        await eventually(lambda: _at_risk(fleet, name), 60, f"orders or positions of {name}")  # noqa: B023
    return sessions


async def _at_risk(fleet: Flotilla, name: str) -> bool:
    metrics = (await fleet.engine(name)).metrics
    return metrics is not None and metrics.orders_open + metrics.positions_open > 0


def assert_flat_and_gone(done: FleetStopped, sessions: dict[str, str]) -> None:
    """A receipt for each session and for no other, and all of it confirmed."""
    assert {one.instance_id: one.session_id for one in done.receipts} == sessions
    assert are_confirmed(done), done
    assert not [one for one in done.receipts if one.is_killed or one.not_confirmed]
    reports = [one.stop for one in done.receipts if one.stop]
    assert len(reports) == len(sessions)
    assert all(report.is_flat for report in reports)
    assert sum(report.orders_cancelled for report in reports) > 0
    assert sum(report.positions_closed for report in reports) > 0


async def assert_stopped_by_the_operator(fleet: Flotilla, names: Sequence[str]) -> None:
    """What the record comes to say of engines that an emergency stop ended."""

    async def look() -> bool:
        views = [await fleet.engine(name) for name in names]
        return all(
            view.desired == DesiredState.STOPPED and view.session and view.session.state.is_terminal
            for view in views
        )

    await eventually(look, 30, "the stop on record")
    for name in names:
        session = (await fleet.engine(name)).session
        assert session is not None
        assert session.reason in (None, FailureReason.OPERATOR), session


async def assert_refused(fleet: Flotilla, name: str) -> None:
    with pytest.raises(FaultError, match="emergency stop") as caught:
        await fleet.start_engine(paced(name))
    assert caught.value.fault.code == FaultCode.CONFLICT


# Local processes are four, too, in the test below.
@pytest.mark.parametrize("runtime", ["docker"], indirect=True)
async def test_four_trading_engines_are_flat_and_gone_with_a_receipt_each(
    stack: RunningStack, fleet: Flotilla
) -> None:
    sessions = await exposed(fleet, FOUR)
    pids = await engine_pids(fleet, FOUR)
    done = await fleet.emergency_stop(reason="halted")
    assert_flat_and_gone(done, sessions)
    assert still_running(stack, sessions, pids) == []
    assert [(flag.instance_id, flag.reason) for flag in done.flags] == [(None, "halted")]
    await assert_stopped_by_the_operator(fleet, FOUR)
    await assert_refused(fleet, "engine-0")


@with_local_processes
async def test_four_engines_are_flat_and_gone_with_gateway_orchestrator_and_database_dead(
    stack: RunningStack, fleet: Flotilla
) -> None:
    sessions = await exposed(fleet, FOUR)
    pids = await engine_pids(fleet, FOUR)
    with stack.without("gateway", "orchestrator", "postgres"):
        done = await asyncio.to_thread(stack.cli, "--json", "emergency-stop", "--all")
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert_flat_and_gone(json_stopped(done.stdout), sessions)
        assert still_running(stack, sessions, pids) == []

    async def answers() -> bool:
        try:
            return bool((await fleet.engines()).engines)
        except FaultError:
            return False

    await eventually(answers, 30, "the control plane")
    await assert_stopped_by_the_operator(fleet, FOUR)
    await assert_refused(fleet, "engine-0")


@with_local_processes
async def test_a_stop_outlives_the_supervisor_and_ends_when_it_is_lifted(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, paced("one"))
    await trading(fleet, paced("other"))
    assert are_confirmed(await fleet.emergency_stop("one", reason="on purpose"))
    old = stack.pid_of("supervisor")
    assert old is not None
    os.kill(old, signal.SIGKILL)

    async def is_back() -> bool:
        view = await fleet.engine("other")
        return stack.pid_of("supervisor") not in (None, old) and (view.heartbeat_age_s or 99) < 3

    await eventually(is_back, 30, "a new supervisor")
    refused = await asyncio.to_thread(stack.cli, "engine", "start", "one")
    assert refused.returncode == 5, refused.stderr
    assert "on purpose" in refused.stderr
    assert "emergency-stop --lift" in refused.stderr
    other = await fleet.engine("other")
    assert other.metrics is not None
    await traded_more(fleet, "other", other.metrics.fills_total)
    lifted = await asyncio.to_thread(stack.cli, "emergency-stop", "--lift", "one")
    assert (lifted.returncode, lifted.stdout) == (0, "no stop is in force\n")
    await trading(fleet, paced("one"))
    for name in ("one", "other"):
        await stopped(fleet, name)


@with_local_processes
async def test_what_is_frozen_is_killed_at_the_deadline_and_said_not_to_be_confirmed(
    stack: RunningStack, fleet: Flotilla
) -> None:
    names = ("frozen", "mute", "well")
    sessions = await exposed(fleet, names)
    pids = await engine_pids(fleet, names)
    os.kill(pids["frozen"], signal.SIGSTOP)
    # Of the mute one, the sidecar too, so that nobody in it can end anything.
    for pid in (parent_of(parent_of(pids["mute"])), pids["mute"]):
        os.kill(pid, signal.SIGSTOP)
    done = await asyncio.to_thread(stack.cli, "emergency-stop", "--deadline", "4", "--yes")
    assert done.returncode == 8, (done.stdout, done.stderr)
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "NOT CONFIRMED  " in rows["frozen"]
    assert "NOT CONFIRMED  killed" in rows["mute"]
    assert sessions["mute"] in rows["mute"]
    assert rows["well"].split()[4:6] == ["yes", "yes"]
    for name in ("frozen", "mute"):
        assert f"NOT CONFIRMED {name}: " in done.stdout
    assert "1 of 3 engines confirmed flat and gone" in done.stdout
    # An engine ends by the death of its sidecar, a moment later.
    until(lambda: not any(is_running(pid) for pid in pids.values()), 5, "the end of every process")


@with_local_processes
async def test_all_engines_are_stopped_on_a_terminal_only_when_that_is_confirmed(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, paced("steady"))
    code, said = await asyncio.to_thread(on_a_terminal, stack, "n\n", "emergency-stop")
    assert code == 130, said
    assert "Stop ALL engines now" in said
    view = await fleet.engine("steady")
    assert view.session is not None
    assert (view.session.state, view.stop_flag) == (RunState.TRADING, None)
    code, said = await asyncio.to_thread(on_a_terminal, stack, "y\n", "emergency-stop")
    assert code == 0, said
    assert "1 of 1 engines confirmed flat and gone" in said
    lifted = await asyncio.to_thread(stack.cli, "emergency-stop", "--lift", "steady")
    assert lifted.returncode == 5, "the stop of all engines is still in force"
    assert "engines do not start" in lifted.stdout


@with_local_processes
async def test_with_no_supervisor_in_sight_its_host_is_reached_around_it_and_that_is_said(
    stack: RunningStack, fleet: Flotilla
) -> None:
    await trading(fleet, paced("unseen"))
    with stack.without("supervisor"):
        done = await asyncio.to_thread(stack.cli, "emergency-stop")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "stopped around it" in done.stderr
    assert "1 of 1 engines confirmed flat and gone" in done.stdout


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def json_stopped(text: str) -> FleetStopped:
    return msgspec.json.decode(text, type=FleetStopped)


def on_a_terminal(stack: RunningStack, typed: str, *arguments: str) -> tuple[int, str]:
    """Runs a command whose stdin is a terminal; its exit code and what it said."""
    keyboard, terminal = pty.openpty()
    argv = [sys.executable, "-m", "flotilla", "--state", str(stack.folder.root), *arguments]
    process = subprocess.Popen(
        argv, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    os.close(terminal)
    os.write(keyboard, typed.encode())
    said, _ = process.communicate(timeout=60)
    os.close(keyboard)
    return process.returncode, said
