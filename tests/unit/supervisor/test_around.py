"""An emergency stop around the bus says what runs before it waits for any end."""

import asyncio
from pathlib import Path
from typing import Any

from flotilla.schemas.session import AroundStopped, ContainerFacts, EmergencyStop, OwnPlace
from flotilla.services.supervisor import around
from flotilla.services.supervisor.adapters.stop_flag_file import StopFlagFile
from flotilla.services.supervisor.around import NOT_SEEN, stop_around
from tests.fakes.supervised import session
from tests.unit.supervisor.test_emergency import FakeRuntime


class SlowRuntime(FakeRuntime):
    """What it was asked to end ends when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        await self.may_end.wait()
        self.end(session_id)
        return self.sessions[session_id]


async def test_each_engine_is_named_before_it_has_ended_and_again_afterwards(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(around, "FIRST_S", 0.0)
    runtime, told = SlowRuntime(), asyncio.get_running_loop().create_future()
    runtime.put(session(instance_id="e1"))
    made: Any = runtime
    place = OwnPlace(host="h1", owner="o", runtime="docker", docker_url="")
    stopping = asyncio.get_running_loop().create_task(
        stop_around(place, StopFlagFile(tmp_path), made, EmergencyStop(deadline_s=5), tell=told.set_result)
    )
    begun: AroundStopped = await told
    assert [(one.session.instance_id, one.problem) for one in begun.endings] == [("e1", NOT_SEEN)]
    runtime.may_end.set()
    done = await stopping
    assert [(one.session.instance_id, one.problem) for one in done.endings] == [("e1", "")]
    assert done.flags == begun.flags
