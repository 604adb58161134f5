"""An engine process that ends at once, and what NautilusTrader's thread had not written yet. The logger is NautilusTrader's."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine import nautilus_live as module
from flotilla.engine_sidecar.engine.nautilus_live import LastLines

ROOT = Path(__file__).parents[3]
LINES = 3000
LOGS = f"""
import os
from types import SimpleNamespace
from nautilus_trader.common.component import Logger, init_logging
from flotilla.engine_sidecar.engine.nautilus_live import LastLines
last_lines = LastLines()
last_lines.kernel = SimpleNamespace(_log_guard=init_logging(colors=False))
logger = Logger("ENGINE")
for number in range({LINES}):
    logger.info(f"line {{number}}")
last_lines.write()
os._exit(0)
"""


def test_every_line_is_written_before_the_process_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    lines = [line for line in done.stdout.splitlines() if "ENGINE: line" in line]
    assert len(lines) == LINES
    assert lines[-1].endswith(f"line {LINES - 1}")


def test_a_reader_that_takes_nothing_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOG_S", 0.0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    last_lines, guard = LastLines(), object()
    last_lines.kernel = kernel = SimpleNamespace(_log_guard=guard)
    stdout: Any = SimpleNamespace(fileno=lambda: writer)
    monkeypatch.setattr(sys, "stdout", stdout)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        last_lines.write()
    assert kernel._log_guard is guard, "its thread is not waited for"
    os.read(reader, 1 << 16)
    last_lines.write()
    assert kernel._log_guard is None
    os.close(reader)
    os.close(writer)
