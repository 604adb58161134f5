"""Runs a judgement in a forked process of its own, because what it judges may end, stop or overwrite the process it is in."""

import contextlib
import os
import resource
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flotilla.engine_sidecar.checking.free_texts import shown, shown_problem
from flotilla.engine_sidecar.confinement.confine import KernelLocks, confine
from flotilla.engine_sidecar.confinement.readable import readable_from
from flotilla.schemas.fault import FieldError

PATIENCE_S: Final = 10.0
_MOST_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 4096
_TAIL_CHARACTERS: Final = 300


_END_S: Final = 0.5
_ROOM_BYTES: Final = 1 << 30
_FILE_BYTES: Final = 8 << 20


_STEP: Final = "note: begins with "


def begins_with(step: str) -> None:
    """Within a judgement: says what comes next, so that one that hangs is told with it. Only a judgement's own process may call it."""
    with contextlib.suppress(OSError):  # its output is full
        os.write(1, f"\n{_STEP}{step}\n".encode())


class Walls(msgspec.Struct, frozen=True):
    """For what is trusted least: no socket, no other process, no file but below `folder`; a gigabyte beyond what there is already.

    It reads what Python needs, below `folder`, and what is in `readable`, but for what `folder` stands in.
    """

    folder: Path
    readable: tuple[Path, ...] = ()


class IsolatedCheck:
    """One judgement, begun at once. `place` is what a problem is put down to when the process does not live to tell."""

    def __init__(self, place: str, judge: Callable[[], object], walls: Walls | None = None) -> None:
        self._place = place
        self._walls = walls
        self._began = time.monotonic()
        self._output = os.memfd_create("output")
        self._verdict, verdict = os.pipe()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self._pid = os.fork()  # Python warns of pyarrow's allocator thread, which is made for forks
        if self._pid == 0:
            self._judge(judge, verdict)
        os.close(verdict)

    def verdict(self, patience_s: float) -> list[FieldError]:
        """The problems that it found; see `answer`."""
        told = self.answer(patience_s)
        if isinstance(told, FieldError):
            return [told]
        try:
            return [shown_problem(each) for each in msgspec.json.decode(told, type=list[FieldError])]
        except msgspec.DecodeError:
            return [FieldError(self._place, "the class overwrote the answer of its check")]

    def answer(self, patience_s: float) -> bytes | FieldError:
        """What it found, as JSON; waits until `patience_s` after its begin. Whatever is left of it is killed."""
        told = self._read(self._began + patience_s)
        is_late = told is None
        if not (told or is_late):
            self._let_end()  # so that it is told how it ended by itself
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it had no time yet to lead a group
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        os.close(self._verdict)
        what = "the class" if self._walls is None else "its code"
        if told and len(told) > _MOST_BYTES:
            return FieldError(self._place, f"{what} has more than {_MOST_BYTES >> 20} MiB to say of itself")
        if told and _is_json(told):
            return told
        if is_late:
            text = f"{what} did not let its check end within {patience_s:g} s{self._at_work_on()}"
            return FieldError(self._place, text)
        return FieldError(self._place, f"{what} ended the process ({_end(status)}){self._last_words()}")

    def _let_end(self) -> None:
        process = os.pidfd_open(self._pid)
        select.select([process], [], [], _END_S)
        os.close(process)

    def _read(self, deadline: float) -> bytes | None:
        """All that it wrote, or more than it may; None when it has not closed the pipe in time. What is there after the deadline counts too."""
        told = bytearray()
        while len(told) <= _MOST_BYTES:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._verdict], [], [], left)[0]:
                return None
            data = os.read(self._verdict, 65536)
            if not data:
                return bytes(told)
            told += data
        return bytes(told)

    def _last_words(self) -> str:
        words = [line.strip() for line in self._tail() if line.strip() and not line.startswith("note: ")]
        return f": {shown(' '.join(words))[-_TAIL_CHARACTERS:]}" if words else ""

    def _at_work_on(self) -> str:
        """By the last step that it said to begin, where it said so."""
        steps = [line.removeprefix(_STEP) for line in self._tail() if line.startswith(_STEP)]
        return f", at work on {shown(steps[-1])[:_TAIL_CHARACTERS]}" if steps else ""

    def _tail(self) -> list[str]:
        """The last lines that it put out."""
        size = os.fstat(self._output).st_size
        tail = os.pread(self._output, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        os.close(self._output)
        return tail.decode(errors="replace").split("\n")

    def _judge(self, judge: Callable[[], object], verdict: int) -> None:
        """In the child: no terminal, no input, no output but the verdict, and out of reach of whoever else has our account."""
        code = 1
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, number in ((nothing, 0), (self._output, 1), (self._output, 2)):
                os.dup2(source, number)
            if self._walls is None:
                confine(KernelLocks.offered())
            else:
                _limit()
                own = self._walls.folder
                readable = readable_from(own, self._walls.readable)
                confine(KernelLocks.offered(), folders=(own,), readable=readable, is_sealed=True)
            with os.fdopen(verdict, "wb") as pipe:
                pipe.write(msgspec.json.encode(judge()))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the process ends with it, and these are its last words
            os.write(2, traceback.format_exc().encode(errors="replace"))
        finally:
            os._exit(code)


def _limit() -> None:
    """Memory beyond what was imported already, and the size of one file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + _ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))


def _is_json(told: bytes) -> bool:
    try:
        msgspec.json.decode(told)
    except msgspec.DecodeError:
        return False
    return True


def _end(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
