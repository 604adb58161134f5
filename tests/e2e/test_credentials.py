"""Engines trade while their credentials end and are renewed: through renewals, without the renewer, and while nats-server restarts.

FLOTILLA_RENEWER_AWAY_S says for how long nobody renews (10 s, in which every credential ends).
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineEvent, EventKind
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import eventually, paced, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack

CREDENTIAL_S = 6
AWAY_S = float(os.environ.get("FLOTILLA_RENEWER_AWAY_S", "10"))


@pytest.fixture(scope="module")
def runtime() -> str:
    return best_runtime()


@pytest.fixture(scope="module")
def stack(runtime: str) -> Iterator[RunningStack]:
    """A stack whose engines' credentials end soon."""
    made = RunningStack(runtime, env={"FLOTILLA_CREDENTIAL_S": str(CREDENTIAL_S)})
    made.start()
    yield made
    made.remove()


async def test_nothing_is_lost_while_credentials_end_and_are_renewed(
    stack: RunningStack, fleet: Flotilla
) -> None:
    started = await trading(fleet, paced("lasting", speed=86_400 * 5))
    assert started.session is not None
    session_id = started.session.session_id
    await asyncio.sleep(2.5 * CREDENTIAL_S)
    view = await traded_more(fleet, "lasting", fills_of(started))
    with stack.without("supervisor"):
        await asyncio.sleep(AWAY_S)
        assert not await is_heard(fleet), "its credential has ended, and nobody renewed it"
    view = await traded_more(fleet, "lasting", fills_of(view), timeout_s=30)
    with stack.without("nats-server"):
        await asyncio.sleep(2)
    view = await traded_more(fleet, "lasting", fills_of(view), timeout_s=30)
    assert view.session is not None
    assert view.session.session_id == session_id, "the same session all along"
    await stopped(fleet, "lasting")
    assert await eventually(lambda: fills_on_record(fleet, session_id), 30, "the end on record") >= fills_of(
        view
    )


async def is_heard(fleet: Flotilla) -> bool:
    """True when the engine beats within two seconds."""
    async with fleet.watch("lasting", kinds=("heartbeat",)) as updates:
        return await updates.next(2) is not None


def fills_of(view: EngineView) -> int:
    return view.metrics.fills_total if view.metrics else 0


async def fills_on_record(fleet: Flotilla, session_id: str) -> int | None:
    """How many fills the session had; None while its end is not on record. Its events have numbers without a gap."""
    events: list[EngineEvent[Any]] = []
    while found := (
        await fleet.events("lasting", session_id=session_id, after_seq=len(events), limit=500)
    ).events:
        events += [msgspec.json.decode(one, type=EngineEvent[Any]) for one in found]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last = [event.data["state"] for event in events if event.kind == EventKind.STATE][-1]
    return sum(event.kind == EventKind.FILL for event in events) if last == RunState.STOPPED else None
