"""The folder of one session in the process runtime: everything that must outlive the supervisor stands in it.

`session.json` what was asked, `lock` held by the living shim, `processes` who shim and sidecar are, `exit` the sidecar's
status, `stop` when its patience ends, `killed` that we meant to, `output.log` what it printed, `tmp` its HOME and TMPDIR.
"""

import fcntl
import os
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from flotilla.bus.files import write_whole
from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.process_table import Identity
from flotilla.services.supervisor.core.process_state import Observed, SessionRecord

OUTPUT_BYTES: Final = 4 << 20
KEPT_BYTES: Final = 1 << 20
HEARTBEAT_FILE: Final = "tmp/heartbeat"


class SessionFolder:
    """Reads and writes one session's folder; all of it blocks for a few system calls."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def claim(cls, root: Path, record: SessionRecord) -> tuple[Self, int]:
        """A new folder with its record, and the descriptor of its lock, held. Raises FileExistsError when there is one.

        It is made aside and renamed, so that a folder with a session's name is always whole, after a loss of power too.
        """
        new = root / f".new-{secrets.token_hex(8)}"
        new.mkdir(mode=0o700)
        (new / "tmp").mkdir()
        write_whole(new / "session.json", msgspec.json.encode(record), mode=0o666)
        lock = os.open(new / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = root / record.spec.session_id
        try:
            new.rename(path)
        except OSError:
            os.close(lock)
            shutil.rmtree(new)
            raise FileExistsError(path) from None
        return cls(path), lock

    def record(self) -> SessionRecord | None:
        """What was asked; None when there is no such session, or its file is damaged."""
        try:
            return msgspec.json.decode((self.path / "session.json").read_bytes(), type=SessionRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def observe(self, record: SessionRecord) -> Observed:
        """One look at the session."""
        # The lock first: a shim writes the exit status before it lets go.
        is_shim_alive = self.is_locked()
        processes = self.processes()
        exit_status = self._read("exit")
        return Observed(
            is_this_boot=record.boot_id == process_table.boot_id(),
            is_shim_alive=is_shim_alive,
            is_sidecar_alive=processes is not None and process_table.is_alive(processes[1]),
            pid=processes[1].pid if processes else None,
            started_at=self._written_at("processes"),
            exit_status=int(exit_status) if exit_status else None,
            finished_at=self._written_at("exit") or self._written_at("killed"),
            was_killed=(self.path / "killed").exists(),
        )

    def processes(self) -> tuple[Identity, Identity] | None:
        """Shim and sidecar; None until the shim has told."""
        lines = self._read("processes").splitlines()
        identities = [identity for line in lines if (identity := Identity.from_stat(line))]
        return (identities[0], identities[1]) if len(identities) == 2 else None

    def stop_by(self, deadline: float) -> None:
        """Keeps when patience ends, by the monotonic clock, which all processes of one boot share. An earlier one stays."""
        self._write("stop", repr(min(deadline, self.deadline() or deadline)))

    def deadline(self) -> float | None:
        """When patience ends, None when nobody asked it to stop."""
        text = self._read("stop")
        return float(text) if text else None

    def is_overdue(self) -> bool:
        """True when it was asked to stop and its time is over."""
        deadline = self.deadline()
        return deadline is not None and time.monotonic() >= deadline

    def pulse(self) -> str | None:
        """When the sidecar last touched its heartbeat file, for comparing only; None when it has not yet."""
        try:
            return str((self.path / HEARTBEAT_FILE).stat().st_mtime_ns)
        except FileNotFoundError:
            return None

    def mark_killed(self) -> None:
        """To be said before the kill: a group that is killed leaves nobody to write down the exit status."""
        self._write("killed", "")

    def bound_output(self) -> None:
        """Keeps the output file small: its last part moves to `output.log.1`. The sidecar appends, so it goes on at 0."""
        log = self.path / "output.log"
        try:
            if log.stat().st_size <= OUTPUT_BYTES:
                return
            with log.open("r+b") as file:
                file.seek(-KEPT_BYTES, os.SEEK_END)
                (self.path / "output.log.1").write_bytes(file.read())
                file.truncate(0)
        except FileNotFoundError:
            return

    def delete(self) -> None:
        """Deletes it all; under its name nothing is half there."""
        gone = self.path.with_name(f".gone-{secrets.token_hex(8)}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone)

    def is_locked(self) -> bool:
        """True while its shim lives, or is about to."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str) -> None:
        # Worth nothing after a loss of power, which ends the session, and a kill does not wait for a busy disk.
        write_whole(self.path / name, text.encode(), mode=0o666, is_durable=False)

    def _written_at(self, name: str) -> datetime | None:
        try:
            return datetime.fromtimestamp((self.path / name).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None


def session_folders(root: Path) -> list[SessionFolder]:
    """All sessions below `root`, by name."""
    if not root.exists():
        return []
    return [SessionFolder(path) for path in sorted(root.iterdir()) if not path.name.startswith(".")]


def sweep_remnants(root: Path) -> None:
    """Deletes what a supervisor left half made or half deleted. Only while no other one uses the folder."""
    for path in root.glob(".*-*"):
        shutil.rmtree(path, ignore_errors=True)
