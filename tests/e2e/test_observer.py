"""Somebody else's service on a whole stack: a stock NATS client hears an engine trade, is kept from all else, and is cut when it is taken away."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from flotilla.client.client import Flotilla
from flotilla.schemas.contract import OBSERVED_FEEDS
from flotilla.schemas.engine import EngineView
from flotilla.schemas.subjects import wildcard
from tests.e2e.engines import paced, stopped, traded_more, trading
from tests.e2e.stacks import RunningStack

HEARD = ("heartbeat", "metrics", "state", "order", "fill", "position", "account")
ACTS = ("fleet.engine.stop", "engine.watched.command.stop", "engine.watched.fill", "engine.kill")
ELSEWHERE = ("engine.watched.log", "engine.watched.command.*", "fleet.>", "_INBOX_operator.>")


@pytest.fixture(scope="module")
def runtime() -> str:
    """Nothing here depends on it."""
    return "process"


class Third:
    """The service, and what became of it."""

    def __init__(self) -> None:
        self.client = Client()
        self.refused: list[str] = []
        self.heard = Counter[str]()
        self.cut = asyncio.Event()

    async def hear(self, message: Msg) -> None:
        self.heard[message.subject] += 1

    async def on_error(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def on_cut(self) -> None:
        self.cut.set()


@asynccontextmanager
async def third_party(stack: RunningStack, name: str) -> AsyncIterator[Third]:
    """With the credentials of `access add NAME`."""
    third = Third()
    try:
        await third.client.connect(
            stack.connection.nats_url,
            user_credentials=str(stack.root / f"{name}.creds"),
            error_cb=third.on_error,
            disconnected_cb=third.on_cut,
            allow_reconnect=False,
        )
        yield third
    finally:
        await third.client.close()


def made(stack: RunningStack, name: str) -> str:
    """What `access add` says on stderr."""
    file = str(stack.root / f"{name}.creds")
    return stack.cli("access", "add", name, "--role", "observer", "--bus", file).stderr


def fills_of(view: EngineView) -> int:
    return view.metrics.fills_total if view.metrics else 0


async def test_a_third_partys_service_reads_telemetry_and_can_do_nothing_else(
    stack: RunningStack, fleet: Flotilla
) -> None:
    assert f"the bus at {stack.connection.nats_url} lets it in" in made(stack, "feed")
    async with third_party(stack, "feed") as third:
        for feed in OBSERVED_FEEDS:
            await third.client.subscribe(wildcard(feed.subject), cb=third.hear)
        await third.client.flush()
        started = await trading(fleet, paced("watched"))
        async with asyncio.timeout(30):
            while not {
                *(f"engine.watched.{kind}" for kind in HEARD),
                "fleet.engine.watched.state",
            } <= set(third.heard):
                await asyncio.sleep(0.05)
        assert third.refused == []
        for subject in ACTS:
            await third.client.publish(
                subject, b'{"instance_id":"watched"}', reply="fleet.engine.emergency_stop"
            )
        for subject in ELSEWHERE:
            await third.client.subscribe(subject, cb=third.hear)
        async with asyncio.timeout(5):
            while len(third.refused) < len(ACTS) + len(ELSEWHERE):
                await asyncio.sleep(0.05)
    view = await traded_more(fleet, "watched", fills_of(started))
    assert view.session is not None
    assert started.session is not None
    assert view.session.session_id == started.session.session_id, "it trades on"


async def test_one_that_is_taken_away_is_cut_within_a_second_and_stays_out(
    stack: RunningStack, fleet: Flotilla
) -> None:
    made(stack, "brief")
    view = await fleet.engine("watched")
    async with third_party(stack, "brief") as third:
        shown = {one["name"]: one["is_on_bus"] for one in stack.json("access", "ls")["tokens"]}
        assert shown == {"admin": False, "feed": True, "brief": True}
        removed = await asyncio.to_thread(stack.cli, "access", "rm", "brief")
        async with asyncio.timeout(1.0):
            await third.cut.wait()
        assert "the supervisor puts it off the bus" in removed.stdout
    with stack.without("nats-server"):
        await asyncio.sleep(2)
    await traded_more(fleet, "watched", fills_of(view), timeout_s=30)
    with pytest.raises(Error):
        async with third_party(stack, "brief"):
            pass
    async with third_party(stack, "feed") as third:
        assert third.client.is_connected
    await stopped(fleet, "watched")
