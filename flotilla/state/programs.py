"""Runs programs of other parts of Flotilla, which this package may start but not import."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from typing import Final

from flotilla.state.environment import of_program
from flotilla.state.errors import ProgramFailedError

_LINE_BYTES: Final = 1 << 20


def python(*arguments: str) -> list[str]:
    """This Python; -I keeps modules in the user's current folder and on PYTHONPATH from being taken for ours."""
    return [sys.executable, "-I", *arguments]


async def output_lines(
    argv: list[str],
    *,
    env: Mapping[str, str] | None = None,
    keeps: Collection[int] = (),
    given: bytes | None = None,
) -> AsyncGenerator[str]:
    """Its stdout line by line while it runs. Raises ProgramFailedError after the last one unless it exits with 0.

    It is killed when the caller stops early; `env` is that of our programs unless it is given; `keeps` are file descriptors that
    stay open in it; `given` is what it reads from stdin.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        env=of_program() if env is None else env,
        pass_fds=tuple(keeps),
    )
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("pipes were asked for")
    errors = asyncio.get_running_loop().create_task(process.stderr.read(), name="stderr")
    try:
        if process.stdin is not None:
            process.stdin.write(given or b"")
            process.stdin.close()
        async for line in process.stdout:
            yield line.decode(errors="replace").rstrip("\n")
        exit_code = await process.wait()
        if exit_code != 0:
            raise ProgramFailedError(argv, exit_code, (await errors).decode(errors="replace"))
    finally:
        errors.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def output(argv: list[str], *, env: Mapping[str, str] | None = None) -> str:
    """All it wrote to stdout. Raises ProgramFailedError."""
    async with aclosing(output_lines(argv, env=env)) as lines:
        return "\n".join([line async for line in lines])
