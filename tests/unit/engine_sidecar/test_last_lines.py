"""What an engine logged last reaches a sidecar that reads, slowly too; one that reads nothing does not hold the engine's end up."""

import subprocess
import sys
import time

import pytest

ENDS = """
import os, sys
from types import SimpleNamespace
from flotilla.engine_sidecar.engine.last_lines import LastLines
from flotilla.engine_sidecar.engine.own_output import OwnOutput

own = OwnOutput()
lines = LastLines()
"""
LOGS = """
from nautilus_trader.common.component import Logger, init_logging

lines.kernel = SimpleNamespace(_log_guard=init_logging())
logger = Logger("engine")
for number in range(3_000):
    logger.info(f"line {number} " + "x" * 200)
lines.write()
os._exit(0)
"""
HOLDS_THE_INTERPRETER = """
import ctypes

class Guard:
    def __del__(self):
        # As the log's thread would, while the guard waits for it: four times what a pipe holds, without letting another thread run.
        ctypes.PyDLL(None).write(1, b"x" * 262_144, 262_144)

lines.kernel = SimpleNamespace(_log_guard=Guard())
if sys.argv[1] == "gone":
    own.swallow()
lines.write()
os._exit(0)
"""


FILLS_THE_PIPE = """
kernel = lines.kernel = SimpleNamespace(_log_guard=object())
own_end = os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(own_end, bytes(4096))
except BlockingIOError:
    lines.write()
is_kept = kernel._log_guard is not None
os.read(own._ends[0], 1 << 16)
lines.write()
os.write(2, f"{is_kept} {kernel._log_guard}".encode())
os._exit(0)
"""


def begun(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("sidecar", ["frozen", "gone"])
def test_nobody_who_reads_nothing_holds_up_an_engines_end(sidecar: str) -> None:
    with begun(ENDS + HOLDS_THE_INTERPRETER, sidecar) as program:
        try:
            assert program.wait(30) == 0
        finally:
            program.kill()


def test_all_lines_are_there_for_one_that_reads_slowly() -> None:
    with begun(ENDS + LOGS) as program:
        assert program.stdout is not None
        said = b""
        while chunk := program.stdout.read1(4096):  # type: ignore[attr-defined]
            said += chunk
            time.sleep(0.002)
        assert program.wait(30) == 0
    assert [line.partition(b"line ")[2].split()[0] for line in said.splitlines() if b"line " in line] == [
        str(number).encode() for number in range(3_000)
    ]


def test_a_log_that_cannot_be_written_is_not_waited_for_and_one_that_can_is() -> None:
    with begun(ENDS + FILLS_THE_PIPE) as program:
        try:
            assert program.wait(30) == 0
        finally:
            program.kill()
        assert program.stderr is not None
        assert program.stderr.read() == b"True None"
