"""The filter program, run by an interpreter of its own: on both processors, whatever machine this is."""

import struct
from collections.abc import Iterator

import pytest

from flotilla.engine_sidecar.confinement.call_filter import MACHINES, program, rules

PID = 4711
ALLOW, REFUSE = 0x7FFF0000, 0x00050001
SOCKETS = [(1, 1, 0), (2, 1, 0), (2, 0x80801, 6), (10, 2, 17)]
FAST_OPEN = 0x20000000
OTHER_MACHINE = 0x40000003


def run(code: bytes, arch: int, call: int, *arguments: int) -> int:
    """What the kernel would make of a system call: the few instructions that there are, as it reads them."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("IIQ6Q", call, arch, 0, *(each & 0xFFFFFFFFFFFFFFFF for each in given))
    instructions = list(struct.iter_unpack("HBBI", code))
    at = accumulator = 0
    while True:
        kind, jump, skip, value = instructions[at]
        at += 1
        match kind:
            case 0x20:
                (accumulator,) = struct.unpack_from("I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += jump if accumulator == value else skip
            case 0x35:
                at += jump if accumulator >= value else skip
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"instruction {kind:#x}")


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Filter:
    def __init__(
        self,
        machine: str,
        *,
        own_pid: int | None = None,
        has_internet: bool = True,
        is_sealed: bool = False,
    ) -> None:
        self._machine = MACHINES[machine]
        self.code = program(machine, own_pid=own_pid, has_internet=has_internet, is_sealed=is_sealed)

    def allows(self, name: str, *arguments: int) -> bool:
        said = run(self.code, self._machine.audit_arch, self._machine.calls[name], *arguments)
        assert said in (ALLOW, REFUSE)
        return said == ALLOW


def test_what_is_not_named_is_allowed(machine: str) -> None:
    found, arch = Filter(machine), MACHINES[machine].audit_arch
    named = {MACHINES[machine].calls[name] for name, _ in rules(own_pid=None, has_internet=True)}
    assert {run(found.code, arch, call) for call in range(600) if call not in named} == {ALLOW}


def test_calls_of_another_machine_or_of_a_second_abi_are_refused(machine: str) -> None:
    found, arch = Filter(machine), MACHINES[machine].audit_arch
    assert run(found.code, OTHER_MACHINE, 0) == REFUSE
    assert run(found.code, arch, 0x40000000) == REFUSE
    assert run(found.code, arch, 0x40000000 + MACHINES[machine].calls["ptrace"]) == REFUSE


@pytest.mark.parametrize(
    "name", ["ptrace", "process_vm_readv", "pidfd_getfd", "kcmp", "io_uring_setup", "bpf"]
)
def test_some_are_refused_whatever_they_ask(machine: str, name: str) -> None:
    assert not Filter(machine).allows(name, 0)


@pytest.mark.parametrize("name", ["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setattr"])
def test_limits_and_scheduling_are_its_own(machine: str, name: str) -> None:
    found = Filter(machine)
    assert found.allows(name, 0)
    assert found.allows(name, 1 << 32)  # the kernel looks at the lower half only
    assert not found.allows(name, PID)
    assert not found.allows(name, -1)


def test_priorities_are_of_processes_and_not_of_groups_or_users(machine: str) -> None:
    found = Filter(machine)
    assert found.allows("setpriority", 0, 0, 5)
    assert [found.allows("setpriority", which, 0, 5) for which in (1, 2)] == [False, False]
    assert not found.allows("setpriority", 0, PID, 5)
    assert found.allows("ioprio_set", 1, 0, 0)
    assert [found.allows("ioprio_set", which, 0, 0) for which in (2, 3)] == [False, False]
    assert not found.allows("ioprio_set", 1, PID, 0)


def test_sockets_are_unix_tcp_and_udp(machine: str) -> None:
    found = Filter(machine)
    assert all(found.allows("socket", *socket) for socket in SOCKETS)
    assert not any(found.allows("socket", family, 1, 0) for family in (16, 17, 38, 40, 43))
    assert not any(
        found.allows("socket", family, 1, protocol) for family in (2, 10) for protocol in (1, 132, 262)
    )


def test_where_nothing_is_to_be_reached_and_landlock_has_no_rule_there_are_unix_sockets_only(
    machine: str,
) -> None:
    found = Filter(machine, has_internet=False)
    assert [found.allows("socket", *socket) for socket in SOCKETS] == [True, False, False, False]


@pytest.mark.parametrize(("name", "flags_at"), [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)])
def test_nothing_is_sent_before_a_connection_is_there(machine: str, name: str, flags_at: int) -> None:
    found = Filter(machine)
    before = [7] * flags_at
    assert found.allows(name, *before, 0x4000)
    assert not found.allows(name, *before, FAST_OPEN)
    assert not found.allows(name, *before, FAST_OPEN | 0x4000)


def test_signals_are_left_to_landlock_where_it_has_scopes(machine: str) -> None:
    found = Filter(machine)
    assert found.allows("kill", PID, 9)
    assert found.allows("pidfd_send_signal", 5, 9)
    assert found.allows("fcntl", 3, 8, PID)


@pytest.mark.parametrize("name", ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"])
def test_else_it_signals_itself_alone(machine: str, name: str) -> None:
    found = Filter(machine, own_pid=PID)
    assert found.allows(name, PID)
    assert not any(found.allows(name, pid) for pid in (0, -1, 1, PID + 1, -PID))


def test_else_no_thread_or_handle_is_signalled_and_the_kernel_is_not_asked_to(machine: str) -> None:
    found = Filter(machine, own_pid=PID)
    assert not found.allows("tkill", PID)
    assert not found.allows("pidfd_send_signal", 5, 9)
    assert [found.allows("fcntl", 3, command) for command in (3, 8, 15, 1030)] == [True, False, False, True]
    assert [found.allows("ioctl", 3, command) for command in (0x5401, 0x8901, 0x8902)] == [True, False, False]


def test_jumps_are_short_enough(machine: str) -> None:
    assert len(Filter(machine, own_pid=PID).code) // 8 < 256
    assert {*_jumps(Filter(machine, own_pid=PID).code)} < {*range(30)}


def _jumps(code: bytes) -> Iterator[int]:
    for _, jump, skip, _ in struct.iter_unpack("HBBI", code):
        yield from (jump, skip)


def test_what_is_sealed_in_opens_no_socket_and_starts_nothing(machine: str) -> None:
    sealed, other = Filter(machine, is_sealed=True), Filter(machine)
    starting = {"fork", "vfork", "clone", "clone3", "execve", "execveat"} & MACHINES[machine].calls.keys()
    assert {"clone", "clone3", "execve", "execveat"} <= starting
    for name in starting:
        assert (sealed.allows(name), other.allows(name)) == (False, True)
    for family, kind, protocol in SOCKETS:
        assert (
            sealed.allows("socket", family, kind, protocol),
            other.allows("socket", family, kind, protocol),
        ) == (
            False,
            True,
        )
