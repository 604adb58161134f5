"""Landlock: the kernel keeps a process, and all that it forks, from whoever stands outside. It can only become stricter.

https://docs.kernel.org/userspace-api/landlock.html
"""

import os
import struct
from collections.abc import Collection
from pathlib import Path
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
_WRITE: Final = 1 << 1 | 0b1_1111_1111 << 4
"""Writing files, and making and removing whatever there is."""
_READ_FILE: Final = 1 << 2
_READ: Final = _READ_FILE | 1 << 3
"""Reading files, and what folders have in them."""
_MOVE_ABI, _MOVE = 2, 1 << 13
_TRUNCATE_ABI, _TRUNCATE = 3, 1 << 14
_PATH_BENEATH: Final = 1
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_UNIX_SOCKETS, _SIGNALS = 1, 2
_NET_PORT: Final = 2


def offered_abi() -> int:
    """The version of Landlock here; 0 where it is not built in, switched off, or kept from us."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(
    abi: int,
    tcp_ports: Collection[int] | None,
    folders: Collection[Path] | None = None,
    readable: Collection[Path] | None = None,
) -> None:
    """Shuts this process in, as far as version `abi` (1 or later) can. Raises OSError.

    From then on it reads, traces and signals none outside, finds no abstract socket of theirs, takes TCP connections on no port,
    makes them to `tcp_ports` only, writes and removes files below `folders` only, and opens for reading what is in `folders` and
    `readable` only, which must be there. None is all.
    """
    writes = 0 if folders is None else _writes(abi)
    reads = 0 if readable is None else _READ
    ruleset = _ruleset(abi, tcp_ports, writes | reads)
    fd = syscall(_CREATE_RULESET, ruleset, len(ruleset), 0)
    try:
        for folder in folders or ():
            _let(fd, folder, writes | reads)
        for path in readable or ():
            _let(fd, path, _READ if path.is_dir() else _READ_FILE)
        if abi >= TCP_ABI:
            for port in tcp_ports or ():
                syscall(_ADD_RULE, fd, _NET_PORT, struct.pack("QQ", _CONNECT_TCP, port), 0)
        syscall(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


def _writes(abi: int) -> int:
    moves = _MOVE if abi >= _MOVE_ABI else 0
    return _WRITE | moves | (_TRUNCATE if abi >= _TRUNCATE_ABI else 0)


def _let(ruleset: int, path: Path, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _ruleset(abi: int, tcp_ports: Collection[int] | None, files: int) -> bytes:
    """A `struct landlock_ruleset_attr`: what is forbidden unless a rule allows it, and what is forbidden for good."""
    if abi < TCP_ABI:
        return struct.pack("Q", files or _MAKE_BLOCK_DEVICE)
    net = _BIND_TCP if tcp_ports is None else _BIND_TCP | _CONNECT_TCP
    if abi < SCOPES_ABI:
        return struct.pack("QQ", files, net)
    return struct.pack("QQQ", files, net, _ABSTRACT_UNIX_SOCKETS | _SIGNALS)
