"""The fleet in the gateway's memory: one snapshot, and streams that go on from it, over server-sent events and WebSocket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.alerting import AlertAbout, AlertChange, AlertChangeKind, AlertState, AlertView
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, ListEngines
from flotilla.schemas.health import Health
from flotilla.schemas.history import DayStart, DayStarts
from flotilla.schemas.ledger import LedgerPage
from flotilla.schemas.states import ClientState, RunState
from flotilla.schemas.telemetry import (
    EngineMetrics,
    Heartbeat,
    HostHeartbeat,
    MarkedEquity,
    Severity,
    StopFlag,
)
from flotilla.services.gateway.live.rows import Topic
from flotilla.stack.servers.nats import NatsServer
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, NOW, Stage, engine, staged
from tests.integration.logins import engine_login
from tests.unit.gateway.test_open_rows import on_record, order

FLEET = f"{API}/fleet"
ALERT_ID = "a1" * 12

type Message = dict[str, Any]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path, max_streams=4) as ready:
        yield ready


@pytest.fixture
async def sidecar(nats: NatsServer) -> AsyncIterator[Bus]:
    bus = await connect(engine_login(nats, "e1"))
    yield bus
    await bus.close()


class Follower:
    """Somebody who follows the fleet over a WebSocket, and holds its rows."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.rows: dict[tuple[str, str], Message] = {}
        self.kinds: list[str] = []
        self.place = ""
        self._boot = ""

    async def read(self) -> Message:
        message: Message = await self._socket.receive_json(timeout=5)
        self.kinds.append(message["kind"])
        match message["kind"]:
            case "snapshot":
                self._boot = message["boot"]
                self.rows = {(topic, name): row for topic in Topic for name, row in message[topic].items()}
            case "changes":
                for change in message["changes"]:
                    key = (change["topic"], change["id"])
                    if change["set"] is None:
                        del self.rows[key]
                    else:
                        self.rows.setdefault(key, {}).update(change["set"])
        if "number" in message:
            self.place = f"{self._boot}-{message['number']}"
        return message

    async def until(self, topic: str, name: str, **wanted: Any) -> Message:
        async with asyncio.timeout(8):
            while True:
                row = self.rows.get((topic, name), {})
                if row and wanted.items() <= row.items():
                    return row
                await self.read()


@asynccontextmanager
async def following(stage: Stage, query: str = "", **options: Any) -> AsyncIterator[Follower]:
    async with stage.http.ws_connect(f"{FLEET}/ws{query}", **options) as socket:
        yield Follower(socket)


def beat(instance_id: str = "e1", **changes: Any) -> Heartbeat:
    known: dict[str, Any] = {
        "instance_id": instance_id,
        "session_id": "s1",
        "generation": 1,
        "beat": 1,
        "at_ns": 1,
        "state": RunState.TRADING,
        **changes,
    }
    return Heartbeat(**known)


async def snapshot(stage: Stage, query: str = "", **options: Any) -> Message:
    async with stage.http.get(f"{FLEET}{query}", **options) as response:
        assert response.status == 200, await response.text()
        found: Message = await response.json()
        return found


async def complete(stage: Stage) -> Message:
    async with asyncio.timeout(5):
        while not (found := await snapshot(stage))["is_complete"]:
            await asyncio.sleep(0.02)
        return found


async def test_a_snapshot_has_what_the_orchestrator_says_and_what_was_heard_since(
    stage: Stage, sidecar: Bus
) -> None:
    found = await complete(stage)
    assert found["kind"] == "snapshot"
    assert found["engines"]["e1"]["run_state"] == "trading"
    assert found["engines"]["e1"]["heard_at"] is None
    await sidecar.publish(contract.HEARTBEAT, beat(problems=("no data",)), instance_id="e1")
    metrics = EngineMetrics(
        instance_id="e1", session_id="s1", at_ns=1, orders_open=2, unrealized_pnl={"USDT": "-3.10"}
    )
    await sidecar.publish(contract.METRICS, metrics, instance_id="e1")
    async with asyncio.timeout(5):
        while (row := (await snapshot(stage))["engines"]["e1"])["orders_open"] is None:
            await asyncio.sleep(0.02)
    assert row["problems"] == ["no data"]
    assert row["unrealized_pnl"] == {"USDT": "-3.10"}
    assert row["heard_at"] is not None


async def test_what_was_heard_of_another_session_says_nothing_of_the_present_one(
    stage: Stage, sidecar: Bus
) -> None:
    await complete(stage)
    async with following(stage) as reader:
        await reader.until("engines", "e1")
        await sidecar.publish(contract.HEARTBEAT, beat(session_id="s0"), instance_id="e1")
        await stage.orchestrator.publish(engine(state=ClientState.ERROR))
        row = await reader.until("engines", "e1", state="error")
        assert row["heard_at"] is None


async def test_what_an_engine_says_in_anothers_name_is_not_believed(
    stage: Stage, sidecar: Bus, nats: NatsServer
) -> None:
    other = await connect(engine_login(nats, "e2"))
    try:
        async with following(stage) as reader:
            await reader.until("engines", "e1")
            await other.publish(contract.HEARTBEAT, beat("e1", problems=("a lie",)), instance_id="e2")
            await other.publish(contract.ORDER, order(5, name="O-9"), instance_id="e2")
            await other.flush()
            await sidecar.publish(contract.HEARTBEAT, beat("e1", notes=("so",)), instance_id="e1")
            row = await reader.until("engines", "e1", notes=["so"])
            assert row["problems"] == []
            await sidecar.publish(contract.ORDER, order(6, name="O-1"), instance_id="e1")
            await reader.until("orders", "e1/O-1")
            assert ("orders", "e1/O-9") not in reader.rows
    finally:
        await other.close()


async def test_a_socket_begins_with_all_and_goes_on_with_what_changes(stage: Stage, sidecar: Bus) -> None:
    await complete(stage)
    async with following(stage) as reader:
        assert (await reader.read())["kind"] == "snapshot"
        await stage.orchestrator.publish(engine("e2", "s2"))
        assert (await reader.until("engines", "e2"))["session_id"] == "s2"
        await sidecar.publish(contract.HEARTBEAT, beat(), instance_id="e1")
        async with asyncio.timeout(5):
            while (message := await reader.read())["kind"] != "changes" or "heard_at" not in str(message):
                pass
        (change,) = [one for one in message["changes"] if one["id"] == "e1"]
        assert set(change["set"]) <= {"heard_at", "is_brake_taken", "events_queued"}
        await stage.orchestrator.publish(engine("e2", "s2", is_removed=True))
        async with asyncio.timeout(5):
            while ("engines", "e2") in reader.rows:
                await reader.read()
        assert reader.kinds.count("snapshot") == 1


async def test_a_stream_that_has_nothing_to_tell_beats(stage: Stage) -> None:
    await complete(stage)
    async with following(stage, "?topics=backtests") as reader:
        await reader.read()
        assert (await reader.read())["kind"] == "beat"


async def test_a_reader_goes_on_where_it_left_off_and_misses_nothing(stage: Stage) -> None:
    await complete(stage)
    async with following(stage, "?topics=engines") as reader:
        await reader.until("engines", "e1")
        held = dict(reader.rows)
        place = reader.place
    await stage.orchestrator.publish(engine("e2", "s2"))
    await stage.orchestrator.publish(engine("e1", "s9"))
    async with following(stage, f"?topics=engines&after={place}") as again:
        again.rows = held
        await again.until("engines", "e2")
        row = await again.until("engines", "e1", session_id="s9")
        assert "snapshot" not in again.kinds
        assert row["mode"] == "paper"


@pytest.mark.parametrize("after", ["nothing", "another-4", "-", "é-1", "x-99999999999999999999"])
async def test_a_place_that_is_not_known_begins_anew(stage: Stage, after: str) -> None:
    async with following(stage, f"?after={after}") as reader:
        assert (await reader.read())["kind"] == "snapshot"


async def test_events_carry_ids_and_last_event_id_goes_on_there(stage: Stage) -> None:
    await complete(stage)
    url = f"{FLEET}/stream?topics=engines"
    async with stage.http.get(url) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        lines = [(await response.content.readline()).decode().strip() for _ in range(4)]
    assert lines[0] == "event: snapshot"
    number = json.loads(lines[2].removeprefix("data: "))["number"]
    place = lines[1].removeprefix("id: ")
    assert place.endswith(f"-{number}")
    await stage.orchestrator.publish(engine("e2", "s2"))
    async with stage.http.get(url, headers={"Last-Event-ID": place}) as response:
        first = (await response.content.readline()).decode().strip()
        while first != "event: changes":
            assert first != "event: snapshot"
            first = (await response.content.readline()).decode().strip()
        await response.content.readline()
        told = json.loads((await response.content.readline()).decode().removeprefix("data: "))
        assert [change["id"] for change in told["changes"]] == ["e2"]


async def test_hosts_and_services_are_rows_too_and_a_stop_shows_at_its_engines(
    stage: Stage, connect_as: ConnectAs
) -> None:
    await complete(stage)
    supervisor = await connect_as(Actor.SUPERVISOR)
    async with following(stage) as reader:
        await reader.until("services", "nats", is_ready=True)
        said = HostHeartbeat(
            host="h1",
            runtime="docker",
            at_ns=1,
            cpus=2,
            memory_bytes=1,
            sessions=3,
            version="1",
            stop_flags=(StopFlag(since=NOW, reason="news"),),
        )
        await supervisor.publish(contract.HOST_HEARTBEAT, said, host="h1")
        assert (await reader.until("hosts", "h1"))["sessions"] == 3
        async with asyncio.timeout(5):
            while reader.rows["engines", "e1"]["stop_flag"] is None:
                await reader.read()
        well = Health(service="orchestrator", version="2", is_ready=True, started_at=NOW)
        await stage.orchestrator.bus.publish(contract.ORCHESTRATOR_HEARTBEAT, well)
        assert (await reader.until("services", "orchestrator"))["version"] == "2"


async def test_how_late_a_client_takes_a_change_is_counted(stage: Stage, sidecar: Bus) -> None:
    await complete(stage)
    async with following(stage) as reader:
        await reader.until("engines", "e1")
        await sidecar.publish(contract.HEARTBEAT, beat(events_queued=7), instance_id="e1")
        await reader.until("engines", "e1", events_queued=7)
        async with stage.http.get("/metrics") as answer:
            text = await answer.text()
    (count,) = re.findall(r"^flotilla_gateway_fleet_lag_seconds_count (.+)$", text, re.MULTILINE)
    assert float(count) >= 1
    (seconds,) = re.findall(r"^flotilla_gateway_fleet_lag_seconds_sum (.+)$", text, re.MULTILINE)
    assert 0 <= float(seconds) < 5 * float(count)


async def test_all_engines_are_asked_for_page_by_page(connect_as: ConnectAs, tmp_path: Path) -> None:
    names = [f"e{number}" for number in range(7)]

    def page(asked: ListEngines) -> EngineList:
        start = names.index(asked.cursor) + 1 if asked.cursor else 0
        shown = names[start : start + 3]
        is_last = start + 3 >= len(names)
        return EngineList(
            engines=tuple(engine(name, f"s-{name}") for name in shown),
            total_count=len(names),
            next=None if is_last else shown[-1],
        )

    async with staged(connect_as, tmp_path, answers={"fleet.engine.list": page}) as stage:
        assert sorted((await complete(stage))["engines"]) == names


async def test_what_was_missed_while_the_bus_was_away_is_asked_for_and_until_then_it_is_not_complete(
    stage: Stage, nats: NatsServer
) -> None:
    await complete(stage)
    stage.orchestrator.answers["fleet.engine.list"] = EngineList(engines=(engine("e2", "s2"),), total_count=1)
    async with following(stage) as reader:
        await reader.until("engines", "e1")
        nats.stop()
        row = await reader.until("services", "nats", is_ready=False)
        assert not (await reader.read())["is_complete"]
        assert row["heard_at"] is None
        nats.start()
        await reader.until("engines", "e2")
        assert ("engines", "e1") not in reader.rows


async def test_a_token_with_labels_sees_its_engines_and_nothing_else(stage: Stage, tmp_path: Path) -> None:
    await complete(stage)
    labelled = EngineConfig(instance_id="e2", labels={"desk": "rates"})
    token = create_token(tmp_path / "tokens.jsonl", "rates", Role.VIEWER, labels={"desk": "rates"})
    headers = {"Authorization": f"Bearer {token}"}
    await stage.orchestrator.publish(engine("e2", "s2", config=labelled))
    async with following(stage, headers=headers) as reader:
        await reader.until("engines", "e2")
        assert {topic for topic, _ in reader.rows} == {"engines"}
        assert ("engines", "e1") not in reader.rows
        moved = msgspec.structs.replace(labelled, labels={"desk": "fx"})
        await stage.orchestrator.publish(engine("e2", "s2", config=moved))
        async with asyncio.timeout(5):
            while reader.rows:
                await reader.read()
    async with stage.http.get(f"{FLEET}?topics=hosts", headers=headers) as response:
        assert response.status == 403
        assert "hosts" in (await response.json())["message"]


async def test_unknown_topics_and_too_many_readers_are_refused(stage: Stage) -> None:
    async with stage.http.get(f"{FLEET}?topics=engines,weather") as response:
        assert response.status == 422
        assert "topics" in str(await response.json())
    async with stage.http.get(f"{FLEET}/ws") as response:
        assert response.status == 400
    sockets = [await stage.http.ws_connect(f"{FLEET}/ws") for _ in range(4)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await stage.http.ws_connect(f"{FLEET}/ws")
    assert refused.value.status == 429
    for socket in sockets:
        await socket.close()


async def test_a_page_of_another_origin_opens_no_socket(stage: Stage) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await stage.http.ws_connect(f"{FLEET}/ws", headers={"Origin": "https://elsewhere.example"})
    assert refused.value.status == 403


async def test_a_token_that_is_no_longer_good_ends_its_socket_with_the_reason(
    stage: Stage, tmp_path: Path
) -> None:
    token = create_token(tmp_path / "tokens.jsonl", "leaver", Role.VIEWER)
    async with following(stage, headers={"Authorization": f"Bearer {token}"}) as reader:
        await reader.read()
        kept = [
            line for line in (tmp_path / "tokens.jsonl").read_text().splitlines() if '"leaver"' not in line
        ]
        (tmp_path / "tokens.jsonl").write_text("\n".join(kept) + "\n")
        async with asyncio.timeout(5):
            while (message := await reader.read())["kind"] != "end":
                pass
        assert message["reason"] == "token_removed"


async def test_what_is_open_is_read_from_the_ledgers_and_followed_by_events(
    connect_as: ConnectAs, sidecar: Bus, tmp_path: Path
) -> None:
    answers = {"fleet.ledger.orders": LedgerPage(rows=(on_record(4),))}
    async with staged(connect_as, tmp_path, answers=answers) as stage, following(stage) as reader:
        row = await reader.until("orders", "e1/O-1")
        assert (row["filled_qty"], row["price"]) == ("1", None)
        await sidecar.publish(contract.ORDER, order(5, name="O-2"), instance_id="e1")
        await reader.until("orders", "e1/O-2")
        await sidecar.publish(contract.ORDER, order(6, "CANCELED"), instance_id="e1")
        async with asyncio.timeout(5):
            while ("orders", "e1/O-1") in reader.rows:
                await reader.read()
        assert ("orders", "e1/O-2") in reader.rows


async def test_alerts_are_there_while_they_are_open(stage: Stage, connect_as: ConnectAs) -> None:
    notifier = await connect_as(Actor.NOTIFIER)
    alert = AlertView(
        alert_id=ALERT_ID,
        rule="engine_failed",
        about_kind=AlertAbout.ENGINE,
        about="e1",
        severity=Severity.CRITICAL,
        text="it failed",
        state=AlertState.OPEN,
        opened_at=NOW,
        changed_at=NOW,
    )
    async with following(stage, "?topics=alerts") as reader:
        for kind, state in (
            (AlertChangeKind.OPENED, AlertState.OPEN),
            (AlertChangeKind.RESOLVED, AlertState.RESOLVED),
        ):
            told = msgspec.structs.replace(alert, state=state)
            change = AlertChange(change=kind, at=NOW, alert=told)
            await notifier.publish(contract.ALERT_CHANGE, change)
            async with asyncio.timeout(5):
                while (("alerts", ALERT_ID) in reader.rows) is not (state is AlertState.OPEN):
                    await reader.read()


async def test_the_equity_that_a_day_began_with_stands_beside_the_present_one(
    connect_as: ConnectAs, sidecar: Bus, tmp_path: Path
) -> None:
    day = DayStart(amount=Decimal("100.5"), currency="USDT", at=NOW)
    answers = {"fleet.history.days": DayStarts(since=NOW, days={"e1": day})}
    async with staged(connect_as, tmp_path, answers=answers) as stage, following(stage) as reader:
        await reader.until("engines", "e1")
        equity = MarkedEquity(currency="USDT", amount=Decimal("99"))
        measured = EngineMetrics(instance_id="e1", session_id="s1", at_ns=1, equity=equity)
        await sidecar.publish(contract.METRICS, measured, instance_id="e1")
        row = await reader.until("engines", "e1", equity="99", day_equity="100.5")
        assert row["equity_currency"] == "USDT"
