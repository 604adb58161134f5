"""An engine whose sidecar is gone is not held up by what it prints; one that lost only its link has its last words heard."""

import subprocess
import sys
import time

PROGRAM = """
import sys
from flotilla.engine_sidecar.engine.own_output import OwnOutput
own = OwnOutput()
print("last words", flush=True)
own.swallow()
for _ in range(int(sys.argv[1])):
    sys.stdout.write("x" * 999 + chr(10))
sys.stdout.flush()
print("printed", file=sys.stderr, flush=True)
import time
time.sleep(float(sys.argv[2]))
"""


def begun(lines: int, then_s: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(lines), str(then_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_what_was_said_last_is_left_for_a_sidecar_that_reads_it_later() -> None:
    with begun(lines=3, then_s=0.5) as program:
        time.sleep(0.4)
        said, _ = program.communicate(timeout=20)
    assert said.startswith(b"last words\n")
    assert len(said) == len("last words\n") + 3_000


def test_nobody_who_prints_waits_for_a_reader_that_is_gone() -> None:
    with begun(lines=4_000, then_s=0) as program:  # far more than a pipe holds, and nobody reads it
        assert program.stderr is not None
        assert program.stderr.readline() == b"printed\n"
        assert program.wait(20) == 0
        program.stdout.close()  # type: ignore[union-attr]
