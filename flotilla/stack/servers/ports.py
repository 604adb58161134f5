"""Which ports a stack listens on: those it had last time, because engines that outlived it look there."""

import socket
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.files import write_whole
from flotilla.show.progress import Narrator

NATS_PORT: Final = 4222
ANY: Final = -1


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered."""

    nats: int = NATS_PORT
    redis: int = ANY

    @classmethod
    def load(cls, path: Path) -> "Ports":
        """From the file of the last run, if there was one."""
        return msgspec.json.decode(path.read_bytes(), type=cls) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """For the next run."""
        write_whole(path, msgspec.json.encode(self), mode=0o666)


def nats_port(path: Path, host: str, narrator: Narrator) -> int:
    """The port of the last run, 4222 at first; ANY when somebody else has it."""
    wanted = Ports.load(path).nats
    if is_free(host, wanted):
        return wanted
    if path.exists():
        narrator.warn(f"port {wanted} is taken: engines that outlived the last run will not find the bus")
    return ANY


def redis_port(path: Path, host: str) -> int:
    """The port of the last run; any free one at first, or when somebody else has it."""
    wanted = Ports.load(path).redis
    return wanted if wanted != ANY and is_free(host, wanted) else free_port(host)


def is_free(host: str, port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """Some port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
