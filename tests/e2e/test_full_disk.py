"""The disk of the whole stack is full for a while: nothing is begun meanwhile, and afterwards nothing is lost but what is said to be."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import aiohttp
import msgspec
import pytest

from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import FleetAlert
from tests.e2e.engines import (
    eventually,
    follow_alerts,
    next_heartbeat,
    paced,
    record_is_complete,
    stopped,
    trading,
)
from tests.e2e.rest import ENGINE, ENGINES, Rest
from tests.e2e.small_disk import SmallDisk
from tests.e2e.stacks import RunningStack, parent_of

FULL_S = float(os.environ.get("FLOTILLA_FULL_DISK_S", "15"))
"""How long the disk stays full; 60 shows that it makes no difference."""
READY_AGAIN_S = 15.0


class OnSmallDisk(RunningStack):
    """A stack whose state folder is a small disk of its own."""

    def __init__(self) -> None:
        super().__init__("process")
        ports = self.folder.ports_file.read_bytes()
        self.disk = SmallDisk(self.folder.root, megabytes=400)
        self.folder.create()
        self.folder.ports_file.write_bytes(ports)

    def remove(self) -> None:
        """Ends all of it and takes the disk away."""
        self.stop()
        self.disk.remove()
        super().remove()


@pytest.fixture
def stack() -> Iterator[OnSmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("a disk of its own takes root")
    made = OnSmallDisk()
    made.start()
    yield made
    made.remove()


async def killed_with_its_tail(fleet: Flotilla, name: str) -> int:
    """Kills a sidecar that has events which nobody stores; returns the number of the last that its heartbeat named."""
    async with asyncio.timeout(60), fleet.watch(name, kinds=("heartbeat",)) as beats:
        while (beat := await next_heartbeat(beats)).events_queued < 3:
            pass
    assert beat.engine_pid is not None
    os.kill(parent_of(parent_of(beat.engine_pid)), signal.SIGKILL)
    return beat.last_seq


async def expect_missing_tail(fleet: Flotilla, name: str, last: int) -> None:
    """The engine ended by that kill, and what it took with it is said to be missing up to the last that it named."""
    view = await fleet.wait_for(name, ENDED, timeout_s=60)
    assert view.session is not None
    assert view.session.state == RunState.FAILED, view.session
    page = await fleet.events(name, session_id=view.session.session_id, limit=1)
    assert page.missing, "events that were made and not stored are called complete"
    assert page.missing[-1][1] >= last


async def test_a_full_disk_is_told_once_begins_nothing_and_loses_nothing(
    stack: OnSmallDisk, fleet: Flotilla
) -> None:
    told: list[FleetAlert] = []
    start = {"config": msgspec.to_builtins(paced("other"))}
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        following = group.create_task(follow_alerts(fleet, told))
        rest = Rest(stack, session)

        async def is_ready() -> bool:
            async with session.get(stack.connection.http_url + "/readyz") as answer:
                return answer.status == 200

        async def is_refusing() -> bool:
            return not await is_ready()

        await trading(fleet, paced("steady"))
        await trading(fleet, paced("doomed"))
        assert await is_ready()
        with stack.disk.full():
            began = time.monotonic()
            await eventually(is_refusing, 15, "a 503 of /readyz")
            last = await killed_with_its_tail(fleet, "doomed")
            while time.monotonic() - began < FULL_S:
                status, answer = await rest.call("POST", f"{ENGINE}/start", start)
                assert (status, answer["code"]) == (503, "unavailable"), answer
                assert not await is_ready()
                assert (await rest.done("GET", ENGINES))["engines"]
                await asyncio.sleep(0.5)  # between two questions
        await eventually(is_ready, READY_AGAIN_S, "a stack that is ready again")

        await expect_missing_tail(fleet, "doomed", last)
        await trading(fleet, paced("other"))
        for name in ("steady", "other"):
            done = await stopped(fleet, name)
            assert done.session is not None
            await record_is_complete(fleet, name, done.session.session_id, done.session.last_seq)

        async def is_over() -> bool:
            return any(alert.code == "disk_low_over" for alert in told)

        await eventually(is_over, 15, "the end of the alert")
        following.cancel()
    # One that was said while nothing could be kept is said again, as the same, once it can.
    distinct = {(alert.at, alert.code) for alert in told if alert.code.startswith("disk")}
    assert [code for _, code in sorted(distinct)] == ["disk_low", "disk_low_over"]
