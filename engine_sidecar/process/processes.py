"""The counters of a session's own processes, where no container keeps any."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from flotilla.engine_sidecar.process.usage import Usage

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class ProcessMeter:
    """Sums over the processes that `pids` names. Memory shared by a fork is counted once (PSS), so parts add up."""

    def __init__(self, pids: Callable[[], Iterable[int]], oom_kills: Callable[[], int]) -> None:
        self._pids = pids
        self._oom_kills = oom_kills

    def read(self) -> Usage | None:
        """The counters now; a process that is gone counts nothing from then on."""
        found = [usage for pid in self._pids() if (usage := _usage(Path(f"/proc/{pid}"))) is not None]
        return Usage(
            cpu_ns=sum(usage.cpu_ns for usage in found),
            memory_bytes=sum(usage.memory_bytes for usage in found),
            pids=sum(usage.pids for usage in found),
            block_read_bytes=sum(usage.block_read_bytes or 0 for usage in found),
            block_write_bytes=sum(usage.block_write_bytes or 0 for usage in found),
        )

    def oom_kills(self) -> int:
        """How often the kernel killed for memory in the group that these processes share with others."""
        return self._oom_kills()


def rss_bytes(pid: int) -> int | None:
    """Resident memory of one process; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def _usage(folder: Path) -> Usage | None:
    try:
        # The name, in parentheses, may hold spaces.
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
        blocks = _named(folder / "io")
        return Usage(
            cpu_ns=(int(stat[11]) + int(stat[12])) * _TICK_NS,
            memory_bytes=_named(folder / "smaps_rollup").get("Pss", 0) << 10,
            pids=int(stat[17]),
            block_read_bytes=blocks.get("read_bytes"),
            block_write_bytes=blocks.get("write_bytes"),
        )
    except OSError:
        return None


def _named(file: Path) -> dict[str, int]:
    rows = (line.partition(":") for line in file.read_text().splitlines())
    return {
        name: int(value.split()[0])
        for name, _, value in rows
        if value.split()[:1] and value.split()[0].isdigit()
    }
