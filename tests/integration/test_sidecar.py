"""The sidecar against a real nats-server, with engines that trade, freeze, crash and lie as scripted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.schemas.brakes import EngineBrake, SetBrake
from flotilla.schemas.contract import (
    COMMAND_BRAKE,
    COMMAND_CANCEL_ORDERS,
    COMMAND_FLATTEN,
    COMMAND_STOP,
    PACKAGE_FETCH,
    Actor,
    Call,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.package import FetchPackage, PackageChunk, PackageRef
from flotilla.schemas.session import EngineCommand, EnginePlan
from flotilla.schemas.states import Brake, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import Alert, EngineEvent, EventKind, Fill, Severity, StateChange
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.sidecars import Heard, Sidecar, is_alive, recorded, until, until_recorded

SOUND = [RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]


def assert_complete(events: list[EngineEvent]) -> None:
    """Every number once, in order, from 1."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def failed(sidecar: Sidecar, heard: Heard, exit_code: int = 1) -> FailureReason:
    """Waits for the session's failure and returns its reason."""
    change = await heard.state(RunState.FAILED)
    assert await sidecar.wait() == exit_code
    assert change.reason is not None
    return change.reason


async def test_an_engine_trades_and_stops(sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
    sidecar.start("trade", node={"every_s": 0.1, "not_confirmed": ["order O-7 still open"]})
    await heard.trading()
    await until(lambda: len(heard.fills) >= 5)
    await until(lambda: len(heard.metrics) >= 2 and len(heard.heartbeats) >= 2)
    accepted = await bus.call(COMMAND_STOP, EngineCommand(policy=StopPolicy.FLATTEN), instance_id="e1")
    assert accepted.session_id == sidecar.spec.session_id
    change = await heard.state(RunState.STOPPED)
    assert await sidecar.wait() == 0
    assert (change.exit_code, change.not_confirmed) == (0, ("order O-7 still open",))
    assert heard.states == [*SOUND, RunState.STOPPING, RunState.STOPPED]
    events = await recorded(bus)
    assert_complete(events)
    assert events[-1].data == change
    assert {event.session_id for event in events} == {sidecar.spec.session_id}
    assert "trading" in heard.lines
    assert "stopping flatten within 4.5 s" in sidecar.stdout
    assert heard.heartbeats[-1].state in (RunState.TRADING, RunState.STOPPING, RunState.STOPPED)


async def test_a_heartbeat_comes_every_second_with_what_the_session_uses(
    sidecar: Sidecar, heard: Heard
) -> None:
    sidecar.start()
    pid = await heard.trading()
    await until(lambda: len(heard.heartbeats) >= 4)
    first, last = heard.heartbeats[-3], heard.heartbeats[-1]
    assert last.beat - first.beat == 2
    assert 1.8e9 < last.at_ns - first.at_ns < 2.5e9
    assert last.engine_pid == pid
    assert is_alive(pid)
    assert last.resources is not None
    assert last.resources.memory_bytes > 5 << 20
    used = [beat.resources.cpu_fraction for beat in heard.heartbeats if beat.resources]
    assert (
        0 < max(used) < 2
    )  # the kernel counts in hundredths of a second: of an idle second it may have none
    assert last.resources.pids >= 5
    assert (last.tick_age_s or 0) < 1
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - int(sidecar.heartbeat_file.read_text()) < 3


async def test_sigterm_stops_by_the_policy_of_the_session(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start(stop_policy=StopPolicy.LEAVE)
    await heard.trading()
    sidecar.signal(signal.SIGTERM)
    await heard.state(RunState.STOPPED)
    assert await sidecar.wait() == 0
    assert "stopping leave" in sidecar.stdout


async def test_commands_reach_the_engine(sidecar: Sidecar, heard: Heard, connect_as: ConnectAs) -> None:
    bus = await connect_as(Actor.ORCHESTRATOR)
    sidecar.start()
    await heard.trading()
    command = EngineCommand(session_id=sidecar.spec.session_id, request_id="r-1")
    cancelled = await bus.call(COMMAND_CANCEL_ORDERS, command, instance_id="e1")
    assert (cancelled.request_id, cancelled.orders_cancelled) == ("r-1", 2)
    assert cancelled.not_confirmed == ("order O-1 still open",)
    flattened = await bus.call(COMMAND_FLATTEN, command, instance_id="e1")
    assert (flattened.positions_closed, flattened.not_confirmed) == (1, ())


async def test_a_brake_is_obeyed_and_in_every_heartbeat(
    sidecar: Sidecar, heard: Heard, connect_as: ConnectAs
) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    sidecar.start()
    await heard.trading()
    brake = EngineBrake(brake=Brake.HALTED, number=4, by="alice")
    command = SetBrake(session_id=sidecar.spec.session_id, brake=brake)
    assert (await orchestrator.call(COMMAND_BRAKE, command, instance_id="e1")).is_taken is True
    change = await heard.state(RunState.IMPAIRED)
    assert change.detail == "halted by alice"
    await heard.beat(lambda beat: beat.brake == brake and beat.is_brake_taken and beat.problems)
    assert heard.alerts == ["brake halted"]
    lifted = SetBrake(session_id=sidecar.spec.session_id, brake=EngineBrake(number=5))
    assert (await orchestrator.call(COMMAND_BRAKE, lifted, instance_id="e1")).is_taken is True
    await heard.beat(lambda beat: beat.state is RunState.TRADING and not beat.problems)


async def test_a_session_begins_with_the_brake_of_its_specification(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start(brake=EngineBrake(brake=Brake.HALTED, number=4, by="alice"))
    await heard.state(RunState.IMPAIRED)
    assert RunState.TRADING not in heard.states


@pytest.mark.parametrize("call", [COMMAND_STOP, COMMAND_CANCEL_ORDERS, COMMAND_FLATTEN])
async def test_a_command_for_another_session_is_refused(
    sidecar: Sidecar, heard: Heard, bus: Bus, call: Call[Any, Any]
) -> None:
    sidecar.start()
    await heard.trading()
    with pytest.raises(FaultError) as refused:
        await bus.call(call, EngineCommand(session_id="another"), instance_id="e1")
    assert refused.value.fault.code is FaultCode.CONFLICT
    assert heard.states == SOUND


async def test_stopping_twice_is_a_success(sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
    sidecar.start("deaf", stop_timeout_s=2.0)
    await heard.trading()
    for _ in range(3):
        await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    with pytest.raises(FaultError) as refused:
        await bus.call(COMMAND_FLATTEN, EngineCommand(), instance_id="e1")
    assert refused.value.fault.code is FaultCode.CONFLICT
    await heard.state(RunState.STOPPED)
    assert heard.states.count(RunState.STOPPING) == 1


async def test_an_engine_that_does_not_stop_is_killed_and_that_is_told(
    sidecar: Sidecar, heard: Heard
) -> None:
    sidecar.start("deaf", stop_timeout_s=1.0)
    pid = await heard.trading()
    sidecar.signal(signal.SIGTERM)
    change = await heard.state(RunState.STOPPED, 4.0)
    assert change.exit_code == -9
    assert "killed" in change.not_confirmed[0]
    assert not is_alive(pid)
    assert await sidecar.wait() == 0


async def test_a_stop_reaches_an_engine_that_is_still_booting(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start(env={"SCRIPTED_ZYGOTE": "hangs"})
    await until(lambda: heard.heartbeats)
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    change = await heard.state(RunState.STOPPED)
    assert change.not_confirmed == ()
    assert await sidecar.wait() == 0


async def test_kill_9_of_the_engine_is_told_at_once(sidecar: Sidecar, heard: Heard, bus: Bus) -> None:
    sidecar.start()
    pid = await heard.trading()
    started = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    change = await heard.state(RunState.FAILED)
    assert time.monotonic() - started < 8  # no deadline led to it: the next would be that of a silent loop
    assert (change.reason, change.exit_code) == (FailureReason.KILLED, -9)
    assert "trading" in change.log_tail
    assert await sidecar.wait() == 1
    assert_complete(await recorded(bus))


async def test_an_exit_code_is_told_with_the_last_lines(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("exits", node={"code": 3})
    assert await failed(sidecar, heard) is FailureReason.CRASH
    change = await heard.state(RunState.FAILED)
    assert change.exit_code == 3
    assert len(change.log_tail) == 20
    assert {"line 29", "about to exit"} <= set(change.log_tail)


async def test_a_traceback_is_in_the_tail(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("raises")
    assert await failed(sidecar, heard) is FailureReason.CRASH
    assert "ValueError: boom in on_bar" in (await heard.state(RunState.FAILED)).log_tail


async def test_a_segfault_says_where_it_was(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("segfaults")
    assert await failed(sidecar, heard) is FailureReason.CRASH
    change = await heard.state(RunState.FAILED)
    assert change.exit_code == -11
    assert "SIGSEGV" in change.detail
    assert any("scripted_engine.py" in line for line in change.log_tail)


@pytest.mark.parametrize(
    ("reason", "state", "exit_code"),
    [("strategy", RunState.FAILED, 1), ("config", RunState.FAILED, 78), (None, RunState.STOPPED, 0)],
)
async def test_the_last_word_of_an_engine_is_passed_on(
    sidecar: Sidecar, heard: Heard, reason: str | None, state: RunState, exit_code: int
) -> None:
    sidecar.start("ends", node={"reason": reason, "detail": "boom in on_bar"})
    change = await heard.state(state)
    assert (change.reason, change.detail) == (reason, "boom in on_bar")
    assert await sidecar.wait() == exit_code


@pytest.mark.parametrize("script", ["spins", "holds_gil"])
async def test_a_frozen_engine_is_told_of_and_killed(sidecar: Sidecar, heard: Heard, script: str) -> None:
    sidecar.start(script)
    await until(lambda: heard.alerts == ["frozen"])
    await heard.beat(lambda beat: beat.is_frozen)
    assert await failed(sidecar, heard) is FailureReason.FROZEN
    assert (await heard.state(RunState.FAILED)).exit_code == -9


async def test_a_stopped_process_is_frozen_and_recovers(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start(kill_frozen_after_s=60)
    pid = await heard.trading()
    os.kill(pid, signal.SIGSTOP)
    await heard.beat(lambda beat: beat.is_frozen)
    assert (heard.heartbeats[-1].tick_age_s or 0) > 1
    os.kill(pid, signal.SIGCONT)
    await until(lambda: heard.alerts == ["frozen", "recovered"])
    await heard.beat(lambda beat: not beat.is_frozen)


async def test_a_stopped_process_is_killed(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start()
    pid = await heard.trading()
    os.kill(pid, signal.SIGSTOP)
    assert await failed(sidecar, heard) is FailureReason.FROZEN
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("script", "reason"), [("silent", FailureReason.CRASH), ("never_connects", FailureReason.VENUE)]
)
async def test_a_boot_that_takes_too_long_fails(
    sidecar: Sidecar, heard: Heard, script: str, reason: FailureReason
) -> None:
    sidecar.start(script, boot_timeout_s=2.0)
    assert await failed(sidecar, heard) is reason


async def test_a_zygote_that_cannot_import_fails_with_its_stderr(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start(env={"SCRIPTED_ZYGOTE": "unimportable"})
    assert await failed(sidecar, heard, 78) is FailureReason.CONFIG
    change = await heard.state(RunState.FAILED)
    assert change.log_tail[-1] == "ModuleNotFoundError: No module named 'nautilus_trader'"


def zygote_of(sidecar: Sidecar) -> int:
    return sidecar.descendants()[0]


async def test_an_engine_does_not_outlive_its_zygote(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start()
    pid = await heard.trading()
    os.kill(zygote_of(sidecar), signal.SIGKILL)
    assert await failed(sidecar, heard) is FailureReason.KILLED
    assert "parent" in (await heard.state(RunState.FAILED)).detail
    assert not is_alive(pid)


async def test_an_end_that_a_stuck_zygote_does_not_report_is_found_out(
    sidecar: Sidecar, heard: Heard
) -> None:
    sidecar.start("exits", node={"code": 3, "after_s": 2.0})
    await heard.trading()
    os.kill(zygote_of(sidecar), signal.SIGSTOP)
    assert await failed(sidecar, heard) is FailureReason.CRASH
    assert (await heard.state(RunState.FAILED)).exit_code == 3


async def test_neither_zygote_nor_engine_outlives_the_sidecar(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start()
    await heard.trading()
    below = sidecar.descendants()
    assert len(below) == 2
    sidecar.signal(signal.SIGKILL)
    await until(lambda: not any(is_alive(pid) for pid in below), 3.0)


async def test_processes_that_an_engine_started_are_gone_with_it(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start("breeds")
    await until(lambda: "bred" in heard.alerts)
    below = sidecar.descendants()
    assert len(below) == 5
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    assert not any(is_alive(pid) for pid in below)


@pytest.mark.parametrize("script", ["hangs_up", "talks_rubbish"])
async def test_an_engine_that_cannot_be_reached_any_more_is_killed(
    sidecar: Sidecar, heard: Heard, script: str
) -> None:
    sidecar.start(script)
    assert await failed(sidecar, heard) is FailureReason.CRASH
    assert "link closed" in (await heard.state(RunState.FAILED)).detail


async def test_events_that_are_none_are_told_of_once_and_leave_no_gap(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start("invents_events")
    await until(lambda: heard.fills == ["T-1"])
    assert heard.alerts == ["unreadable_event", "unreadable_event"]
    assert_complete(await recorded(bus))


async def test_states_that_cannot_be_are_told_of_once_and_change_nothing(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start("babbles")
    await until(lambda: "babbled" in heard.alerts)
    assert heard.alerts == ["unexpected_phase", "unexpected_phase", "babbled"]
    assert heard.states == SOUND
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    await heard.state(RunState.STOPPED)
    assert heard.states == [*SOUND, RunState.STOPPING, RunState.STOPPED]


async def test_twenty_thousand_events_at_once_all_arrive_in_order(
    sidecar: Sidecar, heard: Heard, bus: Bus, record_property: Callable[[str, object], None]
) -> None:
    sidecar.start("flood", node={"events": 20_000})
    await heard.trading()
    await until(lambda: len(heard.fills) == 20_000, 60.0)
    record_property("sidecar_mib", {"after the flood": sidecar.rss_mib, "peak": sidecar.peak_mib})
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    events = await recorded(bus)
    assert_complete(events)
    assert [e.data.trade_id for e in events if isinstance(e.data, Fill)] == [
        f"T-{number}" for number in range(1, 20_001)
    ]
    assert heard.heartbeats[-1].events_dropped == 0


async def test_whoever_stole_its_credential_has_none_of_its_events_dropped_as_repetitions(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    """The thief has the key that the ids of its messages are made with, and knows session and numbers."""
    sidecar.start("trade", node={"every_s": 0.2})
    await heard.trading()
    thief = await connect(sidecar.login)
    first = max(event.seq for event in await recorded(bus)) + 10
    told = EngineEvent(
        instance_id="e1",
        session_id=sidecar.spec.session_id,
        generation=1,
        seq=10**6,
        at_ns=1,
        kind=EventKind.ALERT,
        data=Alert(severity=Severity.INFO, code="thief", message="m"),
    )
    for seq in range(first, first + 40):
        for kind in ("fill", "order", "state"):
            message_id = thief._stream_wide(f"engine.e1.{kind}:{sidecar.spec.session_id}-{seq}")
            await thief.client.jetstream().publish(
                "engine.e1.alert", msgspec.json.encode(told), headers={"Nats-Msg-Id": message_id}
            )
    await heard.more_fills(10)
    await thief.close()
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    events = [event for event in await recorded(bus) if event.seq != told.seq]
    assert_complete(events)
    assert events[-1].seq > first


async def test_the_sidecar_stays_small(
    sidecar: Sidecar, heard: Heard, record_property: Callable[[str, object], None]
) -> None:
    sidecar.start("trade", node={"every_s": 0.01})
    await heard.trading()
    await heard.more_fills(300)
    record_property("sidecar_mib", {"now": sidecar.rss_mib, "peak": sidecar.peak_mib})
    assert sidecar.rss_mib <= 40


async def test_a_bus_that_is_away_loses_no_event_and_stops_no_trading(
    sidecar: Sidecar, heard: Heard, bus: Bus, nats: NatsServer, connect_as: ConnectAs
) -> None:
    sidecar.start("trade", node={"every_s": 0.005})
    pid = await heard.trading()
    for away_s in (0.3, 4.0, 1.0):
        await heard.more_fills(50)
        nats.kill()
        await asyncio.sleep(away_s)  # how long it is away is what is tested
        assert is_alive(pid)
        nats.start()
        await until(lambda: bus.is_connected)
    await heard.more_fills(50)
    await bus.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    events = await recorded(await connect_as(Actor.OPERATOR))
    assert_complete(events)
    fills = [event.data.trade_id for event in events if isinstance(event.data, Fill)]
    assert fills == [f"T-{number}" for number in range(1, len(fills) + 1)]
    assert events[-1].data.state is RunState.STOPPED


async def test_a_bus_that_is_away_at_the_start_is_waited_for(
    sidecar: Sidecar, bus: Bus, nats: NatsServer, tmp_path: Path
) -> None:
    nats.kill()
    is_ready = tmp_path / "ready"
    sidecar.start(env={"SCRIPTED_ZYGOTE_READY": str(is_ready)})
    await until(is_ready.exists)
    assert len(sidecar.descendants()) == 1  # a zygote that could fork, and yet no engine
    nats.start()
    await until_recorded(bus, lambda said: StateChange(state=RunState.TRADING) in said)


async def test_sigterm_while_the_bus_is_away_ends_the_engine_and_says_what_was_not_delivered(
    sidecar: Sidecar, heard: Heard, nats: NatsServer
) -> None:
    sidecar.start(env={"FLOTILLA_FLUSH_S": "1"})
    await heard.trading()
    nats.kill()
    sidecar.signal(signal.SIGTERM)
    assert await sidecar.wait() == 0
    assert '"event":"not delivered"' in sidecar.stderr
    nats.start()


async def test_events_that_find_no_room_are_counted_and_told_of(
    sidecar: Sidecar, heard: Heard, bus: Bus, nats: NatsServer
) -> None:
    sidecar.start("trade", node={"every_s": 0.005}, env={"FLOTILLA_QUEUE_EVENTS": "50"})
    await heard.trading()
    nats.kill()
    await until(lambda: "events are being dropped" in sidecar.stderr)
    nats.start()
    await heard.beat(lambda beat: beat.events_dropped > 0)
    await until_recorded(bus, lambda said: "events_dropped" in [getattr(data, "code", "") for data in said])
    await heard.more_fills(20)
    numbers = [event.seq for event in await recorded(bus)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > len(numbers)


async def test_output_is_cut_decoded_and_complete(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("prints", node={"lines": 5_000})
    await until(lambda: heard.lines and heard.lines[-1].startswith("line 4999 "))
    assert heard.lines[0] == "not utf-8: \ufffd\ufffd"
    assert [len(line) for line in heard.lines[1:4]] == [16_384, 16_384, 40_000 - 2 * 16_384]
    assert [line.split()[1] for line in heard.lines[4:]] == [str(i) for i in range(5_000)]
    first = 1
    for batch in heard.logs:
        assert batch.first == first
        first += len(batch.lines)
    assert "line 4999 " in sidecar.stdout


async def test_output_never_blocks_the_engine_while_the_bus_is_away(
    sidecar: Sidecar, heard: Heard, nats: NatsServer, bus: Bus
) -> None:
    sidecar.start("prints", node={"lines": 200_000, "after_s": 1.0})
    await heard.trading()
    nats.kill()
    await until(lambda: "line 199999 " in sidecar.stdout)
    nats.start()
    await until_recorded(bus, lambda said: "printed" in [getattr(data, "code", "") for data in said])
    await heard.beat(lambda beat: beat.logs_dropped > 0)


async def test_an_engine_over_its_memory_is_killed_where_no_container_does_it(
    sidecar: Sidecar, heard: Heard
) -> None:
    sidecar.start("hogs", node={"mib": 700}, memory_bytes=512 << 20, kill_frozen_after_s=60.0)
    assert await failed(sidecar, heard) is FailureReason.OOM
    assert "512 MiB" in (await heard.state(RunState.FAILED)).detail


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of this machine with 200 MiB, where one can be made."""
    parent = Path("/sys/fs/cgroup/memory")
    limit, group = "memory.limit_in_bytes", parent / f"flotilla-test-{os.getpid()}"
    if not (parent / limit).exists() or not os.access(parent, os.W_OK):
        pytest.skip("no control group of version 1 can be made here")
    group.mkdir()
    (group / limit).write_text(str(200 << 20))
    yield group
    group.rmdir()


async def test_a_kill_by_the_kernel_for_memory_is_told_apart(
    sidecar: Sidecar, heard: Heard, small_group: Path
) -> None:
    join = f'echo $$ > {small_group}/cgroup.procs; exec "$@"'
    via = ["/bin/sh", "-c", join, "sh"]
    sidecar.start("hogs", node={"mib": 400}, enforce_memory=False, via=via, kill_frozen_after_s=60.0)
    assert await failed(sidecar, heard) is FailureReason.OOM
    assert (await heard.state(RunState.FAILED)).exit_code == -9


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "stdin was closed"),
        (b"\n", "stdin was closed"),
        (b"not json\n", "cannot be read"),
        (b"{}\n", "missing required field"),
        (b'{"bus":{"url":1}}\n', "Expected `str`"),
        (b"[" * 100_000 + b"\n", "cannot be read"),
        (b'{"bus":{"url":"nats://x","creds":"s3cret"},"spec":null}\n', "Expected `object`"),
    ],
)
async def test_a_bad_launch_line_is_refused_with_78(sidecar: Sidecar, line: bytes, text: str) -> None:
    sidecar.spawn()
    sidecar.feed(line)
    assert await sidecar.wait() == 78
    assert sidecar.stderr.startswith("engine_sidecar: ")
    assert text in sidecar.stderr
    assert "s3cret" not in sidecar.stderr


async def test_the_creds_are_nowhere_to_be_seen(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start()
    await heard.trading()
    for pid in (sidecar.process.pid, *sidecar.descendants()):
        assert b"NKEY" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        with suppress(PermissionError):  # it hides even from us, unless we are root
            assert b"NKEY" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert "NKEY" not in sidecar.stdout + sidecar.stderr


async def test_packages_that_do_not_come_in_time_are_the_hosts_failure_and_ones_that_are_nowhere_the_plans(
    sidecar: Sidecar, heard: Heard, connect_as: ConnectAs
) -> None:
    plan = EnginePlan(
        trader_id="E1-001",
        node={"script": "trade"},
        packages=(PackageRef(name="mine", version="1", digest="a" * 64),),
    )
    sidecar.start(plan=plan, boot_timeout_s=1.0)
    assert await failed(sidecar, heard) == FailureReason.HOST
    assert "could not be fetched within 1 s" in heard.of(StateChange)[-1].detail

    async def nowhere(request: FetchPackage) -> PackageChunk:
        raise fault(FaultCode.NOT_FOUND, f"package {request.digest[:12]} is nowhere")

    fleet = await connect_as(Actor.ORCHESTRATOR)
    await fleet.serve(PACKAGE_FETCH, nowhere)
    heard.events.clear()
    sidecar.start(plan=plan)
    assert await failed(sidecar, heard, exit_code=78) == FailureReason.CONFIG
    assert "package mine@1" in heard.of(StateChange)[-1].detail


def test_the_sidecar_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None; import flotilla.engine_sidecar.sidecar; "
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "nautilus_trader",
        "pandas",
        "numpy",
        "pyarrow",
        "asyncpg",
        "docker",
        "click",
        "flotilla.services",
        "flotilla.state",
        "flotilla.client",
        "flotilla.cli",
    }
    assert not heavy & set(found.stdout.split())
