"""What code in an engine may try against its sidecar, one attempt after the other, and what came of each.

Nothing but the standard library: it runs in engines' images, and alone. Whom it attacks must be processes of the test's own.
"""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

DONE = "DONE"
"""What came of an attempt that was let through."""
DENIED = "DENIED"
"""What came of one that was forbidden. One that failed for another reason has that reason's number."""
MPTCP = 262
FAST_OPEN = 0x20000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_IS_ARM = os.uname().machine == "aarch64"
CALLS = {
    "ptrace": 117 if _IS_ARM else 101,
    "process_vm_readv": 270 if _IS_ARM else 310,
    "process_vm_writev": 271 if _IS_ARM else 311,
    "kcmp": 272 if _IS_ARM else 312,
    "rt_sigqueueinfo": 138 if _IS_ARM else 129,
    "tkill": 130 if _IS_ARM else 200,
    "tgkill": 131 if _IS_ARM else 234,
    "ioprio_set": 30 if _IS_ARM else 251,
    "perf_event_open": 241 if _IS_ARM else 298,
    "bpf": 280 if _IS_ARM else 321,
    "keyctl": 219 if _IS_ARM else 250,
    "userfaultfd": 282 if _IS_ARM else 323,
    "io_uring_setup": 425,
    "pidfd_getfd": 438,
}
_PTRACE_SEIZE = 0x4206
_SCRATCH = ctypes.create_string_buffer(256)
_HERE = ctypes.addressof(_SCRATCH)
_VECTOR = struct.pack("QQ", _HERE, 8)

type Attempt = Callable[[], object]


def call(name: str, *arguments: int | bytes | None) -> int:
    """A system call; raises OSError."""
    given = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    answer: int = _LIBC.syscall(ctypes.c_long(CALLS[name]), *given)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer


def outcome(attempt: Attempt) -> str:
    """DONE, or why not."""
    try:
        attempt()
    except PermissionError:
        return DENIED
    except OSError as error:
        return f"errno {error.errno}"
    return DONE


def looks(pid: int) -> dict[str, Attempt]:
    """What tells of a process, or changes how it runs, and does it no lasting harm."""
    return {
        "read memory": lambda: Path(f"/proc/{pid}/mem").open("r+b").close(),
        "read environment": lambda: Path(f"/proc/{pid}/environ").read_bytes()[0],
        "read maps": lambda: Path(f"/proc/{pid}/maps").read_text()[0],
        "list files": lambda: os.listdir(f"/proc/{pid}/fd"),
        "open file": lambda: os.close(os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)),
        "offer to oom killer": lambda: Path(f"/proc/{pid}/oom_score_adj").write_text("1000"),
        "trace": lambda: call("ptrace", _PTRACE_SEIZE, pid, 0, 0),
        "take file": lambda: os.close(call("pidfd_getfd", os.pidfd_open(pid), 0, 0)),
        "read across": lambda: _across("process_vm_readv", pid),
        "write across": lambda: _across("process_vm_writev", pid),
        "compare": lambda: call("kcmp", pid, os.getpid(), 0, 0, 0),
        "ask limit": lambda: resource.prlimit(pid, resource.RLIMIT_CORE),
        "count events": lambda: call("perf_event_open", struct.pack("IIQ96x", 1, 112, 0), pid, -1, -1, 0),
        "renice": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "renice group": lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(pid), 19),
        "pin": lambda: os.sched_setaffinity(pid, {0}),
        "schedule": lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        "starve of disk": lambda: call("ioprio_set", 1, pid, 3 << 13),
        "signal nothing": lambda: os.kill(pid, 0),
        "continue": lambda: os.kill(pid, signal.SIGCONT),
        "signal nothing by handle": lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 0),
    }


def blows(pid: int) -> dict[str, Attempt]:
    """What stops, blinds or kills it."""
    no_files, no_time = (resource.RLIMIT_NOFILE, (0, 0)), (resource.RLIMIT_CPU, (0, 1))
    killed = struct.pack("iiii112x", signal.SIGKILL, 0, -1, 0)
    return {
        "terminate": lambda: os.kill(pid, signal.SIGTERM),
        "terminate thread": lambda: call("tgkill", pid, pid, signal.SIGTERM),
        "stop": lambda: os.kill(pid, signal.SIGSTOP),
        "stop thread": lambda: call("tkill", pid, signal.SIGSTOP),
        "blind": lambda: resource.prlimit(pid, *no_files),
        "let time out": lambda: resource.prlimit(pid, *no_time),
        "kill": lambda: os.kill(pid, signal.SIGKILL),
        "kill by handle": lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL),
        "queue kill": lambda: call("rt_sigqueueinfo", pid, signal.SIGKILL, killed),
    }


def ways_out(bus: tuple[str, int]) -> dict[str, Attempt]:
    """Ways to the bus, and kinds of sockets and files that lead past what is watched."""
    return {
        "connect": lambda: _connected(socket.socket(), bus),
        "connect by multipath TCP": lambda: _connected(socket.socket(proto=MPTCP), bus),
        "connect by fast open": lambda: socket.socket().sendto(b"CONNECT {}\r\n", FAST_OPEN, bus),
        "connect by a message": lambda: socket.socket().sendmsg([b"CONNECT {}\r\n"], [], FAST_OPEN, bus),
        "listen": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "io_uring": lambda: os.close(call("io_uring_setup", 1, _HERE)),
        "SMC": lambda: socket.socket(43, socket.SOCK_STREAM).close(),
        "VSOCK": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "crypto sockets": lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close(),
        "key rings": lambda: call("keyctl", 0, -3, 1),
        "page faults": lambda: os.close(call("userfaultfd", 1)),
        "programs in the kernel": lambda: call("bpf", 0, _HERE, 128),
    }


def by_the_kernel(pid: int) -> None:
    """Has the kernel kill `pid` when a socket is ready. Whether it does shows only by whether `pid` lives."""
    here, there = socket.socketpair()
    try:
        fcntl.fcntl(here, fcntl.F_SETOWN, pid)
        fcntl.fcntl(here, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
        fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC)
        there.send(b"x")
    except OSError:
        return


def attack(
    victims: dict[str, int], bus: tuple[str, int], *, is_container: bool = False
) -> Iterator[tuple[str, str]]:
    """All of it, the worst last: what was tried against whom, and what came of it.

    In a container of its own it signals everybody, too. Whom that, or the kernel on its behalf, has killed is not there any more.
    """
    for name, attempt in (ways_out(bus) | (harm_to_the_heartbeat() if is_container else {})).items():
        yield name, outcome(attempt)
    for kind in (looks, blows):
        for who, pid in victims.items():
            for name, attempt in kind(pid).items():
                yield f"{name}: {who}", outcome(attempt)
    for pid in victims.values():
        by_the_kernel(pid)
    if is_container:
        outcome(lambda: os.kill(-1, signal.SIGKILL))


def through(found: Iterable[tuple[str, str]]) -> list[str]:
    """What was not denied, but for what root does with any process: containers run as an ordinary user.

    A container's init hides nothing: the numbers of its files, and no more of them, are everybody's to read.
    """
    roots = ("list files", "offer to oom killer", "read environment", "read maps")
    roots = roots if os.geteuid() == 0 else ()
    harmless = (*roots, "list files: init")
    return [f"{name}: {what}" for name, what in found if what != DENIED and not name.startswith(harmless)]


def above(*, is_container: bool = False) -> dict[str, int]:
    """The processes that an engine or a trial is to leave alone: the zygote that forked it, the sidecar, a container's init."""
    zygote = os.getppid()
    return {"zygote": zygote, "sidecar": parent_of(zygote)} | ({"init": 1} if is_container else {})


def harm_to_the_heartbeat() -> dict[str, Attempt]:
    """What makes the sidecar of a container look dead, or alive when it is not, or die for what the strategy eats."""
    file = Path(os.environ["FLOTILLA_HEARTBEAT_FILE"])
    return {
        "forge the heartbeat": lambda: file.open("r+b").close(),
        "remove the heartbeat": file.unlink,
        "cut the heartbeat short": lambda: os.truncate(file, 0),
        "move the heartbeat": lambda: file.rename(file.with_name("moved")),
        "fill its file system": lambda: file.with_name("all").write_bytes(b"x"),
        "close its folder": lambda: file.parent.chmod(0),
        "outlive the sidecar": lambda: Path("/proc/self/oom_score_adj").write_text("500"),
        "take precedence": lambda: os.setpriority(os.PRIO_PROCESS, 0, 0),
    }


def bus_of_this_container() -> tuple[str, int]:
    """Where the one connection of this network namespace leads that is not Redis: what the sidecar is connected to."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        address, port = fields[2].split(":")
        if fields[3] == "01" and int(port, 16) != 6379:
            return socket.inet_ntoa(struct.pack("<I", int(address, 16))), int(port, 16)
    raise LookupError("the sidecar is connected to nothing")


def _across(name: str, pid: int) -> None:
    """Permitted is also what finds nothing at that address."""
    try:
        call(name, pid, _VECTOR, 1, _VECTOR, 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def _connected(made: socket.socket, bus: tuple[str, int]) -> None:
    with made:
        made.settimeout(2)
        made.connect(bus)


def parent_of(pid: int) -> int:
    """By the process table, which everybody may read."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
