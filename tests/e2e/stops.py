"""What is asked of a stop over the SDK: that it ends in time, opens nothing more, and says what is not known."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from flotilla.client.client import Flotilla
from flotilla.schemas.engine import SessionView
from flotilla.schemas.session import container_name
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineEvent
from tests.e2e.stacks import RunningStack, is_running

RUNTIMES = os.environ.get("FLOTILLA_STOPS_RUNTIMES", "process").split(",")
BOUND_S = 35.0
"""30 s of every template of ours, then the kill."""


class Stopped(msgspec.Struct, frozen=True):
    """One start and its stop, by this machine's clocks. `took_s` counts from when the stop was asked for; `is_taken`: it was
    answered with the promise that no order that opens or adds leaves the engine any more."""

    name: str
    delay_s: float
    accepted_ns: int
    took_s: float
    session: SessionView
    is_taken: bool


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


def orders_that_open(events: list[EngineEvent[dict[str, Any]]], at_ns: int) -> list[int]:
    """The numbers of the orders sent to the venue after `at_ns` that would open a position, add to one, or turn it round.

    Sent, not filled: an order that left before may still be filled. Held is what the position events before it say.
    """
    held: dict[str, float] = {}
    found = []
    for event in events:
        data = event.data
        if event.kind == "position":
            held[data["position_id"]] = float(data["signed_qty"])
        elif event.kind == "order" and data["event"] == "OrderSubmitted" and event.at_ns > at_ns:
            before = sum(held.values())
            change = float(data["quantity"]) * (1 if data["side"] == "BUY" else -1)
            if before * change >= 0 or abs(change) > abs(before):
                found.append(event.seq)
    return found


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
    if stopped.is_taken and (grown := growth_after(events, stopped.accepted_ns)):
        wrong.append(f"positions grew after the stop: events {grown}")
    if stopped.is_taken and (opened := orders_that_open(events, stopped.accepted_ns)):
        wrong.append(f"orders left after the stop: events {opened}")
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
