"""The stop flags of a host: set, lifted, obeyed, kept on disk."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.session import EmergencyStop
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.core.stop_flags import flag_on, refuse_stopped, with_flag, without_flag
from flotilla.services.supervisor.ports import LeftOrder
from flotilla.services.supervisor.stop_gate import StopGate
from tests.fakes.supervised import session

NOW = datetime(2026, 1, 31, 14, 25, tzinfo=UTC)
ONE = StopFlag(since=NOW, instance_id="e1", reason="drill")
ALL = StopFlag(since=NOW)


def orders(folder: Path) -> StopGate:
    return StopGate(StopFlagFile(folder), lambda: NOW)


def refusal(flags: tuple[StopFlag, ...], instance_id: str) -> Fault | None:
    try:
        refuse_stopped(flags, instance_id)
    except FaultError as error:
        return error.fault
    return None


@pytest.mark.parametrize(
    ("flags", "stopped"), [((), set()), ((ONE,), {"e1"}), ((ALL,), {"e1", "e2"}), ((ONE, ALL), {"e1", "e2"})]
)
def test_a_flag_stops_those_whom_it_names(flags: tuple[StopFlag, ...], stopped: set[str]) -> None:
    assert {name for name in ("e1", "e2") if flag_on(flags, name)} == stopped
    assert {name for name in ("e1", "e2") if refusal(flags, name)} == stopped


def test_a_refusal_says_since_when_why_and_how_to_go_on() -> None:
    found = refusal((ONE,), "e1")
    assert found is not None
    assert found.code == FaultCode.CONFLICT
    assert "2026-01-31T14:25:00+00:00 (drill)" in found.message
    assert "lift_stop" in found.message


def test_setting_a_flag_again_keeps_the_first() -> None:
    later = StopFlag(since=NOW + timedelta(hours=1), instance_id="e1")
    assert with_flag((ONE,), later) == (ONE,)
    assert with_flag((ONE,), ALL) == (ONE, ALL)


def test_lifting_one_leaves_the_others_and_lifting_without_a_name_leaves_none() -> None:
    assert without_flag((ONE, ALL), "e1") == (ALL,)
    assert without_flag((ONE, ALL), "e2") == (ONE, ALL)
    assert without_flag((ONE, ALL), None) == ()


async def test_flags_outlive_the_supervisor(tmp_path: Path) -> None:
    await orders(tmp_path / "state").set_flag("e1", "drill")
    assert orders(tmp_path / "state").flags == (ONE,)
    assert (tmp_path / "state" / "stop_flags.json").stat().st_mode & 0o077 == 0
    assert await orders(tmp_path / "state").lift("e1") == ()
    assert orders(tmp_path / "state").flags == ()


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"instance_id": "e1"}]', "\xff"])
async def test_a_damaged_file_stops_all_until_all_are_lifted(tmp_path: Path, text: str) -> None:
    (tmp_path / "stop_flags.json").write_bytes(text.encode("latin-1"))
    damaged = orders(tmp_path)
    found = refusal(damaged.flags, "e1")
    assert found is not None
    assert "cannot be read" in found.message
    await damaged.lift("e1")
    assert refusal(damaged.flags, "e1")
    # What could not be read is not forgotten by the next supervisor either.
    assert refusal(orders(tmp_path).flags, "e1")
    await damaged.lift(None)
    assert orders(tmp_path).flags == ()


class FullDisk(StopFlagFile):
    """A store that reads well and cannot be written to while it is full."""

    is_full = True

    def save(self, flags: tuple[StopFlag, ...]) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super().save(flags)


async def test_flags_that_cannot_be_stored_hold_and_each_says_so(tmp_path: Path) -> None:
    await orders(tmp_path).set_flag("e0", "before")
    store = FullDisk(tmp_path)
    made = StopGate(store, lambda: NOW)
    await made.set_flag("e1", "drill")
    await made.set_flag("e2", "")
    assert [refusal(made.flags, name) is not None for name in ("e0", "e1", "e2", "e3")] == [
        True,
        True,
        True,
        False,
    ]
    reasons = {flag.instance_id: flag.reason for flag in made.flags}
    assert reasons["e0"] == "before", "it is on disk"
    assert reasons["e1"].startswith("drill (not stored, so it ends with this supervisor: ")
    assert reasons["e2"].startswith("(not stored")
    assert "No space left" in reasons["e2"]
    with pytest.raises(OSError, match="No space left"):
        await made.lift("e1")
    assert refusal(made.flags, "e1"), "what could not be lifted for good is in force"
    assert [flag.instance_id for flag in orders(tmp_path).flags] == ["e0"]


async def test_flags_are_stored_as_soon_as_that_works_again(tmp_path: Path) -> None:
    store = FullDisk(tmp_path)
    made = StopGate(store, lambda: NOW)
    await made.set_flag("e1", "drill")
    assert await made.take_left() == ()
    assert "not stored" in made.flags[0].reason
    store.is_full = False
    assert await made.take_left() == ()
    assert made.flags == orders(tmp_path).flags == (ONE,)


async def test_what_cannot_be_stored_is_logged_in_a_line_when_it_begins_changes_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = FullDisk(tmp_path)
    made = StopGate(store, lambda: NOW)
    await made.set_flag("e1", "drill")
    for _ in range(20):
        await made.take_left()
    await made.set_flag("e2", "drill")
    for _ in range(20):
        await made.take_left()
    store.is_full = False
    for _ in range(3):
        await made.take_left()
    assert [record.getMessage() for record in caplog.records] == [
        "stop flags not stored",
        "stop flags not stored",
        "stop flags are stored again",
    ]
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_left_stop_that_can_be_neither_read_nor_taken_away_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "stop_requests" / "1.json").mkdir(parents=True)
    made = orders(tmp_path)
    for _ in range(20):
        await made.take_left()
    assert [record.getMessage() for record in caplog.records] == [
        "a stop that was left cannot be read: all engines are meant",
        "a stop that was carried out stays in the folder",
    ]
    assert not [record for record in caplog.records if record.exc_info]
    assert refusal(made.flags, "e1")


async def test_a_stop_that_was_left_in_the_folder_is_set_stored_and_taken_away(tmp_path: Path) -> None:
    left = EmergencyStop(instance_id="e1", reason="drill", request_id="r1")
    StopFlagFile(tmp_path).leave(left)
    made = orders(tmp_path)
    assert made.flags == ()
    assert await made.take_left() == (left,)
    assert made.flags == orders(tmp_path).flags == (msgspec.structs.replace(ONE, order_id="r1"),)
    assert await made.take_left() == ()
    assert list((tmp_path / "stop_requests").iterdir()) == []


async def test_a_stop_that_was_left_stays_while_its_flag_cannot_be_stored_and_is_carried_out_once(
    tmp_path: Path,
) -> None:
    store = FullDisk(tmp_path)
    store.leave(EmergencyStop(reason="drill"))
    made = StopGate(store, lambda: NOW)
    assert len(await made.take_left()) == 1
    assert await made.take_left() == ()
    assert refusal(made.flags, "e1")
    assert len(store.left()) == 1, "the next supervisor would find it"
    store.is_full = False
    assert await made.take_left() == ()
    assert store.left() == ()


async def test_each_change_of_the_flags_is_told_with_the_flags_as_they_are_then(tmp_path: Path) -> None:
    told: list[tuple[str | None, ...]] = []

    async def tell() -> None:
        told.append(tuple(flag.instance_id for flag in made.flags))

    store = StopFlagFile(tmp_path)
    made = StopGate(store, lambda: NOW, changed=tell)
    await made.set_flag("e1", "drill")
    store.leave(EmergencyStop(instance_id="e2"))
    await made.take_left()
    await made.take_left()
    await made.lift("e1")
    assert told == [("e1",), ("e1", "e2"), ("e2",)]


class Stuck(StopFlagFile):
    """Its folder lets nothing be taken away, as one that root made."""

    def settle(self, order: LeftOrder) -> None:
        """Leaves it there."""


async def test_a_stop_that_was_left_and_cannot_be_taken_away_stays_lifted(tmp_path: Path) -> None:
    store = Stuck(tmp_path)
    store.leave(EmergencyStop(instance_id="e1", reason="drill"))
    made = StopGate(store, lambda: NOW)
    assert len(await made.take_left()) == 1
    assert await made.lift("e1") == ()
    assert await made.take_left() == ()
    assert made.flags == orders(tmp_path).flags == ()


async def test_a_stop_that_was_left_and_cannot_be_read_stops_all(tmp_path: Path) -> None:
    (tmp_path / "stop_requests").mkdir()
    (tmp_path / "stop_requests" / "1.json").write_text("{")
    made = orders(tmp_path)
    await made.take_left()
    assert refusal(made.flags, "e1")


async def test_a_start_under_way_is_seen_until_it_ends_and_none_begins_under_a_flag(tmp_path: Path) -> None:
    made, spec = orders(tmp_path), session(instance_id="e1")
    async with made.starting(spec):
        await made.set_flag(None, "")
        assert [start.spec for start in made.under_way("e1")] == [spec]
        assert len(made.under_way(None)) == 1
        assert made.under_way("e2") == ()
        (start,) = made.under_way(None)
        assert not start.done.is_set()
    assert start.done.is_set()
    assert made.under_way(None) == ()
    with pytest.raises(FaultError):
        async with made.starting(spec):
            pytest.fail("it was let through")


async def test_a_flag_is_in_force_before_it_is_on_disk(tmp_path: Path) -> None:
    made = orders(tmp_path)
    setting = asyncio.get_running_loop().create_task(made.set_flag(None, ""))
    await asyncio.sleep(0)
    assert made.flags
    await setting
