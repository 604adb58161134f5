"""What is asked of a stop over the SDK: that it ends in time, opens nothing more, and says what is not known."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from flotilla.client import Flotilla
from schemas.engine import SessionView
from schemas.session import container_name
from schemas.states import RunState
from schemas.telemetry import EngineEvent
from tests.e2e.stacks import RunningStack, is_running

RUNTIMES = os.environ.get("FLOTILLA_STOPS_RUNTIMES", "process").split(",")
BOUND_S = 35.0
"""30 s of every template of ours, then the kill."""
ON_ITS_WAY_S = 1.0
"""From the answer to a stop until its engine has it, on a machine that does much else."""


class Stopped(msgspec.Struct, frozen=True):
    """One start and its stop, by this machine's clocks."""

    name: str
    delay_s: float
    accepted_ns: int
    took_s: float
    session: SessionView


async def events_of(fleet: Flotilla, stopped: Stopped) -> list[EngineEvent[dict[str, Any]]]:
    session_id = stopped.session.session_id
    return [event async for event in fleet.all_events(stopped.name, session_id=session_id)]


def growth_after(events: list[EngineEvent[dict[str, Any]]], at_ns: int) -> list[int]:
    """The numbers of the events after `at_ns` by which a position was opened or added to."""
    held: dict[str, float] = {}
    grown = []
    for event in events:
        if event.kind == "position":
            key, now = event.data["position_id"], abs(float(event.data["signed_qty"]))
            if now > held.get(key, 0.0) and event.at_ns > at_ns:
                grown.append(event.seq)
            held[key] = now
    return grown


def faults_of(
    stopped: Stopped, events: list[EngineEvent[dict[str, Any]]], *, bound_s: float = BOUND_S
) -> list[str]:
    """What is wrong with a stop and what is on record of it."""
    session, wrong = stopped.session, []
    if stopped.took_s > bound_s:
        wrong.append(f"it took {stopped.took_s:.1f} s")
    if session.state != RunState.STOPPED:
        wrong.append(f"it is {session.state}: {session.detail}")
    if session.exit_code == -signal.SIGKILL and not session.not_confirmed:
        wrong.append("it was killed, and nothing is said to be unknown")
    if grown := growth_after(events, stopped.accepted_ns + int(ON_ITS_WAY_S * 1e9)):
        wrong.append(f"positions grew after the stop: events {grown}")
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        wrong.append("events are missing")
    has_account = bool(events) and events[-1].kind == "state" and events[-1].data["state"] == "stopped"
    if events and not has_account and not session.not_confirmed:
        wrong.append(f"its last event is {events[-1]}, and nothing is said to be unknown")
    return wrong


def parent_of(pid: int) -> int:
    """The process that started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def still_running(stack: RunningStack, sessions: dict[str, str], pids: dict[str, int]) -> list[str]:
    """Engines that the machine still runs, whatever anybody says."""
    if stack.runtime == "process":
        return [name for name, pid in pids.items() if is_running(pid)]
    listed = subprocess.run(
        ["docker", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout.split()
    return [name for name, session in sessions.items() if container_name(session) in listed]
