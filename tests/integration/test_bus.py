"""Calls and feeds over a real nats-server."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flotilla.bus import streams
from flotilla.bus.bus import Bus, connect
from flotilla.bus.settings import BusSettings
from flotilla.bus.streams import (
    Delivery,
    Follower,
    ensure_streams,
    first_since,
    history,
    read_back,
    read_on,
    span_of,
)
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor, Durability
from flotilla.schemas.engine import EngineList, ListEngines, StartEngine
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus, StopSession
from flotilla.schemas.telemetry import EngineEvent, EventKind, Fill, FleetAlert, LogLines, Severity
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.logins import engine_login


async def no_engines(_: ListEngines) -> EngineList:
    return EngineList(engines=(), total_count=0)


async def test_a_call_is_answered(connect_as: ConnectAs) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)
    await orchestrator.serve(contract.ENGINE_LIST, no_engines)
    assert await gateway.call(contract.ENGINE_LIST, ListEngines()) == EngineList(engines=(), total_count=0)


async def test_a_fault_reaches_the_caller_with_its_fields(connect_as: ConnectAs) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)

    async def refuse(_: ListEngines) -> EngineList:
        raise fault(FaultCode.CONFLICT, "not now", retry_after_s=2.0)

    await orchestrator.serve(contract.ENGINE_LIST, refuse)
    with pytest.raises(FaultError) as caught:
        await gateway.call(contract.ENGINE_LIST, ListEngines())
    assert caught.value.fault.code == FaultCode.CONFLICT
    assert caught.value.fault.retry_after_s == 2.0
    assert len(caught.value.fault.error_id) == 16


async def test_an_unexpected_failure_is_internal_and_tells_nothing_of_our_insides(
    connect_as: ConnectAs,
) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)

    async def fail(_: ListEngines) -> EngineList:
        raise RuntimeError("password=hunter2")

    await orchestrator.serve(contract.ENGINE_LIST, fail)
    with pytest.raises(FaultError) as caught:
        await gateway.call(contract.ENGINE_LIST, ListEngines())
    assert caught.value.fault.code == FaultCode.INTERNAL
    assert "hunter2" not in caught.value.fault.message


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", 400, None),
        (b"nonsense", 400, None),
        (b'{"config": NaN}', 400, None),
        (b'{"config":{"parameters":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}", 400, None),
        (b"\xff\xfe", 400, None),
        (b'{"config":{"instance_id":"a.b"}}', 422, "config.instance_id"),
        (b'{"config":{"instance_id":"a\\n"}}', 422, "config.instance_id"),
        (b'{"config":{"instance_id":"*"}}', 422, "config.instance_id"),
        (b'{"config":{"instance_id":"' + b"a" * 64 + b'"}}', 422, "config.instance_id"),
        (b'{"config":{"max_position_size":-1}}', 422, "config.max_position_size"),
        (b'{"config":{"max_cpu":"inf"}}', 422, "config.max_cpu"),
        (b'{"config":{"engine_type":"lively"}}', 422, "config.engine_type"),
        (b'{"config":{"unheard_of":1}}', 422, "config.unheard_of"),
        (b'{"config":{"data_catalog_path":"/app/../etc"}}', 422, "config.data_catalog_path"),
        (b'{"request_id":"a b"}', 422, "request_id"),
        (b'{"config":{"strategies":[{"template":"../x"}]}}', 422, "config.strategies[0].template"),
        (b'{"pad":"' + b"x" * 300_000 + b'"}', 413, None),
    ],
)
async def test_bad_bodies_are_refused_naming_the_field_and_never_reach_the_handler(
    connect_as: ConnectAs, body: bytes, code: int, field: str | None
) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)
    handled: list[StartEngine] = []

    async def start(request: StartEngine) -> None:
        handled.append(request)

    await orchestrator.serve(contract.ENGINE_START, start)  # type: ignore[arg-type]
    answer = await gateway.client.request("fleet.engine.start", body, timeout=5)
    assert answer.headers is not None
    assert answer.headers["Nats-Service-Error-Code"] == str(code)
    fields = [error["field"] for error in msgspec.json.decode(answer.data)["errors"]]
    assert fields == ([field] if field else [])
    assert handled == []
    # The handler still lives.
    await gateway.client.request("fleet.engine.start", b"{}", timeout=5)
    assert len(handled) == 1


async def test_a_call_that_nobody_answers_surely_did_nothing(connect_as: ConnectAs) -> None:
    gateway = await connect_as(Actor.GATEWAY)
    with pytest.raises(FaultError) as caught:
        await gateway.call(contract.ENGINE_START, StartEngine(), timeout_s=0.2)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE


async def test_a_command_without_an_answer_in_time_has_an_unknown_outcome(connect_as: ConnectAs) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)
    never = asyncio.Event()

    async def hang(_: object) -> None:
        await never.wait()

    await orchestrator.serve(contract.ENGINE_START, hang)  # type: ignore[arg-type]
    with pytest.raises(FaultError) as caught:
        await gateway.call(contract.ENGINE_START, StartEngine(), timeout_s=0.2)
    assert caught.value.fault.code == FaultCode.OUTCOME_UNKNOWN
    never.set()


async def test_a_call_finds_a_service_that_comes_back_while_it_waits(connect_as: ConnectAs) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(gateway.call(contract.ENGINE_LIST, ListEngines()))
        await orchestrator.serve(contract.ENGINE_LIST, no_engines)
    assert answer.result().total_count == 0


async def test_draining_answers_what_was_asked_before(connect_as: ConnectAs) -> None:
    orchestrator, gateway = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.GATEWAY)
    started = asyncio.Event()

    async def slow(_: ListEngines) -> EngineList:
        started.set()
        await asyncio.sleep(0.3)
        return EngineList(engines=(), total_count=7)

    await orchestrator.serve(contract.ENGINE_LIST, slow)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(gateway.call(contract.ENGINE_LIST, ListEngines())) for _ in range(20)]
        await started.wait()
        await orchestrator.drain()
    assert [answer.result().total_count for answer in answers] == [7] * 20


async def test_an_engine_may_speak_for_itself_only(nats: NatsServer, connect_as: ConnectAs) -> None:
    engine = await connect(engine_login(nats, "mine"))
    gateway = await connect_as(Actor.GATEWAY)
    heard: list[str] = []

    async def hear(_: object, ids: object) -> None:
        heard.append(str(ids))

    await gateway.listen(contract.HEARTBEAT, hear)
    for subject in (
        "engine.other.heartbeat",
        "engine.start",
        "fleet.engine.stop",
        "$JS.API.STREAM.DELETE.EVENTS",
    ):
        await engine.client.publish(subject, b"{}")
    for subject in ("engine.other.command.stop", "engine.>", "_INBOX_gateway.>", ">"):
        await engine.client.subscribe(subject)
    await engine.flush()
    await gateway.flush()
    assert engine.client.denied == 8
    assert heard == []
    await engine.client.close()


async def test_an_answer_goes_to_an_inbox_only(connect_as: ConnectAs) -> None:
    """A caller may name any subject as reply; a service must not be made to speak there in its own name."""
    orchestrator, operator = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.OPERATOR)
    spoken = await operator.client.subscribe("engine.start")
    await orchestrator.serve(contract.ENGINE_LIST, no_engines)
    await operator.client.publish("fleet.engine.list", b"{}", reply="engine.start")
    await operator.call(contract.ENGINE_LIST, ListEngines())
    await operator.flush()
    assert spoken.pending_msgs == 0


async def test_supervisor_calls_can_be_sent_to_one_host(connect_as: ConnectAs) -> None:
    supervisor, orchestrator = await connect_as(Actor.SUPERVISOR), await connect_as(Actor.ORCHESTRATOR)

    async def stop(request: StopSession) -> ContainerFacts:
        return ContainerFacts(
            session_id=request.session_id,
            instance_id="e1",
            generation=1,
            host="h1",
            name="n",
            status=ContainerStatus.EXITED,
            runtime="process",
        )

    await supervisor.serve(contract.SESSION_STOP, stop, host="h1")
    answer = await orchestrator.call(contract.SESSION_STOP, StopSession(session_id="s1"), host="h1")
    assert answer.session_id == "s1"
    with pytest.raises(FaultError, match="unavailable"):
        await orchestrator.call(contract.SESSION_STOP, StopSession(session_id="s1"), host="h2", timeout_s=0.2)


async def _published(engine: Bus, seq: int) -> int:
    """Publishes until the server acknowledges, as a sidecar does."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await engine.publish_durable(
                    contract.FILL, _fill(seq), message_id=f"s1-{seq}", instance_id="e1"
                )
            except FaultError:
                await asyncio.sleep(0.02)


def _fill(seq: int) -> EngineEvent[Fill]:
    data = Fill(
        trade_id=f"T-{seq}",
        client_order_id="O-1",
        instrument_id="SPX.SIM",
        strategy_id="EMACross-001",
        side="BUY",
        last_qty="100",
        last_px="1400.25",
        currency="USD",
        commission="0.00 USD",
        liquidity_side="TAKER",
        ts_event=1,
    )
    return EngineEvent(
        instance_id="e1", session_id="s1", generation=1, seq=seq, at_ns=seq, kind=EventKind.FILL, data=data
    )


async def test_durable_events_are_stored_once_and_survive_a_kill_of_the_server(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    await ensure_streams(await connect_as(Actor.ORCHESTRATOR))
    engine = await connect(engine_login(nats, "e1"))
    for seq in range(1, 51):
        await engine.publish_durable(contract.FILL, _fill(seq), message_id=f"s1-{seq}", instance_id="e1")
    nats.kill()
    nats.start()
    assert await _published(engine, 50) == 50  # a duplicate: the sequence it already has

    seen: list[int] = []
    orchestrator = await connect_as(Actor.ORCHESTRATOR)

    async def take(batch: object) -> None:
        seen.extend(msgspec.json.decode(d.data)["seq"] for d in batch)  # type: ignore[attr-defined]

    async with asyncio.TaskGroup() as group:
        task = group.create_task(Follower(orchestrator, [contract.FILL], take, durable="test").run())
        async with asyncio.timeout(10):
            while len(seen) < 50:
                await asyncio.sleep(0.02)
        task.cancel()
    assert seen == list(range(1, 51))
    await engine.client.close()


async def test_publishers_that_choose_the_same_message_id_do_not_swallow_each_other(bus: Bus) -> None:
    """Engines number events and the orchestrator numbers versions, both per session, into one stream."""
    kinds = [feed for feed in contract.ENGINE_EVENT_FEEDS if feed is not contract.FILL]
    for feed in kinds:
        await bus.publish_durable(feed, b"{}", message_id="s1-1", instance_id="e1")
        await bus.publish_durable(feed, b"{}", message_id="s1-1", instance_id="e2")
    info = await bus.client.jetstream().stream_info("EVENTS")
    assert info.state.messages == 2 * len(kinds)


async def test_nobody_can_have_anothers_message_dropped_as_a_repetition(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    """A stream compares ids whoever published: an engine that knows another's session, or the key of an alert, guesses in vain."""
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(orchestrator)
    engine, eve = await connect(engine_login(nats, "e1")), await connect(engine_login(nats, "eve"))
    alert = FleetAlert(at=datetime.now(UTC), severity=Severity.INFO, code="x", message="y")
    for guess in ("engine.e1.fill:s1-1", "s1-1", f"{contract.FLEET_ALERT.subject}:x-s1", "x-s1"):
        headers = {"Nats-Msg-Id": guess}
        await eve.client.jetstream().publish("engine.eve.fill", b"{}", headers=headers)
    for _ in range(2):
        await engine.publish_durable(contract.FILL, _fill(1), message_id="s1-1", instance_id="e1")
        await orchestrator.publish_durable(contract.FLEET_ALERT, alert, message_id="x-s1")
    info = await orchestrator.client.jetstream().stream_info("EVENTS")
    assert info.state.messages == 4 + 1 + 1
    await engine.close()
    await eve.close()


async def test_who_takes_over_from_a_service_repeats_it_unheard(connect_as: ConnectAs) -> None:
    first, next_one = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(first)
    alert = FleetAlert(at=datetime.now(UTC), severity=Severity.INFO, code="x", message="y")
    for bus in (first, next_one):
        await bus.publish_durable(contract.FLEET_ALERT, alert, message_id="x-s1")
    info = await first.client.jetstream().stream_info("EVENTS")
    assert info.state.messages == 1


async def test_a_follower_tries_a_batch_again_until_it_succeeds_and_keeps_the_order(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(orchestrator)
    engine = await connect(engine_login(nats, "e1"))
    for seq in range(1, 21):
        await engine.publish_durable(contract.FILL, _fill(seq), message_id=f"s1-{seq}", instance_id="e1")
    seen: list[int] = []
    failures = 2

    async def take(batch: list[Delivery]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionError("the database is away")
        seen.extend(msgspec.json.decode(d.data)["seq"] for d in batch)

    async with asyncio.TaskGroup() as group:
        follower = Follower(orchestrator, [contract.FILL], take, durable="test", batch=8)  # type: ignore[arg-type]
        task = group.create_task(follower.run())
        async with asyncio.timeout(10):
            while len(seen) < 20:
                await asyncio.sleep(0.02)
        task.cancel()
    assert seen == list(range(1, 21))
    await engine.client.close()


async def test_history_gives_the_last_messages_of_one_engine(nats: NatsServer, bus: object) -> None:
    engine, other = await connect(engine_login(nats, "e1")), await connect(engine_login(nats, "e2"))
    for number in range(1, 31):
        for who, instance_id in ((engine, "e1"), (other, "e2")):
            lines = LogLines(
                instance_id=instance_id,
                session_id="s1",
                first=number,
                at_ns=0,
                lines=(f"{instance_id} {number}",),
            )
            await who.publish_durable(
                contract.LOG, lines, message_id=f"{instance_id}-{number}", instance_id=instance_id
            )
    kept = await history(bus, contract.LOG, limit=5, instance_id="e1")  # type: ignore[arg-type]
    assert [msgspec.json.decode(d.data)["first"] for d in kept] == [26, 27, 28, 29, 30]
    assert all(d.at <= datetime.now(UTC) for d in kept)
    await engine.client.close()
    await other.client.close()


@pytest.mark.parametrize("step_bytes", [300, 1 << 20])
async def test_a_stream_is_read_backwards_whole_whatever_a_step_holds(
    nats: NatsServer, bus: Bus, monkeypatch: pytest.MonkeyPatch, step_bytes: int
) -> None:
    monkeypatch.setattr(streams, "_STEP", 8)
    monkeypatch.setattr(streams, "_LEAST_STEP", 2)
    monkeypatch.setattr(streams, "_STEP_BYTES", step_bytes)
    for number in range(1, 101):
        # The first half is of the other engine but for two: there a step grows.
        who = "e1" if number > 50 or number in (3, 30) else "e2"
        lines = LogLines(instance_id=who, session_id="s1", first=number, at_ns=0, lines=("x" * 80,))
        await bus.publish_durable(contract.LOG, lines, message_id=f"back-{number}", instance_id=who)
    span = await span_of(bus, Durability.LOGS)
    found: list[int] = []
    begins = [span.last + 1]
    async for begin, run in read_back(bus, Durability.LOGS, (span.first, span.last + 1), "engine.e1.log"):
        assert all(begin <= one.seq < begins[-1] for one in run)
        begins.append(begin)
        found = [one.seq - span.first + 1 for one in run] + found
    assert found == [3, 30, *range(51, 101)]
    assert begins[-1] == span.first
    (middle,) = await read_on(bus, Durability.LOGS, span.first + 39, limit=1)
    assert await first_since(bus, Durability.LOGS, middle.at) in (middle.seq, middle.seq - 1)
    assert await first_since(bus, Durability.LOGS, datetime.now(UTC) + timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    "creds",
    [
        "my-host",
        "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------",
        "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\nSUxx",
    ],
)
async def test_a_file_that_holds_no_credentials_is_named_and_not_shown(creds: str, nats: NatsServer) -> None:
    with pytest.raises(FaultError) as caught:
        await connect(BusSettings(url=nats.url, name="x", creds=creds), wait_s=1)
    assert caught.value.fault.code == FaultCode.INVALID
    assert caught.value.fault.errors == (FieldError("nats_creds", "is no file of NATS credentials"),)
