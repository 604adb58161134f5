"""A sidecar's part and an engine's, without either: `python -m tests.fakes.confined LOCKS PORTS [open] [folder]` attacks its own parent.

LOCKS is the JSON of the KernelLocks that the child goes by, or null for a child that is not shut in. PORTS is that of its TCP ports,
in which PORT is that of a listener. With `folder` the child may write below /dev/shm only. With `open` the parent does not hide, and only what does no lasting harm is tried. Prints as JSON
what was tried, what the child can do with itself, and the child's exit code.
"""

import json
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from flotilla.engine_sidecar.confinement.confine import KernelLocks, confine
from flotilla.engine_sidecar.confinement.system_calls import hide_memory, show_memory
from tests import hostile

NOBODY = 65534
FOLDER = "/dev/shm"


def be_ordinary() -> None:
    """Becomes nobody, if this is root: who can do more. Done here because root's Python may be in root's own folder."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        show_memory()


def main(locks: str, ports: str, *more: str) -> int:
    is_open = "open" in more
    be_ordinary()
    if not is_open:
        hide_memory()
    listener = socket.create_server(("127.0.0.1", 0))
    bus: tuple[str, int] = listener.getsockname()
    own, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        own.close()
        if (offered := msgspec.json.decode(locks, type=KernelLocks | None)) is not None:
            folders = [Path(FOLDER)] if "folder" in more else None
            confine(offered, json.loads(ports.replace("PORT", str(bus[1]))), folders=folders)
        tried = (
            _harmless(os.getppid(), bus) if is_open else dict(hostile.attack({"parent": os.getppid()}, bus))
        )
        theirs.sendall(json.dumps({"tried": tried, "own": _own()}).encode())
        os._exit(0)
    theirs.close()
    said = b"".join(iter(lambda: own.recv(65536), b""))
    _, status = os.waitpid(child, 0)
    print(json.dumps({**json.loads(said or b"{}"), "exit_code": os.waitstatus_to_exitcode(status)}))
    return 0


def _harmless(parent: int, bus: tuple[str, int]) -> dict[str, str]:
    attempts = hostile.looks(parent) | hostile.ways_out(bus)
    return {name: hostile.outcome(attempt) for name, attempt in attempts.items()}


def _own() -> dict[str, str]:
    """What an engine does with itself."""
    attempts: dict[str, hostile.Attempt] = {
        "offer itself to the oom killer": lambda: Path("/proc/self/oom_score_adj").write_text("1000"),
        "read its environment": lambda: Path("/proc/self/environ").read_bytes(),
        "limit itself": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        "renice itself": lambda: os.nice(1),
        "pin itself": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "start a thread": _run_thread,
        "send a datagram": _send_datagram,
        "write below its folder": lambda: _write_below(FOLDER),
        "write elsewhere": lambda: _write_below("/tmp"),
        "live longer than others": lambda: Path("/proc/self/oom_score_adj").write_text("0"),
        "kill its child": _kill_child,
    }
    return {name: hostile.outcome(attempt) for name, attempt in attempts.items()}


def _run_thread() -> None:
    made = threading.Thread(target=lambda: None)
    made.start()
    made.join()


def _send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        one.sendmsg([b"x"], [], 0, other.getsockname())


def _write_below(folder: str) -> None:
    """Makes, moves, cuts short and removes."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        file = Path(made) / "file"
        file.write_text("x")
        file = file.rename(Path(made) / "moved")
        (Path(made) / "below").mkdir()
        file = file.rename(Path(made) / "below" / "moved")
        os.truncate(file, 0)


def _kill_child() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(2)
        os._exit(0)
    try:
        os.kill(child, 9)
    finally:
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
