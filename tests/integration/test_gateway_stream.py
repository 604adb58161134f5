"""Server-sent events: order, conflation, pace, gaps, and clients that do not read."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.backtest import BacktestView
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import DesiredState, RunState
from flotilla.schemas.telemetry import (
    Alert,
    EngineEvent,
    EngineMetrics,
    EventKind,
    FleetAlert,
    Heartbeat,
    Severity,
    StateChange,
)
from flotilla.services.orchestrator.engines.core.views import record_view
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import backtest, unfinished
from tests.integration.gateways import API, NOW, Stage, engine, staged
from tests.integration.logins import engine_login
from tests.unit.orchestrator.makers import engine as on_record
from tests.unit.orchestrator.makers import session

STREAM = f"{API}/stream"

type Event = tuple[str, Any]


class Reader:
    """What a client has read: events, and comments by their text."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content = response.content
        self.comments: list[str] = []
        self.place = ""

    async def event(self, timeout_s: float = 5) -> Event:
        kind = ""
        async with asyncio.timeout(timeout_s):
            while line := (await self._content.readline()).decode().rstrip("\n"):
                if line.startswith(":"):
                    self.comments.append(line[2:])
                elif line.startswith("id: "):
                    self.place = line[4:]
                elif line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    await self._content.readline()
                    return kind, msgspec.json.decode(line[6:])
            if self._content.at_eof():
                raise EOFError
        return await self.event(timeout_s)

    async def until(self, count: int) -> list[Event]:
        return [await self.event() for _ in range(count)]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(
        connect_as, tmp_path, stream_backlog=200, stream_write_timeout_s=1.0, keepalive_s=0.3, max_streams=3
    ) as ready:
        yield ready


@pytest.fixture
async def sidecar(nats: NatsServer) -> AsyncIterator[Bus]:
    bus = await connect(engine_login(nats, "e1"))
    yield bus
    await bus.close()


class Opened:
    """A stream that is connected when the context is entered."""

    def __init__(self, stage: Stage, query: str = "", *, left_off: str = "") -> None:
        headers = {"Last-Event-ID": left_off} if left_off else {}
        self._request = stage.http.get(f"{STREAM}{query}", headers=headers)
        self._left_off = left_off

    async def __aenter__(self) -> Reader:
        response = await self._request.__aenter__()
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        reader = Reader(response)
        assert (await response.content.readline()) == b"retry: 2000\n"
        line = await response.content.readline()
        if line.startswith(b"id: "):
            reader.place = line.decode()[4:].strip()
            line = await response.content.readline()
        assert line == b": connected\n"
        assert (await response.content.readline()) == b"\n"
        return reader

    async def __aexit__(self, *error: Any) -> None:
        await self._request.__aexit__(*error)


def alert(seq: int, text: str = "look") -> EngineEvent[Alert]:
    return EngineEvent(
        instance_id="e1",
        session_id="s1",
        generation=1,
        seq=seq,
        at_ns=seq,
        kind=EventKind.ALERT,
        data=Alert(severity=Severity.INFO, code="test", message=text),
    )


def state(instance_id: str = "e1") -> EngineEvent[StateChange]:
    return EngineEvent(
        instance_id=instance_id,
        session_id="s1",
        generation=1,
        seq=1,
        at_ns=1,
        kind=EventKind.STATE,
        data=StateChange(state=RunState.TRADING),
    )


def beat(number: int, instance_id: str = "e1") -> Heartbeat:
    return Heartbeat(
        instance_id=instance_id,
        session_id="s1",
        generation=1,
        beat=number,
        at_ns=number,
        state=RunState.TRADING,
    )


def metrics(number: int) -> EngineMetrics:
    return EngineMetrics(instance_id="e1", session_id="s1", at_ns=number, orders_total=number)


async def test_what_engines_publish_arrives_as_it_was_published(stage: Stage, sidecar: Bus) -> None:
    async with Opened(stage) as reader:
        await sidecar.publish(contract.STATE, state(), instance_id="e1")
        assert await reader.event() == ("state", msgspec.json.decode(msgspec.json.encode(state())))
        await sidecar.publish(contract.METRICS, metrics(3), instance_id="e1")
        kind, payload = await reader.event()
        assert (kind, payload["orders_total"]) == ("metrics", 3)
        await stage.orchestrator.publish(engine())
        kind, payload = await reader.event()
        assert (kind, payload["state"], payload["session"]["session_id"]) == ("fleet", "running", "s1")


SAID = [
    ("impaired", "strategy A is STOPPED", "error"),
    ("silent", "no heartbeat for 15 s while its container is up", "error"),
    ("completed", "the replay is finished", "stopped"),
]


@pytest.mark.parametrize(("is_now", "detail", "state_of_client"), SAID)
async def test_a_stream_tells_of_an_engine_that_does_not_trade_as_the_record_does(
    stage: Stage, sidecar: Bus, is_now: str, detail: str, state_of_client: str
) -> None:
    present = session(RunState(is_now), detail=detail)
    view = record_view(on_record(present, desired=DesiredState.STOPPED), NOW)
    async with Opened(stage, "?instanceId=e1") as reader:
        await stage.orchestrator.publish(view)
        kind, payload = await reader.event()
        assert (kind, payload["state"], payload["instance_id"]) == ("fleet", state_of_client, "e1")
        assert (payload["session"]["state"], payload["session"]["detail"]) == (is_now, detail)
        if is_now == "silent":  # nobody says so of himself
            return
        change = msgspec.structs.replace(state(), data=StateChange(state=RunState(is_now), detail=detail))
        await sidecar.publish(contract.STATE, change, instance_id="e1")
        kind, payload = await reader.event()
        assert (kind, payload["data"]["state"], payload["data"]["detail"]) == ("state", is_now, detail)


async def test_a_client_gets_the_kinds_and_the_engine_it_asked_for(
    stage: Stage, sidecar: Bus, nats: NatsServer
) -> None:
    other = await connect(engine_login(nats, "e2"))
    async with Opened(stage, "?kinds=state,alert&instanceId=e1") as reader:
        await other.publish(contract.STATE, state("e2"), instance_id="e2")
        await other.flush()
        await sidecar.publish(contract.HEARTBEAT, beat(1), instance_id="e1")
        await sidecar.publish(contract.STATE, state(), instance_id="e1")
        await sidecar.publish(contract.ALERT, alert(2), instance_id="e1")
        got = await reader.until(2)
        assert [(kind, payload["instance_id"]) for kind, payload in got] == [("state", "e1"), ("alert", "e1")]
    await other.close()


async def test_alerts_of_the_fleet_arrive_and_those_of_another_engine_do_not(stage: Stage) -> None:
    def about(instance_id: str | None) -> FleetAlert:
        return FleetAlert(
            at=NOW, severity=Severity.CRITICAL, code="orphan", message="look", instance_id=instance_id
        )

    async with Opened(stage, "?kinds=fleet_alert") as all_of_them, Opened(stage, "?instanceId=e1") as one:
        for instance_id in (None, "e2", "e1"):
            await stage.orchestrator.bus.publish(contract.FLEET_ALERT, about(instance_id))
        got = await all_of_them.until(3)
        assert [(kind, payload["instance_id"]) for kind, payload in got] == [
            ("fleet_alert", None),
            ("fleet_alert", "e2"),
            ("fleet_alert", "e1"),
        ]
        kind, payload = await one.event()
        assert (kind, payload["instance_id"], payload["code"]) == ("fleet_alert", "e1", "orphan")


async def test_backtests_arrive_with_their_progress_and_by_the_id_that_was_asked_for(stage: Stage) -> None:
    async def tell(feed: contract.Feed[BacktestView], view: BacktestView) -> None:
        await stage.orchestrator.bus.publish(feed, view, backtest_id=view.backtest_id)

    query = "?kinds=backtest,backtest_progress"
    async with (
        Opened(stage, query) as everything,
        Opened(stage, "?backtestId=b1") as one,
        Opened(stage, "?study_id=s1&kinds=backtest") as of_study,
    ):
        await tell(contract.FLEET_BACKTEST, unfinished("b2", study_id="s1"))
        await tell(contract.FLEET_PROGRESS, unfinished("b1", progress=50.0))
        got = await everything.until(2)
        assert [(kind, payload["backtest_id"]) for kind, payload in got] == [
            ("backtest", "b2"),
            ("backtest_progress", "b1"),
        ]
        kind, payload = await one.event()
        assert (kind, payload["backtest_id"], payload["progress"]) == ("backtest_progress", "b1", 50.0)
        assert (await of_study.event())[1]["backtest_id"] == "b2"
        # What is final is the last that is heard of it, also when a progress was still waiting to be sent.
        await tell(contract.FLEET_PROGRESS, unfinished("b1", progress=99.0))
        await tell(contract.FLEET_BACKTEST, backtest("b1"))
        await tell(contract.FLEET_PROGRESS, unfinished("last"))
        heard = [await everything.event()]
        while heard[-1][1]["backtest_id"] != "last":
            heard.append(await everything.event())
        about = [(kind, payload["status"]) for kind, payload in heard if payload["backtest_id"] == "b1"]
        assert about[-1] == ("backtest", "completed")


async def test_events_keep_their_order_and_none_is_missing(stage: Stage, sidecar: Bus) -> None:
    async with Opened(stage, "?kinds=alert") as reader:
        got: list[Event] = []
        for first in range(1, 1001, 100):
            for seq in range(first, first + 100):
                await sidecar.publish(contract.ALERT, alert(seq), instance_id="e1")
            got += await reader.until(100)
        assert [payload["seq"] for _, payload in got] == list(range(1, 1001))


async def test_telemetry_is_conflated_to_the_latest_and_paced(stage: Stage, sidecar: Bus) -> None:
    async with Opened(stage, "?kinds=heartbeat") as reader:
        started, sent = time.monotonic(), 0
        got: list[int] = []
        async with asyncio.TaskGroup() as group:

            async def publish() -> None:
                nonlocal sent
                while time.monotonic() < started + 1.0:
                    sent += 1
                    await sidecar.publish(contract.HEARTBEAT, beat(sent), instance_id="e1")
                    await asyncio.sleep(0.002)

            group.create_task(publish())
            while not got or sent == 0 or time.monotonic() < started + 1.0 or got[-1] < sent:
                got.append((await reader.event())[1]["beat"])
        assert sent > 100
        assert got == sorted(set(got))
        assert got[-1] == sent
        assert len(got) <= 10 * (time.monotonic() - started) + 2


async def test_a_client_that_reads_late_misses_no_event(stage: Stage, sidecar: Bus) -> None:
    """Two hundred wait for a client; what comes then it reads from the stream that keeps them, each once and in order."""
    big = "x" * 20_000
    total = 1_000
    async with Opened(stage, "?kinds=alert") as reader:
        for seq in range(1, total + 1):
            await sidecar.publish(contract.ALERT, alert(seq, big), instance_id="e1")
        await sidecar.flush()
        async with asyncio.timeout(5):
            while (await _figures(stage))["flotilla_gateway_stream_fell_behind_total"] == 0:
                await asyncio.sleep(0.02)
        got = await reader.until(total)
        assert [(kind, payload["seq"]) for kind, payload in got] == [
            ("alert", seq) for seq in range(1, total + 1)
        ]


async def test_a_reader_goes_on_where_it_left_off(stage: Stage, sidecar: Bus) -> None:
    async with Opened(stage, "?kinds=alert") as reader:
        begins_at = reader.place
        await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        await reader.event()
        place = reader.place
    assert place != begins_at
    for seq in range(2, 602):
        await sidecar.publish(contract.ALERT, alert(seq), instance_id="e1")
        await sidecar.publish(contract.STATE, state(), instance_id="e1")
    await sidecar.flush()
    async with Opened(stage, "?kinds=alert", left_off=place) as reader:
        got = await reader.until(600)
        assert [payload["seq"] for _, payload in got] == list(range(2, 602))
        await sidecar.publish(contract.ALERT, alert(602), instance_id="e1")
        assert (await reader.event())[1]["seq"] == 602
    async with Opened(stage, f"?kinds=alert&after={begins_at}") as reader:
        assert (await reader.event())[1]["seq"] == 1


@pytest.mark.parametrize("left_off", ["nothing", "1700000000-4", "-", "x-9"])
async def test_a_place_in_no_stream_that_is_known_is_told_as_a_gap(
    stage: Stage, sidecar: Bus, left_off: str
) -> None:
    async with Opened(stage, "?kinds=alert", left_off=left_off) as reader:
        assert await reader.event() == ("gap", {"reason": "unknown_place", "missed": None})
        await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        assert (await reader.event())[1]["seq"] == 1


async def test_what_the_stream_does_not_keep_any_more_is_told_as_a_gap(
    stage: Stage, sidecar: Bus, connect_as: ConnectAs
) -> None:
    async with Opened(stage, "?kinds=alert") as reader:
        place = reader.place
    for seq in range(1, 6):  # each is stored before the next, and before any is deleted
        await sidecar.publish_durable(contract.ALERT, alert(seq), message_id=f"alert-{seq}", instance_id="e1")
    operator = await connect_as(Actor.OPERATOR)
    await operator.client.jetstream().purge_stream("EVENTS", keep=2)
    async with Opened(stage, "?kinds=alert", left_off=place) as reader:
        assert await reader.event() == ("gap", {"reason": "expired", "missed": None})
        assert [payload["seq"] for _, payload in await reader.until(2)] == [4, 5]


async def test_over_a_gateway_that_was_replaced_no_event_is_missing_or_comes_twice(
    connect_as: ConnectAs, sidecar: Bus, tmp_path: Path
) -> None:
    """Each gateway has read the stream from where it stood when it came: a reader's place is the stream's, not the gateway's."""
    got: list[int] = []
    place = ""
    said = 0
    for life in range(4):
        (tmp_path / str(life)).mkdir()
        async with (
            staged(connect_as, tmp_path / str(life)) as stage,
            Opened(stage, "?kinds=alert", left_off=place) as reader,
        ):
            for _ in range(25):
                said += 1
                await sidecar.publish(contract.ALERT, alert(said), instance_id="e1")
            while len(got) < said - 7:  # it is cut off while some are on their way
                got.append((await reader.event())[1]["seq"])
            place = reader.place
        for _ in range(10):  # nobody is there to hear these
            said += 1
            await sidecar.publish(contract.ALERT, alert(said), instance_id="e1")
        await sidecar.flush()
    (tmp_path / "last").mkdir()
    async with (
        staged(connect_as, tmp_path / "last") as stage,
        Opened(stage, "?kinds=alert", left_off=place) as reader,
    ):
        while len(got) < said:
            got.append((await reader.event())[1]["seq"])
    assert got == list(range(1, said + 1))


async def test_clients_that_never_read_are_dropped_and_the_others_do_not_notice(
    stage: Stage, sidecar: Bus
) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, (host, int(port)))
    token = stage.bearer(Role.VIEWER)["Authorization"]
    request = f"GET {STREAM}?kinds=alert HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"
    await loop.sock_sendall(deaf, request.encode())

    async with Opened(stage, "?kinds=alert") as reader:
        assert (await _figures(stage))["flotilla_gateway_stream_clients"] == 2
        seq = 0
        async with asyncio.timeout(20):
            while (await _figures(stage))["flotilla_gateway_stream_clients_dropped_total"] == 0:
                for _ in range(20):
                    seq += 1
                    await sidecar.publish(contract.ALERT, alert(seq, "x" * 50_000), instance_id="e1")
                for expected in range(seq - 19, seq + 1):
                    kind, payload = await reader.event()
                    assert (kind, payload["seq"]) == ("alert", expected)
        assert (await _figures(stage))["flotilla_gateway_stream_clients"] == 1
    deaf.close()


async def test_an_idle_stream_is_kept_alive(stage: Stage, sidecar: Bus) -> None:
    async with Opened(stage, "?kinds=alert") as reader:
        async with asyncio.TaskGroup() as group:
            event = group.create_task(reader.event())
            async with asyncio.timeout(5):
                while len(reader.comments) < 2:
                    await asyncio.sleep(0.02)
            await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        assert event.result()[0] == "alert"
        assert set(reader.comments) == {"keepalive"}


async def test_more_streams_than_allowed_are_refused(stage: Stage) -> None:
    async with Opened(stage), Opened(stage), Opened(stage), stage.http.get(STREAM) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "5"
        assert (await answer.json())["code"] == "busy"
    async with asyncio.timeout(5):
        while (await _figures(stage))["flotilla_gateway_stream_clients"] > 2:
            await asyncio.sleep(0.05)
    async with Opened(stage):
        pass


async def test_events_of_a_time_without_the_bus_are_read_when_it_is_back(
    stage: Stage, sidecar: Bus, nats: NatsServer
) -> None:
    async with Opened(stage, "?kinds=alert") as reader:
        await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        assert (await reader.event())[1]["seq"] == 1
        nats.kill()
        nats.start()
        for seq in range(2, 5):  # the gateway may not be connected yet
            await kept(sidecar, alert(seq))
        got = [await reader.event(timeout_s=15) for _ in range(3)]
        assert [(kind, payload["seq"]) for kind, payload in got] == [("alert", 2), ("alert", 3), ("alert", 4)]


async def test_streams_end_when_the_gateway_stops(connect_as: ConnectAs, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as outlives:
        async with staged(connect_as, tmp_path) as stage:
            response = await outlives.get(stage.address + STREAM, headers=stage.bearer(Role.VIEWER))
            assert response.status == 200
        async with asyncio.timeout(5):
            assert b"connected" in await response.content.read()


async def test_a_poisoned_message_ends_no_stream(stage: Stage, sidecar: Bus, connect_as: ConnectAs) -> None:
    operator = await connect_as(Actor.OPERATOR)
    async with Opened(stage, "?kinds=alert") as reader:
        for poison in (b"", b"\xff", b"[]", b'{"seq":"x"}', b"[" * 100_000):
            await operator.publish(contract.ALERT, poison, instance_id="e1")
        await operator.flush()
        await sidecar.publish(contract.ALERT, alert(1), instance_id="e1")
        assert (await reader.event())[1]["seq"] == 1


async def kept(sidecar: Bus, event: EngineEvent[Alert], instance_id: str = "e1") -> None:
    """Publishes until the stream has it, as a sidecar does."""
    async with asyncio.timeout(20):
        while True:
            try:
                await sidecar.publish_durable(
                    contract.ALERT, event, message_id=str(event.seq), instance_id=instance_id
                )
            except FaultError:
                await asyncio.sleep(0.05)
            else:
                return


async def _figures(stage: Stage) -> dict[str, float]:
    async with stage.http.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
