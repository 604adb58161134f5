"""The folder of a session of the process runtime."""

import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.process_folder import (
    OUTPUT_BYTES,
    SessionFolder,
    session_folders,
    sweep_remnants,
)
from flotilla.services.supervisor.adapters.process_table import Identity
from flotilla.services.supervisor.core.process_state import SessionRecord
from tests.fakes.supervised import session

KEPT_BYTES = 1024 * 1024

RECORD = SessionRecord(
    owner="us",
    host="h1",
    spec=session("s1"),
    spec_hash="h",
    boot_id="b",
    created_at=datetime(2026, 1, 31, tzinfo=UTC),
)


@pytest.fixture
def folder(tmp_path: Path) -> SessionFolder:
    made, lock = SessionFolder.claim(tmp_path, RECORD)
    os.close(lock)
    return made


def test_a_session_is_claimed_once(tmp_path: Path, folder: SessionFolder) -> None:
    with pytest.raises(FileExistsError):
        SessionFolder.claim(tmp_path, RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]
    assert folder.record() == RECORD


def test_what_was_asked_is_on_disk_and_a_stop_or_kill_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    folder, lock = SessionFolder.claim(tmp_path, RECORD)
    os.close(lock)
    assert [".session.json." in path for path in synced] == [True, False]
    folder.stop_by(1.0)
    folder.mark_killed()
    assert len(synced) == 2


def test_the_lock_is_held_from_the_claim_until_it_is_closed(tmp_path: Path) -> None:
    folder, lock = SessionFolder.claim(tmp_path, RECORD)
    assert folder.is_locked()
    os.close(lock)
    assert not folder.is_locked()


def test_only_the_owner_can_look_inside(folder: SessionFolder) -> None:
    assert folder.path.stat().st_mode & 0o077 == 0


def test_an_earlier_deadline_stays(folder: SessionFolder) -> None:
    assert folder.deadline() is None
    assert not folder.is_overdue()
    now = time.monotonic()
    folder.stop_by(now + 60)
    folder.stop_by(now + 90)
    assert folder.deadline() == now + 60
    folder.stop_by(now - 1)
    assert folder.is_overdue()


def test_the_output_is_bounded_and_goes_on(folder: SessionFolder) -> None:
    log = folder.path / "output.log"
    with log.open("ab", buffering=0) as file:
        file.write(b"a" * OUTPUT_BYTES)
        folder.bound_output()
        assert log.stat().st_size == OUTPUT_BYTES
        file.write(b"b")
        folder.bound_output()
        file.write(b"c")
    assert log.read_bytes() == b"c"
    kept = (folder.path / "output.log.1").read_bytes()
    assert len(kept) == KEPT_BYTES
    assert kept.endswith(b"ab")


def test_a_damaged_record_is_none(folder: SessionFolder) -> None:
    (folder.path / "session.json").write_bytes(b"\0\0")
    assert folder.record() is None


def test_remnants_are_swept_and_sessions_stay(tmp_path: Path, folder: SessionFolder) -> None:
    (tmp_path / ".new-0123" / "tmp").mkdir(parents=True)
    (tmp_path / ".gone-0123").mkdir()
    assert [found.path for found in session_folders(tmp_path)] == [folder.path]
    sweep_remnants(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["s1"]


def test_a_process_is_known_by_its_start_and_not_by_its_pid_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        identity = Identity.from_stat(stat)
        assert identity is not None
        assert process_table.is_alive(identity)
        another = Identity(identity.pid, identity.started_ticks - 1)
        assert not process_table.is_alive(another)
        process_table.send(another, signal.SIGKILL)
        process_table.kill_group(another, another)
        assert child.poll() is None
        process_table.send(identity, signal.SIGKILL)
        assert child.wait(10) == -9
    assert not process_table.is_alive(identity)
    process_table.send(identity, signal.SIGKILL)


def test_one_that_proc_does_not_show_is_alive_until_its_number_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a sidecar of an ordinary user where /proc is mounted with `hidepid`."""
    with subprocess.Popen(["sleep", "60"]) as child:
        identity = Identity.from_stat(Path(f"/proc/{child.pid}/stat").read_text())
        assert identity is not None
        monkeypatch.setattr(process_table, "_PROC", tmp_path)
        assert process_table.is_alive(identity)
        process_table.send(identity, signal.SIGTERM)
        assert child.wait(10) == -15
    assert not process_table.is_alive(identity)


def test_a_command_may_be_called_anything() -> None:
    line = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 1 0 987654 1000 10"
    assert Identity.from_stat(line) == Identity(42, 987654)
    assert Identity.from_stat("") is None
    assert Identity.from_stat("nonsense") is None
