"""Shuts a process that is about to run people's code in, for good, with all that this kernel has for it."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.confinement import call_filter, landlock
from flotilla.engine_sidecar.confinement.system_calls import prctl, show_memory

_NO_NEW_PRIVILEGES: Final = 38


class KernelLocks(msgspec.Struct, frozen=True, kw_only=True):
    """What this kernel has: the version of Landlock, 0 without, and whether a process may filter its own system calls."""

    landlock_abi: int
    has_filter: bool

    @classmethod
    def offered(cls) -> "KernelLocks":
        """What it has for this process."""
        return cls(landlock_abi=landlock.offered_abi(), has_filter=call_filter.is_offered())

    def prepare(self) -> None:
        """Has what is forked from here be shut in sooner."""
        if self.has_filter:
            call_filter.prepare()

    @property
    def has_scopes(self) -> bool:
        """True where Landlock keeps signals in, and lets a process signal what it started itself."""
        return self.landlock_abi >= landlock.SCOPES_ABI

    @property
    def is_enough(self) -> bool:
        """True where an engine can be kept from signalling its sidecar. Only then may it trade money."""
        return self.has_scopes or self.has_filter

    @property
    def shortcoming(self) -> str:
        """What a strategy can do because the kernel lacks something; empty when it lacks nothing."""
        abi = f"Landlock has version {self.landlock_abi}" if self.landlock_abi else "there is no Landlock"
        if not self.is_enough:
            return f"strategies can stop and kill their sidecar: {abi} (6 needs Linux 6.12), and seccomp takes no filter"
        if not self.has_filter:
            return "strategies can limit their sidecar, and reach TCP ports by ways of their own: seccomp takes no filter"
        if self.landlock_abi == 0:
            return f"strategies can reach what else runs under their account, but no sidecar: {abi}, which Linux has since 5.13"
        if not self.has_scopes:
            return f"strategies cannot signal processes of their own: {abi}, and 6 needs Linux 6.12"
        return ""

    @property
    def missing_walls(self) -> tuple[str, ...]:
        """What a process that is sealed in cannot be kept from here, as far as the kernel lacks something."""
        files = (
            ()
            if self.landlock_abi
            else ("this host cannot keep a check from reading and writing files: it has no Landlock",)
        )
        rest = "this host cannot keep a check from sockets and processes of its own: seccomp takes no filter"
        return files if self.has_filter else (*files, rest)


def confine(
    locks: KernelLocks,
    tcp_ports: Collection[int] | None = (),
    *,
    folders: Collection[Path] | None = None,
    readable: Collection[Path] | None = None,
    is_sealed: bool = False,
) -> None:
    """Shuts this process in; it must have one thread. Raises OSError, and then it must not go on.

    TCP connections go to `tcp_ports` only, None being all; where Landlock has no such rule, to none or to all. Files are written
    below `folders` only, None being everywhere, and read there and in `readable` only, None being everywhere too. `is_sealed`: it opens no socket and starts neither process nor thread. What it is, and what it starts, dies first when memory runs out.
    """
    show_memory()
    # Before the folders: to take that back it would have to write there.
    Path("/proc/self/oom_score_adj").write_text("1000")
    prctl(_NO_NEW_PRIVILEGES, 1)
    if locks.landlock_abi:
        landlock.restrict(locks.landlock_abi, tcp_ports, folders, readable)
    if locks.has_filter:
        has_tcp_rule = locks.landlock_abi >= landlock.TCP_ABI
        call_filter.install(
            own_pid=None if locks.has_scopes else os.getpid(),
            has_internet=has_tcp_rule or tcp_ports is None or len(tcp_ports) > 0,
            is_sealed=is_sealed,
        )
