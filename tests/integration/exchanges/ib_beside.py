"""The Interactive Brokers gateway as a process beside tests that have no event loop."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.exchanges.running import CHECKOUT, DEADLINE_S


class Beside:
    """The gateway on `port`."""

    def __init__(self, port: int, control: int) -> None:
        self.port, self._control = port, control

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, in order."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._control}/requests", timeout=DEADLINE_S) as body:
            found: list[dict[str, Any]] = json.load(body)
            return found

    def clients(self) -> list[int]:
        """The ids that connected, in order."""
        return [int(asked["fields"][2]) for asked in self.requests() if asked["name"] == "startApi"]


@contextmanager
def gateway_beside(account: str, deposit: str) -> Iterator[Beside]:
    """A gateway with one account on free ports, ended in good form."""
    process = subprocess.Popen(
        [sys.executable, "-m", "exchanges.interactive_brokers", "--port", "0", "--control-port", "0", "--quiet",
         "--account", account, "--deposit", deposit],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"on port (\d+), control on port (\d+)", line)
        assert found, line
        yield Beside(int(found[1]), int(found[2]))
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
        process.stdout.close()
