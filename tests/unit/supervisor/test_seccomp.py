"""The profile of system calls that engines' containers get."""

import json
from typing import Any

import pytest

from flotilla.services.supervisor.core.seccomp import PROFILE, keeps_seccomp
from flotilla.services.supervisor.core.spec import ContainerProfile, Room, check_config, container_config
from tests.fakes.supervised import session

RULES: list[dict[str, Any]] = json.loads(PROFILE)["syscalls"]
REACH = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "process_madvise"),
    *("process_mrelease", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key"),
    *("request_key", "userfaultfd", "perf_event_open", "bpf", "name_to_handle_at", "open_by_handle_at"),
    *("memfd_secret", "socketcall", "unshare", "setns", "mount", "migrate_pages", "move_pages"),
)


def rules_of(name: str) -> list[dict[int, tuple[int, str]]]:
    """The conditions of each rule that allows this call."""
    return [
        {arg["index"]: (arg["value"], arg["op"]) for arg in rule["args"]}
        for rule in RULES
        if name in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW"
    ]


@pytest.mark.parametrize("name", REACH)
def test_what_reaches_into_others_or_the_kernel_is_not_allowed(name: str) -> None:
    assert rules_of(name) == []


@pytest.mark.parametrize("name", ["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setattr"])
def test_limits_and_scheduling_are_the_callers_own(name: str) -> None:
    assert rules_of(name) == [{0: (0, "SCMP_CMP_EQ")}]


def test_priorities_are_the_callers_own() -> None:
    assert rules_of("setpriority") == [{0: (0, "SCMP_CMP_EQ"), 1: (0, "SCMP_CMP_EQ")}]
    assert rules_of("ioprio_set") == [{0: (1, "SCMP_CMP_EQ"), 1: (0, "SCMP_CMP_EQ")}]


def test_sockets_are_unix_tcp_and_udp() -> None:
    found = {(rule[0][0], rule[2][0]) for rule in rules_of("socket")}
    assert found == {(family, protocol) for family in (1, 2, 10) for protocol in (0, 6, 17)}
    assert all(set(rule) == {0, 2} for rule in rules_of("socket"))


def test_no_connection_is_made_by_sending() -> None:
    for name, flags_at in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        assert rules_of(name) == [{flags_at: (0x20000000, "SCMP_CMP_MASKED_EQ")}]


def test_what_an_engine_locks_itself_with_is_allowed() -> None:
    for name in (
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "seccomp",
        "prctl",
    ):
        assert rules_of(name) == [{}]


def test_no_call_is_allowed_twice_without_a_condition() -> None:
    names = [name for rule in RULES if not rule.get("args") for name in rule["names"]]
    assert len(names) == len(set(names))


def test_a_docker_engine_without_seccomp_is_not_asked_for_it() -> None:
    assert keeps_seccomp({"SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"]})
    assert not keeps_seccomp({"SecurityOptions": ["name=apparmor"]})
    assert not keeps_seccomp({"SecurityOptions": None})
    profile = ContainerProfile(owner="o", host="h1", image="i", network="n")
    room = Room(cpus=1.0, memory_bytes=1 << 30)
    without = container_config(session(), profile, host=room, has_seccomp=False)["HostConfig"]["SecurityOpt"]
    check = check_config(profile, host=room, timeout_s=1, has_seccomp=False)["HostConfig"]["SecurityOpt"]
    assert without == check == ["no-new-privileges:true"]
