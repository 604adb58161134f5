"""The kernel's process table: who a pid is, whether it still is, and signals that reach nobody else."""

import os
import signal
from pathlib import Path
from typing import Self

import msgspec

_PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True):
    """A process for good: its pid, and when it started in clock ticks since boot."""

    pid: int
    started_ticks: int

    @classmethod
    def from_stat(cls, line: str) -> Self | None:
        """From a line of /proc/<pid>/stat, None when it is none. The command's name in it may hold anything."""
        head, _, tail = line.rpartition(")")
        fields = tail.split()
        if len(fields) < 20 or not head.split(" ")[0].isdigit():
            return None
        return cls(int(head.split(" ")[0]), int(fields[19]))


def is_alive(process: Identity) -> bool:
    """True while this very process runs; a zombie does not. Of one that /proc does not show, only its number is looked at."""
    try:
        line = (_PROC / str(process.pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return _is_hidden(process.pid)
    state = line.rpartition(")")[2].split()[:1]
    return Identity.from_stat(line) == process and state not in (["Z"], ["X"])


def _is_hidden(pid: int) -> bool:
    """True for a process of ours that /proc keeps from us, as it does with sidecars where it is mounted with `hidepid`."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send(process: Identity, number: signal.Signals) -> None:
    """Signals this very process; nothing happens when it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # The handle is held before the check, so that the pid cannot change hands in between.
        if is_alive(process):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def kill_group(leader: Identity, member: Identity) -> None:
    """SIGKILL to the process group that `leader` leads or led, as long as one of the two is alive to vouch for it."""
    try:
        if is_alive(leader) or (is_alive(member) and os.getpgid(member.pid) == leader.pid):
            os.killpg(leader.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def boot_id() -> str:
    """Differs after every start of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
