"""A zygote that speaks the protocol of the real one and forks scripted engines: `python -m tests.fakes.scripted_zygote <fd>`.

SCRIPTED_ZYGOTE=unimportable|hangs makes it fail before it is ready; SCRIPTED_ZYGOTE_READY names a file to make once it is.
"""

import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from flotilla.engine_sidecar.link import frames as link
from flotilla.engine_sidecar.link.frames import Exited, Forked, Frames, ZygoteReady, frame
from tests.fakes import scripted_attackers
from tests.fakes.scripted_engine import SCRIPTS, run

SCRIPTS.update({script.__name__: script for script in scripted_attackers.ATTACKS})


def main() -> None:
    own = socket.socket(fileno=int(sys.argv[1]))
    match os.environ.get("SCRIPTED_ZYGOTE"):
        case "unimportable":
            raise ModuleNotFoundError("No module named 'nautilus_trader'")
        case "hangs":
            time.sleep(600)
    own.sendall(frame(ZygoteReady(import_s=0.0)))
    if told := os.environ.get("SCRIPTED_ZYGOTE_READY"):
        Path(told).touch()
    own.settimeout(0.02)
    frames = Frames[link.Fork](link.Fork)
    while True:
        report_exits(own)
        try:
            data, fds, _, _ = socket.recv_fds(own, 4096, 3)
        except TimeoutError:
            continue
        if not data:
            return
        for _ in frames.feed(data):
            own.sendall(frame(Forked(fork(own, fds))))


def report_exits(own: socket.socket) -> None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    if pid:
        own.sendall(frame(Exited(pid, os.waitstatus_to_exitcode(status))))


def fork(own: socket.socket, fds: list[int]) -> int:
    pid = os.fork()
    if pid == 0:
        become_engine(own, *fds)
    for fd in fds:
        os.close(fd)
    return pid


def become_engine(own: socket.socket, link_fd: int, stdout_fd: int, stderr_fd: int) -> NoReturn:
    own.close()
    os.dup2(stdout_fd, 1)
    os.dup2(stderr_fd, 2)
    os.close(stdout_fd)
    os.close(stderr_fd)
    code = 1
    try:
        code = run(socket.socket(fileno=link_fd))
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:  # noqa: BLE001  it ends here whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
