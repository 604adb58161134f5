"""One question to a local process that is thrown away: a line in on stdin, its output out."""

import asyncio
import math
import os
import signal
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.supervisor.adapters.process_spawn import environment
from flotilla.services.supervisor.core.check_output import MAX_BYTES, CheckOutput, Question

_KILLED_BY: Final = 128
_REAP_S: Final = 2.0


async def run_check(folder: Path, command: tuple[str, ...], line: bytes, timeout_s: float) -> CheckOutput:
    """Runs it to its end, or for `timeout_s`; nothing is left of it. Its scratch folder is made in `folder`.

    Raises FaultError `unavailable` where no process can be run.
    """
    asked: Future[Question | None] = Future()
    asked.set_result(Question(line, timeout_s))
    return await run_when_asked(folder, command, asked, timeout_s)


async def run_when_asked(
    folder: Path, command: tuple[str, ...], asked: Future[Question | None], life_s: float
) -> CheckOutput:
    """The same, begun before it is asked, and ended unasked with None. It ends by itself after `life_s`, should nobody be there to do it."""
    try:
        return await _checked(folder, command, asked, life_s)
    except OSError as error:
        why = error.strerror or str(error)
        raise fault(FaultCode.UNAVAILABLE, f"no process can be run on this host: {why}") from error


async def _checked(
    folder: Path, command: tuple[str, ...], asked: Future[Question | None], life_s: float
) -> CheckOutput:
    with tempfile.TemporaryDirectory(prefix=".check-", dir=folder, ignore_cleanup_errors=True) as scratch:
        (Path(scratch) / "tmp").mkdir()
        process = await asyncio.create_subprocess_exec(
            # It ends by itself although we might die meanwhile.
            *("timeout", "-s", "KILL", str(math.ceil(life_s) + 1), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(Path(scratch)),
            start_new_session=True,
        )
        try:
            question = await asyncio.wrap_future(asked)
            if question is None:
                return CheckOutput(exit_code=None)
            async with asyncio.timeout(question.timeout_s):
                return await _answer(process, question.line)
        except TimeoutError:
            return CheckOutput(exit_code=None)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await _reap(process)


async def _answer(process: asyncio.subprocess.Process, line: bytes) -> CheckOutput:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise RuntimeError("pipes were asked for")
    # One that ends before it has read tells by its exit code.
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(line)
        await stdin.drain()
    stdin.close()
    reading = asyncio.get_running_loop().create_task(_bounded(stderr), name="last words")
    try:
        said = await _bounded(stdout)
        if len(said) > MAX_BYTES:
            # It may be at it still.
            return CheckOutput(exit_code=0, stdout=said)
        last_words, code = await reading, await process.wait()
    finally:
        reading.cancel()
    # As a shell and Docker tell a signal.
    return CheckOutput(exit_code=_KILLED_BY - code if code < 0 else code, stdout=said, stderr=last_words)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """asyncio sees the end of a process only after that of its pipes, and stops reading one that is full."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP_S):
            await asyncio.gather(*(pipe.read() for pipe in (process.stdout, process.stderr) if pipe))
            await process.wait()


async def _bounded(stream: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while len(found) <= MAX_BYTES and (chunk := await stream.read(1 << 16)):
        found += chunk
    return bytes(found)
