"""Strategies that attack their sidecar: one tries all that there is and trades only when nothing was let through, others starve it."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from tests import hostile
from tests.strategies_for_tests import OnBars


class AttacksItsSidecar(OnBars):
    """On the third bar. `how` is the bus as ADDRESS:PORT; empty in a container, where it finds that itself."""

    def act(self, bar: Bar) -> None:
        if self.bars == 3:
            self.attack()
        if self.bars >= 3:
            self.market(OrderSide.BUY if self.bars % 2 else OrderSide.SELL)

    def attack(self) -> None:
        address, _, port = self.config.how.partition(":")
        bus = (address, int(port)) if port else hostile.bus_of_this_container()
        found = list(hostile.attack(hostile.above(is_container=not port), bus, is_container=not port))
        print(f"tried {len(found)}", flush=True)
        if let := hostile.through(found):
            raise RuntimeError(f"let through: {let}")


EATS = """
import os, time
for number in range(100):
    if not os.fork():
        open("/proc/self/oom_score_adj", "w").write("500")
        eaten = bytes([1]) * (10 << 20)
        break
time.sleep(600)
"""


class Starves(OnBars):
    """On the third bar takes what it shares with its sidecar: `how` says what. Its children stay."""

    def act(self, bar: Bar) -> None:
        if self.bars == 3:
            print(f"takes {self.config.how}", flush=True)
            getattr(self, f"take_{self.config.how}")()
        if self.bars >= 3:
            self.market(OrderSide.BUY if self.bars % 2 else OrderSide.SELL)

    def on_stop(self) -> None:
        print(f"took {self.config.how}", flush=True)

    def take_memory(self) -> None:
        """By many that are each smaller than the sidecar, and no better a prey by what they say of themselves."""
        subprocess.Popen([sys.executable, "-c", EATS], start_new_session=True)

    def take_files(self) -> None:
        """The room of the container's own file system, and the file by which the sidecar shows that it lives."""
        folder = Path(os.environ.get("TMPDIR", "/tmp"))
        beat = Path(os.environ.get("FLOTILLA_HEARTBEAT_FILE", folder / "heartbeat"))
        for harm in (beat.unlink, lambda: os.mkfifo(beat), lambda: beat.parent.chmod(0)):
            with contextlib.suppress(OSError):
                harm()
        if Path("/.dockerenv").exists():
            with contextlib.suppress(OSError), (folder / "all").open("wb", buffering=0) as file:
                while file.write(bytes(1 << 20)):
                    pass

    def take_silence(self) -> None:
        """Says nothing any more, whatever it is told."""
        while True:
            pass

    def take_link(self) -> None:
        """Hangs up, in its own and in the sidecar's name."""
        for fd in map(int, os.listdir("/proc/self/fd")):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    socket.socket(fileno=os.dup(fd)).shutdown(socket.SHUT_RDWR)
