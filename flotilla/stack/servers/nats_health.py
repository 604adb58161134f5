"""Whether a nats-server still stores, by its own health check; as a program, one that ends a server that does not.

After a failed write a stream of JetStream takes no message any more, also when there is room again: only a new start helps.
It imports Python's own library only, since in the composed fleet this file stands alone beside nats-server (deploy/Dockerfile.servers).
"""

import http.client
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LOOK_S: Final = 1.0
ROOM_BYTES: Final = 1 << 20
"""Room enough to store again; how much is too little to go on with, the orchestrator says."""
STOP_S: Final = 5.0
"""What a server that cannot store gets to close its streams, before it is killed."""
ENDED: Final = 75
"""The exit code after a server was ended: whoever runs this is to start it again."""


def health(monitor_port: int) -> tuple[int, str] | None:
    """Status and body of the answer of a nats-server on this machine, None when there is none.

    Asked without urllib, which would take the question to the user's proxy.
    """
    connection = http.client.HTTPConnection("127.0.0.1", monitor_port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def write_error(monitor_port: int) -> str:
    """Why a stream of a server stores nothing any more, in its own words; empty when all do, or when it does not answer."""
    answer = health(monitor_port)
    if answer is None or answer[0] == 200:
        return ""
    try:
        text = str(json.loads(answer[1])["error"])
    except (ValueError, LookupError, TypeError):
        return ""
    return text if "write error" in text else ""


def has_room(folder: Path) -> bool:
    """Whether a server could store in `folder` again."""
    try:
        return shutil.disk_usage(folder).free >= ROOM_BYTES
    except OSError:
        return False


def run(folder: Path, monitor_port: int, command: Sequence[str]) -> int:
    """Runs a nats-server that stores in `folder`; its exit code, or ENDED after it could not store although there was room."""
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while True:
        try:
            code = server.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            problem = write_error(monitor_port)
        else:
            return code if code >= 0 else 128 - code  # as a shell tells a signal
        if problem and has_room(folder):
            print(f"nats-server cannot store although there is room ({problem}): ending it", file=sys.stderr)
            _end(server)
            return ENDED


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
