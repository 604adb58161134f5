"""Landlock: the kernel keeps a process, and all that it forks, from whoever stands outside. It can only become stricter.

https://docs.kernel.org/userspace-api/landlock.html
"""

import os
import struct
from collections.abc import Collection
from typing import Final

from flotilla.engine_sidecar.confinement.system_calls import syscall

TCP_ABI: Final = 4
"""Linux 6.7."""
SCOPES_ABI: Final = 6
"""Linux 6.12. An earlier one keeps a process from reading and tracing those outside, and not from signalling them."""
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_MAKE_BLOCK_DEVICE: Final = 1 << 11
"""What no engine may do anyhow: a ruleset of the first versions must forbid something in the file system."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_UNIX_SOCKETS, _SIGNALS = 1, 2
_NET_PORT: Final = 2


def offered_abi() -> int:
    """The version of Landlock here; 0 where it is not built in, switched off, or kept from us."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(abi: int, tcp_ports: Collection[int] | None) -> None:
    """Shuts this process in, as far as version `abi` (1 or later) can. Raises OSError.

    From then on it reads, traces and signals none outside, finds no abstract socket of theirs, takes TCP connections on no port,
    and makes them to `tcp_ports` only, None being all.
    """
    ruleset = _ruleset(abi, tcp_ports)
    fd = syscall(_CREATE_RULESET, ruleset, len(ruleset), 0)
    try:
        if abi >= TCP_ABI:
            for port in tcp_ports or ():
                syscall(_ADD_RULE, fd, _NET_PORT, struct.pack("QQ", _CONNECT_TCP, port), 0)
        syscall(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def _ruleset(abi: int, tcp_ports: Collection[int] | None) -> bytes:
    """A `struct landlock_ruleset_attr`: what is forbidden unless a rule allows it, and what is forbidden for good."""
    if abi < TCP_ABI:
        return struct.pack("Q", _MAKE_BLOCK_DEVICE)
    net = _BIND_TCP if tcp_ports is None else _BIND_TCP | _CONNECT_TCP
    if abi < SCOPES_ABI:
        return struct.pack("QQ", 0, net)
    return struct.pack("QQQ", 0, net, _ABSTRACT_UNIX_SOCKETS | _SIGNALS)
