"""The counters of a session: those of its container (cgroups 1 and 2), or of its own processes where there is none."""

import math
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.process.ports import Meter
from flotilla.engine_sidecar.process.usage import Usage
from flotilla.schemas.session import Launch

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
PRIVATE_EVERY_S: Final = 5.0
"""What is a process's own the kernel finds by going through all of its memory: 9 ms of CPU time, seen on a busy
machine, for one that has imported NautilusTrader."""
_BLOCK_BYTES: Final = 512
"""In which getrusage(2) counts."""
_UNLIMITED: Final = 1 << 60
"""Version 1 says "no limit" with a number close to 2^63."""


class CgroupMeter:
    """Reads counters of the groups that `proc` (/proc) says this process is in; None where there are none."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        folders = group_folders((proc / "self/cgroup").read_text(), (proc / "self/mountinfo").read_text())
        self._unified = folders.get("") if "memory" not in folders else None
        self._folders = folders

    def read(self) -> Usage | None:
        """The counters now; None when the group has none (the root of a machine) or they cannot be read."""
        with suppress(OSError, ValueError, KeyError):
            usage = _version_2(self._unified) if self._unified else _version_1(self._folders)
            received, sent = _network((self._proc / "self/net/dev").read_text())
            return msgspec.structs.replace(usage, network_rx_bytes=received, network_tx_bytes=sent)
        return None

    def oom_kills(self) -> int:
        """How often the kernel killed for memory in this group."""
        with suppress(OSError, KeyError):
            if self._unified:
                return _fields(self._unified / "memory.events").get("oom_kill", 0)
            return _fields(self._folders["memory"] / "memory.oom_control").get("oom_kill", 0)
        return 0


def group_folders(cgroup: str, mountinfo: str) -> dict[str, Path]:
    """Where each controller's files of our group are, from the texts of both files; version 2 has the name "".

    A mount may show a part of the tree only (field 4 of mountinfo): within a container its root is the container's own group,
    while the path in `cgroup` may still be the host's.
    """
    mounts: dict[str, tuple[str, Path]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind[0] == "cgroup2":
            mounts.setdefault("", (fields[3], Path(fields[4])))
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                mounts.setdefault(controller, (fields[3], Path(fields[4])))
    folders = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                root, mount = mounts[controller]
                folders[controller] = mount / _within(path, root)
    return folders


def _within(path: str, root: str) -> str:
    if root == "/":
        return "" if path.startswith("/..") else path.lstrip("/")
    return path.removeprefix(root).lstrip("/") if f"{path}/".startswith(f"{root}/") else ""


def _version_2(folder: Path) -> Usage:
    inactive = _fields(folder / "memory.stat").get("inactive_file", 0)
    limit = (folder / "memory.max").read_text().strip()
    read, written = _io_version_2(folder / "io.stat")
    return Usage(
        cpu_ns=_fields(folder / "cpu.stat")["usage_usec"] * 1000,
        memory_bytes=max(0, _number(folder / "memory.current") - inactive),
        memory_limit_bytes=None if limit == "max" else int(limit),
        pids=_number(folder / "pids.current"),
        block_read_bytes=read,
        block_write_bytes=written,
    )


def _version_1(folders: dict[str, Path]) -> Usage:
    memory = folders["memory"]
    inactive = _fields(memory / "memory.stat").get("total_inactive_file", 0)
    limit = _number(memory / "memory.limit_in_bytes")
    read, written = _io_version_1(folders.get("blkio"))
    return Usage(
        cpu_ns=_number(folders["cpuacct"] / "cpuacct.usage"),
        memory_bytes=max(0, _number(memory / "memory.usage_in_bytes") - inactive),
        memory_limit_bytes=None if limit >= _UNLIMITED else limit,
        pids=_number(folders["pids"] / "pids.current"),
        block_read_bytes=read,
        block_write_bytes=written,
    )


def _io_version_2(file: Path) -> tuple[int | None, int | None]:
    with suppress(OSError):
        pairs = [field.split("=") for field in file.read_text().split() if "=" in field]
        return _sum(pairs, "rbytes"), _sum(pairs, "wbytes")
    return None, None


def _io_version_1(folder: Path | None) -> tuple[int | None, int | None]:
    if folder is not None:
        with suppress(OSError):
            lines = (folder / "blkio.throttle.io_service_bytes_recursive").read_text().splitlines()
            pairs = [fields[1:] for line in lines if len(fields := line.split()) == 3]
            return _sum(pairs, "Read"), _sum(pairs, "Write")
    return None, None


def _sum(pairs: list[list[str]], name: str) -> int:
    return sum(int(value) for key, value in pairs if key == name)


def _network(text: str) -> tuple[int, int]:
    rows = [line.replace(":", " ").split() for line in text.splitlines()[2:]]
    real = [row for row in rows if row[0] != "lo"]
    return sum(int(row[1]) for row in real), sum(int(row[9]) for row in real)


def _fields(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split()[:2] for line in file.read_text().splitlines())}


def _number(file: Path) -> int:
    return int(file.read_text())


class ProcessMeter:
    """Sums over this process, the zygote, and what the zygote forked: `pids` names them in that order, but for this one.

    What a fork shares is counted once, with the zygote, so that parts add up. Block I/O of a process that hides its own, as the
    zygote does, is not counted.
    """

    def __init__(
        self,
        pids: Callable[[], tuple[int, ...]],
        oom_kills: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pids = pids
        self._oom_kills = oom_kills
        self._now = now
        self._private: dict[Path, tuple[float, int]] = {}

    def read(self) -> Usage | None:
        """The counters now; a process that is gone counts nothing from then on."""
        zygote, *forked = self._pids()
        looks = [_usage(os.getpid(), self._private_lately), _usage(zygote, _resident)]
        looks += [_usage(pid, self._private_lately) for pid in forked]
        found = [usage for usage in looks if usage is not None]
        return Usage(
            cpu_ns=sum(usage.cpu_ns for usage in found),
            memory_bytes=sum(usage.memory_bytes for usage in found),
            pids=sum(usage.pids for usage in found),
            block_read_bytes=sum(usage.block_read_bytes or 0 for usage in found),
            block_write_bytes=sum(usage.block_write_bytes or 0 for usage in found),
        )

    def _private_lately(self, folder: Path) -> int:
        """As it was at most PRIVATE_EVERY_S ago."""
        at, found = self._private.get(folder, (-math.inf, 0))
        if self._now() - at >= PRIVATE_EVERY_S:
            found = _private(folder)
            self._private[folder] = self._now(), found
        return found

    def oom_kills(self) -> int:
        """How often the kernel killed for memory in the group that these processes share with others."""
        return self._oom_kills()


def rss_bytes(pid: int) -> int | None:
    """Resident memory of one process; None when it is gone."""
    try:
        return _resident(Path(f"/proc/{pid}"))
    except (OSError, IndexError):
        return None


def _usage(pid: int, memory: Callable[[Path], int]) -> Usage | None:
    folder = Path(f"/proc/{pid}")
    try:
        # The name, in parentheses, may hold spaces.
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
        blocks = _blocks(pid)
        return Usage(
            cpu_ns=(int(stat[11]) + int(stat[12])) * _TICK_NS,
            memory_bytes=memory(folder),
            pids=int(stat[17]),
            block_read_bytes=blocks[0],
            block_write_bytes=blocks[1],
        )
    except (OSError, IndexError):
        return None


def _resident(folder: Path) -> int:
    return int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES


def _private(folder: Path) -> int:
    """What it shares with nobody; all that it has where it hides that."""
    try:
        rows = _named(folder / "smaps_rollup")
    except PermissionError:
        return _resident(folder)
    return (rows.get("Private_Clean", 0) + rows.get("Private_Dirty", 0)) << 10


def _blocks(pid: int) -> tuple[int | None, int | None]:
    """Bytes read from and written to block devices."""
    if pid == os.getpid():
        # Its file in /proc is root's.
        own = resource.getrusage(resource.RUSAGE_SELF)
        return own.ru_inblock * _BLOCK_BYTES, own.ru_oublock * _BLOCK_BYTES
    try:
        rows = _named(Path(f"/proc/{pid}/io"))
    except PermissionError:
        return None, None
    return rows.get("read_bytes"), rows.get("write_bytes")


def _named(file: Path) -> dict[str, int]:
    rows = (line.partition(":") for line in file.read_text().splitlines())
    return {
        name: int(value.split()[0])
        for name, _, value in rows
        if value.split()[:1] and value.split()[0].isdigit()
    }


def session_meter(launch: Launch, pids: Callable[[], tuple[int, ...]]) -> Meter:
    """The meter that fits; `pids` are the zygote and the processes that it forked."""
    group = CgroupMeter()
    if not launch.enforce_memory and group.read() is not None:
        return group
    return ProcessMeter(pids, group.oom_kills)
