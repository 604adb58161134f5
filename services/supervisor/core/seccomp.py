"""The system calls that containers of engines and checks may make: a seccomp profile of our own, in the form that Docker takes. Pure.

It is what Docker's default profile allows a 64-bit program without capabilities
(https://github.com/moby/profiles, seccomp/default.json of 2026), less everything that reaches into another process, opens the kernel
to programs, or leads around Landlock's rule for TCP. ADR 25 says why each is missing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_FILES: Final = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate fchdir fchmod
    fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate
    futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown
    lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open
    openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr
    removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync
    sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
"""
_WAITING: Final = """
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 io_cancel io_destroy io_getevents
    io_pgetevents io_setup io_submit pause poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime
"""
_MEMORY: Final = """
    brk cachestat madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock
    munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
"""
_IPC: Final = """
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop
    shmat shmctl shmdt shmget
"""
_PROCESSES: Final = """
    arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list
    get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit
    getrusage getsid gettid getuid ioprio_get landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open prctl
    restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setpgid
    setregid setresgid setresuid setreuid setrlimit setsid setuid uretprobe vfork wait4 waitid
"""
_SIGNALS: Final = """
    alarm getitimer kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack tgkill tkill
"""
_NETWORK: Final = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg setsockopt shutdown socketpair
"""
_TIME_AND_MACHINE: Final = """
    adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep getrandom gettimeofday nanosleep sysinfo time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime times uname
"""
_ALLOWED: Final = " ".join(
    (_FILES, _WAITING, _MEMORY, _IPC, _PROCESSES, _SIGNALS, _NETWORK, _TIME_AND_MACHINE)
).split()

_OF_ITSELF: Final = (
    "prlimit64",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
)
"""The first argument names a process; 0 is the caller."""
_UNIX, _IPV4, _IPV6 = 1, 2, 10
_PROTOCOLS: Final = (0, 6, 17)
"""What the kind of socket means, TCP, UDP: not multipath TCP (262), which Landlock does not see."""
_FAST_OPEN: Final = 0x20000000
"""MSG_FASTOPEN: a connection that is made by sending, which Landlock does not see either."""
_NAMESPACES: Final = 0x7E020000
"""All CLONE_NEW… flags that clone(2) takes."""
_PERSONALITIES: Final = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, with a legacy's layout or name at most; the last only asks."""
_ENOSYS: Final = 38


def keeps_seccomp(info: Mapping[str, Any]) -> bool:
    """Whether a Docker engine can keep containers to a profile, from its `GET /info`."""
    return any(str(option).startswith("name=seccomp") for option in info.get("SecurityOptions") or ())


def _allow(names: Iterable[str], *conditions: tuple[int, int, str]) -> dict[str, Any]:
    """Allowed when all conditions hold: the argument of an index is equal to a value, or has none of its bits."""
    args = [{"index": index, "value": value, "op": op} for index, value, op in conditions]
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": args}


def _is(index: int, value: int) -> tuple[int, int, str]:
    return index, value, "SCMP_CMP_EQ"


def _has_none_of(index: int, bits: int) -> tuple[int, int, str]:
    return index, bits, "SCMP_CMP_MASKED_EQ"


_RULES: Final = (
    _allow(_ALLOWED),
    *(_allow([name], _is(0, 0)) for name in _OF_ITSELF),
    # Of processes, not of groups or users.
    _allow(["setpriority"], _is(0, 0), _is(1, 0)),
    _allow(["ioprio_set"], _is(0, 1), _is(1, 0)),
    *(
        _allow(["socket"], _is(0, family), _is(2, protocol))
        for family in (_UNIX, _IPV4, _IPV6)
        for protocol in _PROTOCOLS
    ),
    _allow(["sendto"], _has_none_of(3, _FAST_OPEN)),
    _allow(["sendmsg"], _has_none_of(2, _FAST_OPEN)),
    _allow(["sendmmsg"], _has_none_of(3, _FAST_OPEN)),
    _allow(["clone"], _has_none_of(0, _NAMESPACES)),
    # Its flags stand in memory, where no profile sees them; libraries then take clone.
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    *(_allow(["personality"], _is(0, value)) for value in _PERSONALITIES),
)
PROFILE: Final = msgspec.json.encode(
    {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        # Without those for 32 bits, whose calls have numbers of their own.
        "archMap": [{"architecture": "SCMP_ARCH_X86_64"}, {"architecture": "SCMP_ARCH_AARCH64"}],
        "syscalls": _RULES,
    }
).decode()
"""The text of the profile. An engine with it is asked of Docker by `seccomp=` and this text."""
