"""The record's time: no step of the wall clock moves it, no restart of its reader turns it back or pushes it on."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flotilla.services.orchestrator.core.record_time import KeptTime, on_wall, wall
from flotilla.services.orchestrator.engines.clock import RecordClock
from flotilla.services.orchestrator.engines.core.views import record_view
from tests.unit.orchestrator.makers import NOW, after, engine, session

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Machine:
    """The two clocks of a machine, set by hand."""

    def __init__(self, boot_id: str = "boot-1", up_s: float = 50_000.0) -> None:
        self.boot_id, self.up_s, self.wall = boot_id, up_s, NOW

    def passes(self, seconds: float) -> None:
        self.up_s += seconds
        self.wall += timedelta(seconds=seconds)

    def clock(self) -> RecordClock:
        return RecordClock(monotonic=lambda: self.up_s, wall=lambda: self.wall, boot_id=self.boot_id)


def joined(machine: Machine, kept: KeptTime | None = None) -> RecordClock:
    clock = machine.clock()
    clock.join(kept)
    return clock


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])
def test_a_step_of_the_wall_clock_does_not_move_it(step: timedelta) -> None:
    machine = Machine()
    clock = joined(machine)
    assert clock() == NOW
    machine.wall += step
    assert clock() == NOW
    machine.passes(7)
    assert clock() == after(7)


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])
def test_the_next_reader_of_the_same_boot_goes_on_to_the_microsecond_whatever_the_wall_clock_did(
    step: timedelta,
) -> None:
    machine = Machine()
    kept = joined(machine).keep()
    machine.passes(90)
    machine.wall += step
    assert joined(machine, kept)() == after(90)


@pytest.mark.parametrize("step", [timedelta(), HOUR, -HOUR, DAY, -DAY])
def test_after_another_boot_the_time_between_counts_as_none(step: timedelta) -> None:
    kept = joined(Machine()).keep()
    other = Machine("boot-2", up_s=12.0)
    other.wall += step
    clock = joined(other, kept)
    assert clock() == NOW
    other.passes(5)
    assert clock() == after(5)


def test_it_never_turns_back_also_when_the_monotonic_clock_did() -> None:
    kept = joined(Machine(up_s=500.0)).keep()
    assert joined(Machine(up_s=400.0), kept)() == NOW


def test_what_was_heard_before_the_record_was_read_is_old_once_it_is() -> None:
    machine = Machine()
    kept = joined(machine).keep()
    clock = machine.clock()
    heard = clock()
    clock.join(kept)
    assert clock() - heard > 365 * DAY


def test_two_readers_at_once_on_one_machine_agree() -> None:
    machine = Machine()
    first = joined(machine)
    machine.passes(30)
    second = joined(machine, first.keep())
    machine.passes(30)
    assert first() == second() == after(60)


@pytest.mark.parametrize("step", [timedelta(), HOUR, -DAY])
def test_people_are_told_what_the_wall_clock_says(step: timedelta) -> None:
    machine = Machine()
    clock = joined(machine)
    machine.passes(10)
    machine.wall += step
    now = clock()
    assert wall(now) == machine.wall
    assert on_wall(now + timedelta(seconds=30), now) == machine.wall + timedelta(seconds=30)
    assert wall(now).tzinfo is UTC


def test_a_time_without_a_clock_behind_it_is_taken_as_it_is() -> None:
    assert wall(NOW) == NOW
    assert on_wall(after(5), NOW) == after(5)


def test_its_times_are_written_as_any_other_time() -> None:
    machine = Machine()
    machine.wall += HOUR
    now = joined(machine)()
    assert msgspec.json.decode(msgspec.json.encode(now), type=datetime) == now
    assert msgspec.json.encode(now) == msgspec.json.encode(now.replace(tzinfo=UTC))


def test_a_restart_that_is_due_is_shown_by_the_wall_clock() -> None:
    machine = Machine()
    clock = joined(machine)
    machine.wall += HOUR
    waiting = msgspec.structs.replace(engine(session()), restart_at=after(20))
    assert record_view(waiting, clock()).restart_at == after(20) + HOUR
