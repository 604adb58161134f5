"""One sidecar from launch line to exit code: beside an engine, or as a worker that takes trials."""

import asyncio
import os
import select
import sys
import time
from typing import Final

import msgspec

from flotilla.bus.logs import bind, configure
from flotilla.engine_sidecar.process.children import Children, adopt_orphans, kill_all
from flotilla.engine_sidecar.process.ports import Surroundings
from flotilla.engine_sidecar.process.resource_meter import session_meter
from flotilla.engine_sidecar.process.spawn import Spawned
from flotilla.engine_sidecar.process.zygote_client import ForkedEngine, ZygoteClient
from flotilla.engine_sidecar.session.engine_session import EngineSession
from flotilla.engine_sidecar.session.settings import Settings
from flotilla.schemas.session import Launch
from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import StateChange

MAX_BYTES: Final = 4 << 20


class BadLaunchError(Exception):
    """No usable launch line; its text says why and carries nothing of the line."""


def read_launch(fd: int, timeout_s: float) -> Launch:
    """The launch line from `fd`. Raises BadLaunchError when none comes in time, or one that does not fit."""
    line = _read_line(fd, time.monotonic() + timeout_s)
    if not line.strip():
        raise BadLaunchError("stdin was closed before the launch line came")
    try:
        return msgspec.json.decode(line, type=Launch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLaunchError(f"the launch line cannot be read: {error}") from None


def _read_line(fd: int, deadline: float) -> bytes:
    line = bytearray()
    while b"\n" not in line:
        left = deadline - time.monotonic()
        # Whoever was to write may have been killed in between, and a pipe that nobody closes never ends by itself.
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise BadLaunchError("no launch line came on stdin in time")
        data = os.read(fd, 65536)
        if not data:
            break
        line += data
        if len(line) > MAX_BYTES:
            raise BadLaunchError(f"the launch line is longer than {MAX_BYTES} bytes")
    return bytes(line.partition(b"\n")[0])


LAUNCH_S: Final = 30.0
EX_CONFIG: Final = 78


def run(spawned: Spawned) -> int:
    """Reads the launch line, lives the session, and returns the exit code: 0 stopped, 1 failed, 78 badly configured."""
    try:
        settings = Settings.from_env()
        launch = read_launch(sys.stdin.fileno(), LAUNCH_S)
    except (BadLaunchError, ValueError) as error:
        sys.stderr.write(f"engine_sidecar: {error}\n")
        kill_all()
        return EX_CONFIG
    configure("sidecar", launch.spec.log_level)
    adopt_orphans()
    try:
        with bind(instance_id=launch.spec.instance_id, session_id=launch.spec.session_id):
            change = asyncio.run(_live(launch, spawned, settings))
    finally:
        kill_all()
    return exit_code(change)


def exit_code(change: StateChange) -> int:
    """The exit code of a sidecar whose session ended so."""
    if change.state in (RunState.COMPLETED, RunState.STOPPED):
        return 0
    return EX_CONFIG if change.reason == FailureReason.CONFIG else 1


async def _live(launch: Launch, spawned: Spawned, settings: Settings) -> StateChange:
    around = Surroundings(stdout=sys.stdout.fileno())
    if launch.spec.worker is not None:
        from flotilla.engine_sidecar.worker.worker_session import WorkerSession  # noqa: PLC0415  engines do without

        return await WorkerSession(launch, launch.spec.worker, spawned, around, settings).run()
    processes = ForkedEngine(ZygoteClient(spawned, Children()))
    meter = session_meter(launch, lambda: processes.pids)
    return await EngineSession(launch, processes, meter, around, settings).run()
