"""Counters of control groups as real files spell them, and what is made of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flotilla.engine_sidecar.process import resource_meter
from flotilla.engine_sidecar.process.resource_meter import CgroupMeter, ProcessMeter, group_folders, rss_bytes
from flotilla.engine_sidecar.process.usage import OomCounter, Usage, resources

ROOT = Path(__file__).parents[3]
NET = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
    "    lo:    3393      33    0    0    0     0          0         0     3393      33    0    0    0     0       0          0\n"
    "  eth0: 671761769   33284    0    0    0     0          0         0  1304667   15533    0    0    0     0       0          0\n"
    "  eth1:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
)


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def proc(tmp_path: Path, cgroup: str, mountinfo: str) -> Path:
    return lay(tmp_path / "proc", {"self/cgroup": cgroup, "self/mountinfo": mountinfo, "self/net/dev": NET})


def test_version_2_in_a_container(tmp_path: Path) -> None:
    group = lay(
        tmp_path / "cgroup",
        {
            "memory.current": "100000000\n",
            "memory.stat": "anon 1\ninactive_file 40000000\n",
            "memory.max": "2147483648\n",
            "memory.events": "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 0\n",
            "cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n",
            "pids.current": "7\n",
            "io.stat": "254:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=2\n",
        },
    )
    meter = CgroupMeter(
        proc(tmp_path, "0::/\n", f"29 23 0:26 / {group} ro,nosuid - cgroup2 cgroup rw,nsdelegate\n")
    )
    assert meter.read() == Usage(
        cpu_ns=1_500_000_000,
        memory_bytes=60_000_000,
        memory_limit_bytes=2 << 30,
        pids=7,
        network_rx_bytes=671762769,
        network_tx_bytes=1306667,
        block_read_bytes=101,
        block_write_bytes=202,
    )
    assert meter.oom_kills() == 2


def test_version_1_in_a_container_whose_paths_are_the_hosts(tmp_path: Path) -> None:
    group = lay(
        tmp_path / "cgroup",
        {
            "memory/memory.usage_in_bytes": "100000000\n",
            "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 40000000\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            "cpuacct/cpuacct.usage": "1500000000\n",
            "pids/pids.current": "7\n",
            "blkio/blkio.throttle.io_service_bytes_recursive": "254:0 Read 5\n254:0 Write 6\n254:0 Total 11\nTotal 11\n",
        },
    )
    path = "/docker/0123abcd"
    names = ("memory", "cpu,cpuacct", "pids", "blkio")
    meter = CgroupMeter(
        proc(
            tmp_path,
            "".join(f"{i}:{name}:{path}\n" for i, name in enumerate(names, 2)),
            "".join(
                f"{i} 23 0:30 {path} {group}/{name.split(',')[-1]} ro,nosuid master:9 - cgroup cgroup rw,{name}\n"
                for i, name in enumerate(names, 40)
            ),
        )
    )
    usage = meter.read()
    assert usage is not None
    assert (usage.cpu_ns, usage.memory_bytes, usage.pids) == (1_500_000_000, 60_000_000, 7)
    assert usage.memory_limit_bytes is None
    assert (usage.block_read_bytes, usage.block_write_bytes) == (5, 6)
    assert meter.oom_kills() == 3


def test_a_part_of_the_tree_that_is_mounted_is_found() -> None:
    mount = "1 2 0:1 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    assert group_folders("4:memory:/docker/ab/inner\n", mount) == {
        "memory": Path("/sys/fs/cgroup/memory/inner")
    }
    assert group_folders("4:memory:/docker/abc\n", mount) == {"memory": Path("/sys/fs/cgroup/memory")}


def test_a_group_without_files_is_none(tmp_path: Path) -> None:
    meter = CgroupMeter(proc(tmp_path, "0::/\n", f"1 2 0:1 / {tmp_path}/none ro - cgroup2 cgroup rw\n"))
    assert meter.read() is None
    assert meter.oom_kills() == 0


def test_this_machine_has_readable_groups() -> None:
    assert CgroupMeter().oom_kills() >= 0


GONE = 1 << 22
HIDDEN = """
import os, resource, sys, time
from flotilla.engine_sidecar.confinement.system_calls import hide_memory, show_memory
from flotilla.engine_sidecar.process.resource_meter import ProcessMeter
from tests.fakes.confined import be_ordinary
SHARED, PRIVATE = 64 << 20, 32 << 20
be_ordinary()
hide_memory()
reader, writer = os.pipe()
zygote = os.fork()
if zygote == 0:
    shared = b"x" * SHARED
    child = os.fork()
    if child == 0:
        show_memory()
        private = b"y" * PRIVATE
        os.write(writer, os.getpid().to_bytes(4, "big"))
    time.sleep(60)
    os._exit(0)
child = int.from_bytes(os.read(reader, 4), "big")
try:
    for pids in ((zygote,), (zygote, child), (zygote, child, 1 << 22)):
        usage = ProcessMeter(lambda: pids, lambda: 0).read()
        print(usage.memory_bytes >> 20, usage.pids, usage.cpu_ns, usage.block_read_bytes)
finally:
    os.kill(child, 9)
    os.kill(zygote, 9)
"""
"""A sidecar that measures a zygote, which hides, and what that forked."""


def test_an_ordinary_user_measures_a_zygote_that_hides_and_what_they_share_once() -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", HIDDEN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    zygote, both, with_gone = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    assert zygote[0] >= 64
    assert 30 <= both[0] - zygote[0] <= 60, "what is private to the fork is added, and what it shares is not"
    assert (zygote[1], both[1], with_gone[1]) == (2, 3, 3)
    assert zygote[2] > 0


def test_all_of_a_processs_memory_is_gone_through_only_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, looks = [100.0], []

    def private(folder: Path) -> int:
        looks.append(folder.name)
        return len(looks) << 20

    monkeypatch.setattr(resource_meter, "_private", private)
    meter = ProcessMeter(lambda: (GONE,), lambda: 0, lambda: clock[0])
    found = []
    for seconds in (0, 1, 1, 1, 2):
        clock[0] += seconds
        usage = meter.read()
        assert usage is not None
        found.append(usage.memory_bytes >> 20)
    assert found == [1, 1, 1, 1, 2]
    assert looks == [str(os.getpid())] * 2


def test_one_that_is_gone_has_no_memory() -> None:
    assert (rss_bytes(os.getpid()) or 0) > 1 << 20
    assert rss_bytes(GONE) is None


def test_a_fraction_of_one_is_one_core() -> None:
    before = Usage(cpu_ns=1_000_000_000, memory_bytes=1)
    now = Usage(cpu_ns=2_500_000_000, memory_bytes=5, pids=3)
    found = resources(before, now, 1.0, 100)
    assert (found.cpu_fraction, found.memory_bytes, found.memory_limit_bytes, found.pids) == (1.5, 5, 100, 3)
    assert resources(now, before, 1.0, 100).cpu_fraction == 0.0
    assert resources(now, now, 0.0, 100).cpu_fraction == 0.0


@pytest.mark.parametrize(
    ("samples", "now", "expected"), [([], 5, False), ([5, 5], 5, False), ([5, 5], 6, True)]
)
def test_only_a_kill_within_memory_counts(samples: list[int], now: int, expected: bool) -> None:
    counter = OomCounter()
    for sample in samples:
        counter.sample(sample)
    assert counter.has_risen(now) is expected


def test_an_old_kill_is_forgotten() -> None:
    counter = OomCounter()
    for sample in [0, 1] + [1] * 10:
        counter.sample(sample)
    assert not counter.has_risen(1)
