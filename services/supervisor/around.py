"""`python -m flotilla.services.supervisor.around FOLDER REQUEST UNTIL`: an emergency stop of this host without its supervisor and without the bus.

Says twice what it knows, each time in a line: once it has found what runs, and at the end.

The stop is left in the state folder, where the supervisor takes it at its start, and every engine that it names is told by its
runtime: SIGTERM, which has it follow the stop policy of its session, and SIGKILL at the deadline, UNTIL by the monotonic clock.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import (
    AroundStopped,
    ContainerFacts,
    EmergencyStop,
    OwnPlace,
    SessionEnding,
)
from flotilla.schemas.telemetry import StopFlag, is_meant
from flotilla.services.supervisor.adapters.place_file import PlaceFile
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.core.facts import is_running
from flotilla.services.supervisor.emergency import Countdown
from flotilla.services.supervisor.ports import ContainerRuntime
from flotilla.services.supervisor.wiring import guest_runtime

FIRST_S: Final = 1.0
"""For the sidecars that were asked over the bus at the same time: being asked there closes positions whatever the policy."""
KILL_S: Final = 2.0
NOT_SEEN: Final = "it may still run: it is told to end, and how it did was not seen in time"


async def stop_around(
    place: OwnPlace,
    store: StopFlagFile,
    runtime: ContainerRuntime,
    request: EmergencyStop,
    *,
    tell: Callable[[AroundStopped], object] = lambda _: None,
) -> AroundStopped:
    """Leaves the stop, then ends what it names. What fails is said in `problem`, for one session or for all.

    `tell` is called with what is known before that: on a machine in trouble nobody may be left to hear the rest.
    """
    countdown = Countdown(request.deadline_s)
    flags, problem = _leave(store, request)
    try:
        meant = [facts for facts in await runtime.list() if _is_meant(request, facts)]
    except FaultError as error:
        return AroundStopped(host=place.host, flags=flags, problem=error.fault.message)
    running = [facts for facts in meant if is_running(facts)]
    begun = AroundStopped(
        host=place.host,
        flags=flags,
        endings=tuple(SessionEnding(session=one, problem=NOT_SEEN) for one in running if not one.is_worker),
        others=tuple(facts for facts in meant if not is_running(facts)),
        problem=problem,
    )
    tell(begun)
    if running:
        await asyncio.sleep(min(FIRST_S, countdown.left_s / 4))
    endings = await asyncio.gather(*(_end(runtime, facts, countdown) for facts in running))
    problems = (problem, *(_worker_problem(one) for one in endings if one.session.is_worker and one.problem))
    return msgspec.structs.replace(
        begun,
        endings=tuple(one for one in endings if not one.session.is_worker),
        problem="; ".join(filter(None, problems)),
    )


def _worker_problem(ending: SessionEnding) -> str:
    """There is no receipt of a worker, which is ended only when it is named."""
    return f"worker {ending.session.instance_id}: {ending.problem}"


def _leave(store: StopFlagFile, request: EmergencyStop) -> tuple[tuple[StopFlag, ...], str]:
    try:
        store.leave(request)
    except OSError as error:
        return (), f"the stop cannot be left for the supervisor, so engines may start again: {error}"
    flag = StopFlag(since=datetime.now(UTC), instance_id=request.instance_id, reason=request.reason)
    return (flag,), ""


def _is_meant(request: EmergencyStop, facts: ContainerFacts) -> bool:
    return is_meant(request.instance_id, facts.instance_id, is_worker=facts.is_worker)


async def _end(runtime: ContainerRuntime, facts: ContainerFacts, countdown: Countdown) -> SessionEnding:
    try:
        async with asyncio.timeout(countdown.left_s + KILL_S):
            facts = await runtime.stop(facts.session_id, max(0.0, countdown.left_s))
    except TimeoutError:
        return SessionEnding(session=facts, problem="it may still run although it was killed")
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            return SessionEnding(session=facts, problem=f"it may still run: {error.fault.message}")
        return SessionEnding(session=facts, problem="it is not there any more, and nobody saw how it ended")
    problem = "it may still run although it was killed" if is_running(facts) else ""
    return SessionEnding(session=facts, problem=problem, ms=countdown.ms)


async def _run(folder: Path, request: EmergencyStop) -> AroundStopped:
    place = PlaceFile(folder).load()
    runtime = guest_runtime(place, folder)
    try:
        return await stop_around(place, StopFlagFile(folder), runtime, request, tell=_say)
    finally:
        await runtime.close()


def _say(done: AroundStopped) -> None:
    sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Prints AroundStopped as JSON, a line each. Exits with 1 when no supervisor ever used the folder."""
    folder, text, until = sys.argv[1:]
    try:
        request = msgspec.json.decode(text, type=EmergencyStop)
        left_s = max(1.0, float(until) - time.monotonic())
        done = asyncio.run(_run(Path(folder), msgspec.structs.replace(request, deadline_s=left_s)))
    except (OSError, ValueError) as error:
        sys.exit(f"no supervisor can be gone around in {folder}: {error}")
    _say(done)


if __name__ == "__main__":
    main()
