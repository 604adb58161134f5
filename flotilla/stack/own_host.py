"""The host that this command runs on, when a supervisor of this stack owns it: its engines are reached without the bus."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.fleet_stop import ANSWER_S, OwnHost
from flotilla.schemas.session import AroundStopped, EmergencyStop, OwnPlace
from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import output_lines, python

PATIENCE_S: Final = ANSWER_S - 0.3
"""After the deadline; whoever asks waits hardly longer, and is to hear then what is known."""


def own_host(folder: Path) -> OwnHost | None:
    """The host whose supervisor keeps its state in this folder; None when none ever did, or the folder is not ours to read."""
    try:
        place = msgspec.json.decode((folder / "host.json").read_bytes(), type=OwnPlace)
    except (OSError, ValueError):
        return None

    async def stop(request: EmergencyStop) -> AroundStopped:
        asked = msgspec.json.encode(request).decode()
        # The clock that all processes of a machine share: starting one is part of the time that is left.
        until = repr(time.monotonic() + request.deadline_s)
        around = python("-m", "flotilla.services.supervisor.around", str(folder), asked, until)
        return await _last_said(output_lines(around), request.deadline_s + PATIENCE_S)

    return OwnHost(place.host, stop)


async def _last_said(lines: AsyncGenerator[str], within_s: float) -> AroundStopped:
    """What it said last in time: what ran, or how that ended. Raises TimeoutError or ProgramFailedError when it said nothing."""
    said: AroundStopped | None = None
    failed: Exception = TimeoutError("it did not say in time what runs here")
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), aclosing(lines):
            try:
                async for line in lines:
                    said = msgspec.json.decode(line, type=AroundStopped)
            except ProgramFailedError as error:
                failed = error
                if said is not None:
                    said = msgspec.structs.replace(said, problem=f"{said.problem} {error}".strip())
    if said is None:
        raise failed
    return said
