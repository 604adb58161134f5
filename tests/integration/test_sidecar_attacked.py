"""A sidecar whose engine turns link, pipes and heartbeat file against it: it is heard, obeys, and names what it saw within 15 s."""

import time

import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas.contract import COMMAND_STOP
from flotilla.schemas.session import EngineCommand
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from tests.integration.sidecars import Heard, Sidecar, until

NAMED_S = 15.0


async def beats_on(heard: Heard, for_s: float = 4.0) -> None:
    """Every second, as if nothing happened."""
    before = heard.heartbeats[-1].beat
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > for_s, for_s + 5)
    assert heard.heartbeats[-1].beat - before >= for_s - 1.5


async def test_a_flood_of_frames_keeps_the_sidecar_from_nothing(
    sidecar: Sidecar, heard: Heard, bus: Bus
) -> None:
    sidecar.start("floods_link", stop_timeout_s=2.0)
    await heard.trading()
    await beats_on(heard)
    await bus.call(COMMAND_STOP, EngineCommand(policy=StopPolicy.FLATTEN), instance_id="e1")
    change = await heard.state(RunState.STOPPED)
    assert change.detail == "killed"
    assert await sidecar.wait() == 0


@pytest.mark.parametrize("script", ["nests", "nests_measure"])
async def test_what_cannot_be_read_for_its_depth_ends_the_engine(
    sidecar: Sidecar, heard: Heard, script: str
) -> None:
    sidecar.start(script)
    change = await heard.state(RunState.FAILED, NAMED_S)
    assert change.reason == FailureReason.CRASH
    assert "its link closed and it did not end, so it was killed" in change.detail
    assert await sidecar.wait() == 1


async def test_a_state_with_too_much_to_say_holds_up_no_event(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("boasts")
    await heard.state(RunState.TRADING)
    await until(lambda: heard.fills == ["T-1"])


async def test_more_problems_than_can_be_named_silence_no_heartbeat(sidecar: Sidecar, heard: Heard) -> None:
    sidecar.start("names_many", frozen_after_s=60.0, kill_frozen_after_s=90.0)
    await heard.state(RunState.IMPAIRED)
    await beats_on(heard)
    assert len(heard.heartbeats[-1].problems) == 20


async def test_an_engine_that_dates_its_life_ahead_is_frozen_when_it_is_silent(
    sidecar: Sidecar, heard: Heard
) -> None:
    sidecar.start("dates_ahead")
    change = await heard.state(RunState.FAILED, NAMED_S)
    assert change.reason == FailureReason.FROZEN


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
async def test_whatever_is_put_in_the_place_of_the_heartbeat_file_the_sidecar_goes_on(
    sidecar: Sidecar, heard: Heard, bus: Bus, kind: str
) -> None:
    victim = sidecar.heartbeat_file.with_name("victim")
    victim.write_text("mine")
    sidecar.start("plants", node={"file": str(sidecar.heartbeat_file), "kind": kind}, stop_timeout_s=2.0)
    await heard.trading()
    await beats_on(heard)
    assert victim.read_text() == "mine"
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - int(sidecar.heartbeat_file.read_text()) < 3
    await bus.call(COMMAND_STOP, EngineCommand(policy=StopPolicy.FLATTEN), instance_id="e1")
    await heard.state(RunState.STOPPED)
    assert await sidecar.wait() == 0
