"""A seccomp filter that an engine's process puts on itself: what Landlock does not cover, and signals where it has no scopes.

Landlock has no say over limits and scheduling of other processes, and its TCP rules miss multipath TCP, TCP Fast Open and io_uring
(https://github.com/landlock-lsm/linux/issues/54 and /41). All that is refused fails with EPERM.
"""

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from flotilla.engine_sidecar.confinement.system_calls import syscall

_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000
_REFUSE: Final = _FAIL | errno.EPERM
_LOAD, _AND, _JUMP_IF_EQUAL, _JUMP_IF_NOT_BELOW, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_X32: Final = 0x40000000
"""On x86-64 the calls of a second ABI begin here, which would pass by all that goes by numbers."""
_SET_FILTER, _IS_ACTION_THERE = 1, 2
_KEEP_SPEED: Final = 1 << 2
"""SECCOMP_FILTER_FLAG_SPEC_ALLOW: before Linux 5.16 a filter would slow the process down for what it does to nobody but itself."""
_WHOLE: Final = 0xFFFFFFFF


class Machine(NamedTuple):
    """A processor as the kernel names it to a filter, and its numbers of the calls that matter here."""

    audit_arch: int
    seccomp: int
    calls: dict[str, int]


_EVERYWHERE: Final = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "process_mrelease": 448,
    "clone3": 435,
}
MACHINES: Final = {
    "x86_64": Machine(
        audit_arch=0xC000003E,
        seccomp=317,
        calls=_EVERYWHERE
        | {"ioctl": 16, "socket": 41, "sendto": 44, "sendmsg": 46, "kill": 62, "fcntl": 72, "ptrace": 101}
        | {"rt_sigqueueinfo": 129, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144}
        | {"tkill": 200, "sched_setaffinity": 203, "tgkill": 234, "add_key": 248, "request_key": 249}
        | {"keyctl": 250, "ioprio_set": 251, "migrate_pages": 256, "move_pages": 279}
        | {"rt_tgsigqueueinfo": 297, "perf_event_open": 298, "prlimit64": 302, "sendmmsg": 307}
        | {"process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "sched_setattr": 314}
        | {
            "bpf": 321,
            "userfaultfd": 323,
            "clone": 56,
            "fork": 57,
            "vfork": 58,
            "execve": 59,
            "execveat": 322,
        },
    ),
    "aarch64": Machine(
        audit_arch=0xC00000B7,
        seccomp=277,
        calls=_EVERYWHERE
        | {"fcntl": 25, "ioctl": 29, "ioprio_set": 30, "ptrace": 117, "sched_setparam": 118}
        | {"sched_setscheduler": 119, "sched_setaffinity": 122, "kill": 129, "tkill": 130, "tgkill": 131}
        | {"rt_sigqueueinfo": 138, "setpriority": 140, "socket": 198, "sendto": 206, "sendmsg": 211}
        | {"add_key": 217, "request_key": 218, "keyctl": 219, "migrate_pages": 238, "move_pages": 239}
        | {"rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "sendmmsg": 269}
        | {"process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "sched_setattr": 274}
        | {"bpf": 280, "userfaultfd": 282, "clone": 220, "execve": 221, "execveat": 281},
    ),
}
"""All are little-endian with 64 bits."""

_NEVER: Final = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease"),
    *("pidfd_getfd", "kcmp", "migrate_pages", "move_pages", "perf_event_open", "bpf", "userfaultfd"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl"),
)
_PROCESSES: Final = ("fork", "vfork", "clone", "clone3", "execve", "execveat")
"""And with them threads, which are made by the same calls."""
_NOT_ON_ARM: Final = ("fork", "vfork")
_NO_SIGNALS: Final = ("tkill", "pidfd_send_signal")
_OWN_SIGNALS: Final = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_OWN_SCHEDULING: Final = (
    *("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"),
)
_UNIX, _IPV4, _IPV6 = 1, 2, 10
_PROTOCOLS: Final = (0, 6, 17)
"""What the kind of socket means, TCP, UDP: not multipath TCP, 262, nor SMC, which falls back to TCP."""
_FAST_OPEN: Final = 0x20000000
_SET_OWNER: Final = (8, 15)
"""F_SETOWN and F_SETOWN_EX, which have the kernel signal whom one names when a file is ready."""
_SET_SOCKET_OWNER: Final = (0x8901, 0x8902)


class Condition(NamedTuple):
    """On the argument of this number: of its lower 32 bits, those in `mask` are one of `values`, or none of them if `is_refused`."""

    argument: int
    values: tuple[int, ...]
    mask: int = _WHOLE
    is_refused: bool = False


type Rule = tuple[str, tuple[Condition, ...] | None]
"""A call, and what must be so of its arguments; None refuses it whatever they are. What is not named is allowed."""


def rules(*, own_pid: int | None, has_internet: bool, is_sealed: bool = False) -> Iterator[Rule]:
    """What is refused. With `own_pid` signals go to that process alone, else they are Landlock's. `is_sealed`: no socket of any kind,
    and no process.
    """
    for name in _NEVER:
        yield name, None
    if is_sealed:
        for name in _PROCESSES:
            yield name, None
    for name in _OWN_SCHEDULING:
        yield name, (Condition(0, (0,)),)
    # Of processes, not of groups or users: 0 would be the group of the zygote, and all of the account.
    yield "setpriority", (Condition(0, (0,)), Condition(1, (0,)))
    yield "ioprio_set", (Condition(0, (1,)), Condition(1, (0,)))
    families = (_UNIX, _IPV4, _IPV6) if has_internet else (_UNIX,)
    yield "socket", None if is_sealed else (Condition(0, families), Condition(2, _PROTOCOLS))
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        yield name, (Condition(flags, (0,), mask=_FAST_OPEN),)
    if own_pid is None:
        return
    for name in _NO_SIGNALS:
        yield name, None
    for name in _OWN_SIGNALS:
        yield name, (Condition(0, (own_pid,)),)
    yield "fcntl", (Condition(1, _SET_OWNER, is_refused=True),)
    yield "ioctl", (Condition(1, _SET_SOCKET_OWNER, is_refused=True),)


@functools.cache
def program(machine_name: str, *, own_pid: int | None, has_internet: bool, is_sealed: bool = False) -> bytes:
    """The rules as a filter program: `struct sock_filter`, eight bytes each. Made once: a tenth of a millisecond."""
    machine = MACHINES[machine_name]
    code = [
        _instruction(_LOAD, 4),
        _instruction(_JUMP_IF_EQUAL, machine.audit_arch, jump=1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_LOAD, 0),
        _instruction(_JUMP_IF_NOT_BELOW, _X32, skip=1),
        _instruction(_RETURN, _REFUSE),
    ]
    for name, conditions in rules(own_pid=own_pid, has_internet=has_internet, is_sealed=is_sealed):
        if name in _NOT_ON_ARM and name not in machine.calls:
            continue
        body = _body(conditions)
        code += [_instruction(_JUMP_IF_EQUAL, machine.calls[name], skip=len(body)), *body]
    return b"".join([*code, _instruction(_RETURN, _ALLOW)])


def is_offered() -> bool:
    """Whether a process may put such a filter on itself here."""
    machine = MACHINES.get(os.uname().machine)
    try:
        if machine is not None:
            syscall(machine.seccomp, _IS_ACTION_THERE, 0, struct.pack("I", _FAIL))
    except OSError:
        return False
    return machine is not None


def prepare() -> None:
    """Makes the programs that do not name a process, so that what is forked from here finds them."""
    for has_internet in (True, False):
        program(os.uname().machine, own_pid=None, has_internet=has_internet)


def install(*, own_pid: int | None, has_internet: bool, is_sealed: bool = False) -> None:
    """Puts the filter on this process, for good; it must have given up new privileges before. Raises OSError."""
    name = os.uname().machine
    code = ctypes.create_string_buffer(
        program(name, own_pid=own_pid, has_internet=has_internet, is_sealed=is_sealed)
    )
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(code))
    syscall(MACHINES[name].seccomp, _SET_FILTER, _KEEP_SPEED, header)


def _body(conditions: tuple[Condition, ...] | None) -> list[bytes]:
    if conditions is None:
        return [_instruction(_RETURN, _REFUSE)]
    return [
        *(each for condition in conditions for each in _check(condition)),
        _instruction(_RETURN, _ALLOW),
    ]


def _check(condition: Condition) -> Iterator[bytes]:
    """Goes on behind its end when the condition holds."""
    yield _instruction(_LOAD, 16 + 8 * condition.argument)
    if condition.mask != _WHOLE:
        yield _instruction(_AND, condition.mask)
    last = len(condition.values) - 1
    for number, value in enumerate(condition.values):
        to_refusal = last - number
        if not condition.is_refused:
            yield _instruction(_JUMP_IF_EQUAL, value, jump=to_refusal + 1)
        else:
            yield _instruction(_JUMP_IF_EQUAL, value, jump=to_refusal, skip=number == last)
    yield _instruction(_RETURN, _REFUSE)


def _instruction(code: int, value: int, *, jump: int = 0, skip: int = 0) -> bytes:
    """One of `struct sock_filter`: `jump` instructions are left out when a comparison holds, else `skip`."""
    return struct.pack("HBBI", code, jump, skip, value)
