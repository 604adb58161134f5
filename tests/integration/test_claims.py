"""Whoever stole an engine's credential says what it likes in the engine's name: what the record makes of it, and who hears of it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.schemas import contract
from flotilla.schemas.audit import AuditEntry, ReadAudit
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import ListSessions, ReadEvents
from flotilla.schemas.fault import FaultCode
from flotilla.schemas.session import ContainerStatus
from flotilla.schemas.states import RunState, SilencePolicy, StopPolicy
from flotilla.schemas.telemetry import (
    EngineEvent,
    EngineMetrics,
    EventKind,
    Fill,
    Heartbeat,
    StateChange,
    StopReport,
)
from flotilla.services.orchestrator.engines.claims import WHOLE
from flotilla.stack.servers.nats import NatsServer
from tests.integration.logins import engine_login
from tests.integration.orchestrator_bench import Bench, ScriptedEngine, until

NAMED_S = 15.0
"""Within so long whoever speaks in an engine's name is named."""
FLAT = StateChange(
    state=RunState.STOPPED, exit_code=0, stop=StopReport(policy=StopPolicy.FLATTEN, is_flat=True)
)


def fill(**more: Any) -> Fill:
    values: dict[str, Any] = {"trade_id": "T-1", "client_order_id": "O-1", "instrument_id": "SPX.SIM"}
    values |= {"strategy_id": "S-1", "side": "BUY", "last_qty": "1", "last_px": "2", "currency": "USD"}
    return Fill(**{**values, "commission": "0", "liquidity_side": "TAKER", "ts_event": 1, **more})


class Thief:
    """Holds the credential of a session that runs."""

    def __init__(self, bus: Bus, engine: ScriptedEngine) -> None:
        self.bus = bus
        self.engine = engine

    async def say(self, seq: int, data: Fill | StateChange, *, at_ns: int | None = None, **more: Any) -> None:
        kind = EventKind.FILL if isinstance(data, Fill) else EventKind.STATE
        event: EngineEvent[Any] = self.engine.event(seq, kind, data)
        event = msgspec.structs.replace(event, at_ns=at_ns or event.at_ns, **more)
        await self.bus.client.jetstream().publish(
            f"engine.{self.engine.spec.instance_id}.{kind}", msgspec.json.encode(event)
        )


@asynccontextmanager
async def stolen_from(bench: Bench, nats: NatsServer, **chosen: Any) -> AsyncIterator[Thief]:
    """A thief of the credential of an engine e1 that trades, with five events on record."""
    await bench.hear_alerts()
    engine = await bench.trading(**chosen)
    await engine.publish(EventKind.FILL, fill())
    bus = await connect(engine_login(nats, "e1", engine.spec.session_id))
    yield Thief(bus, engine)
    await bus.close()


@pytest.fixture
async def thief(nats: NatsServer, bench: Bench) -> AsyncIterator[Thief]:
    async with stolen_from(bench, nats) as thief:
        yield thief


async def attempts(bench: Bench, count: int = 1) -> list[AuditEntry]:
    """What the audit has of attempts in the name of e1, oldest first."""

    async def ask() -> list[AuditEntry]:
        answer = await bench.call(contract.AUDIT_LIST, ReadAudit(about="e1", limit=500))
        return [entry for entry in reversed(answer.entries) if entry.code == FaultCode.FORBIDDEN]

    return await until(ask, lambda found: len(found) >= count)


async def on_record(bench: Bench) -> list[EngineEvent[dict[str, Any]]]:
    answer = await bench.call(contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", limit=500))
    return [msgspec.json.decode(event, type=EngineEvent[dict[str, Any]]) for event in answer.events]


async def test_events_that_no_sidecar_can_have_made_are_kept_off_the_record(
    bench: Bench, thief: Thief
) -> None:
    """`forge.py` of the hostile suite."""
    before = await until(lambda: on_record(bench), lambda events: len(events) == 5)
    await thief.say(2**53, fill(trade_id="T-forged-1", last_qty="1000000", last_px="1"))
    await thief.say(2**62, fill(trade_id="=cmd|calc!A1"))
    await thief.say(6, fill(trade_id="T-huge", last_qty="1e40"))
    await thief.say(2**53 + 5, FLAT)
    await thief.say(9, fill(), instance_id="e2")
    found = await attempts(bench, 5)
    assert {entry.caller.credential for entry in found} == {"engine_e1"}
    assert sorted(entry.subject for entry in found) == [*["engine.e1.fill"] * 4, "engine.e1.state"]
    bodies = {entry.body["seq"]: entry.body["data"] for entry in found if entry.body is not None}
    assert bodies[2**62]["trade_id"] == "=cmd|calc!A1"
    alert = await bench.alert("forged_claim", NAMED_S)
    assert (alert.severity, alert.instance_id) == ("critical", "e1")
    assert "what follows: report" in alert.message
    await thief.engine.publish(EventKind.FILL, fill(trade_id="T-2"))
    events = await until(lambda: on_record(bench), lambda events: len(events) == 6)
    assert events[:5] == before
    assert (events[5].seq, events[5].data["trade_id"]) == (6, "T-2")
    view = await bench.view()
    assert view.session is not None
    assert (view.session.state, view.session.last_seq) == (RunState.TRADING, 6)


async def test_a_forged_end_is_named_and_not_confirmed_and_the_container_ends(
    bench: Bench, thief: Thief
) -> None:
    """The next number, said before the sidecar says it: nothing tells it from a true one until the sidecar's next heartbeats."""
    await thief.say(thief.engine.seq + 1, FLAT)
    said_at = time.monotonic()
    await bench.state(RunState.STOPPED)
    alert = await bench.alert("forged_claim", NAMED_S)
    assert time.monotonic() - said_at < NAMED_S
    assert "events 6 to 6 are on record, and its sidecar has made 5" in alert.message
    (entry,) = {each.message: each for each in await attempts(bench)}.values()
    assert entry.subject == "engine.e1.heartbeat"
    session_id = thief.engine.spec.session_id

    async def marked() -> bool:
        answer = await bench.call(contract.ENGINE_SESSIONS, ListSessions(instance_id="e1"))
        (session,) = answer.sessions
        return session.stop is None and any("somebody else" in doubt for doubt in session.not_confirmed)

    await until(marked)
    bench.later(10)

    async def is_over() -> bool:
        facts = bench.host.containers.get(session_id)
        return facts is None or facts.status == ContainerStatus.EXITED

    await until(is_over)


async def test_a_number_that_is_said_twice_stands_for_what_came_first_and_both_are_kept(
    bench: Bench, thief: Thief
) -> None:
    await thief.say(thief.engine.seq + 1, fill(trade_id="T-forged"))
    await thief.say(2, FLAT)
    await until(lambda: on_record(bench), lambda events: len(events) == 6)
    await thief.engine.publish(EventKind.FILL, fill(trade_id="T-true"))
    found = await attempts(bench, 2)
    assert [entry.body["data"].get("trade_id") for entry in found if entry.body] == [None, "T-true"]
    assert {entry.message for entry in found} == {
        f"event {seq} was said twice, each time otherwise: the first one is on record" for seq in (2, 6)
    }
    await bench.alert("forged_claim", NAMED_S)
    assert (await on_record(bench))[-1].data["trade_id"] == "T-forged"
    assert (await bench.view()).session.state == RunState.TRADING  # type: ignore[union-attr]


async def test_times_that_cannot_be_are_marked_and_the_event_is_kept(bench: Bench, thief: Thief) -> None:
    past, future = datetime(1999, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=400)
    for seq, at in ((6, past), (7, future)):
        await thief.say(seq, fill(), at_ns=int(at.timestamp()) * 1_000_000_000)
    found = await attempts(bench, 2)
    assert ["long before its session" in found[0].message, "long after the bus" in found[1].message] == [
        True
    ] * 2
    alert = await bench.alert("doubtful_claim")
    assert alert.severity == "warning"
    assert len(await until(lambda: on_record(bench), lambda events: len(events) == 7)) == 7


async def test_figures_and_heartbeats_of_a_second_voice_are_named(bench: Bench, thief: Thief) -> None:
    spec = thief.engine.spec
    own = EngineMetrics(instance_id="e1", session_id=spec.session_id, at_ns=1, fills_total=1)
    forged = msgspec.structs.replace(
        own, fills_total=42, realized_pnl={"USD": "999999999.00"}, net_positions={"SPX.SIM": "0"}
    )
    for _ in range(5):
        await bench.host.bus.publish(contract.METRICS, own, instance_id="e1")
        await bench.host.bus.flush()
        await thief.bus.publish(contract.METRICS, forged, instance_id="e1")
        beat = Heartbeat(
            instance_id="e1",
            session_id=spec.session_id,
            generation=spec.generation,
            beat=1,
            at_ns=time.time_ns(),
            state=RunState.STOPPED,
        )
        await thief.bus.publish(contract.HEARTBEAT, beat, instance_id="e1")
        await thief.bus.flush()
        await bench.operator.flush()
        bench.later(2)

    async def subjects() -> set[str]:
        return {entry.subject for entry in await attempts(bench, 2)}

    await until(subjects, lambda found: found == {"engine.e1.metrics", "engine.e1.heartbeat"})
    await bench.alert("forged_claim", NAMED_S)


async def test_a_flood_of_forgeries_does_not_flood_the_audit(bench: Bench, thief: Thief) -> None:
    for number in range(5 * WHOLE):
        await thief.say(2**53 + number, fill())
    await until(lambda: _poisoned(bench), lambda count: count == 5 * WHOLE)
    assert len(await attempts(bench, WHOLE)) == WHOLE
    bench.later(61)
    await thief.say(2**54, fill())
    assert (await attempts(bench, WHOLE + 1))[-1].message.endswith(f"(and {4 * WHOLE} more like it)")


async def _poisoned(bench: Bench) -> float:
    return bench.made.metrics()["events_poisoned_total"]


async def test_where_its_policy_says_so_the_session_is_ended_and_another_begins(
    bench: Bench, nats: NatsServer
) -> None:
    restart = RestartPolicy(max_restarts=1, backoff_s=0.1, on_silence=SilencePolicy.RESTART)
    async with stolen_from(bench, nats, restart=restart) as thief:
        await thief.say(2**53, fill())
        alert = await bench.alert("forged_claim", NAMED_S)
        assert "what follows: restart" in alert.message
        await until(lambda: _commands(thief), lambda count: count > 0, within_s=NAMED_S)
        await thief.engine.enter(RunState.STOPPED)
        session_id = thief.engine.spec.session_id
        await bench.host.report(session_id, ContainerStatus.EXITED, exit_code=0)

        async def follows() -> bool:
            session = (await bench.view()).session
            return session is not None and session.session_id != session_id

        await until(follows, within_s=NAMED_S)
        await bench.alert("engine_restarted")


async def _commands(thief: Thief) -> int:
    return len(thief.engine.commands)
