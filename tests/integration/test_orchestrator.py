"""The orchestrator's calls and what follows from them, on a real bus and a real PostgreSQL."""

import asyncio
import time
from typing import Any

import asyncpg
import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.catalog import ListCatalog, ListTemplates
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import (
    ConfigureEngine,
    ListEngines,
    ListSessions,
    ReadEvents,
    ReadLogs,
    RestartEngine,
    StartEngine,
    StopEngine,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.logs import FoundLogs, SearchLogs
from flotilla.schemas.session import Cleanup, ContainerStatus, ListContainers
from flotilla.schemas.states import ClientState, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.strategy import WhichStrategy
from flotilla.schemas.telemetry import Alert, EventKind, LogLines, Severity, StateChange
from flotilla.services.orchestrator.engines import log_search
from tests.integration.orchestrator_bench import BARS, Bench, refused, until


async def test_an_engine_that_is_started_comes_to_trade(bench: Bench) -> None:
    accepted = await bench.start(parameters={"speed": 2}, max_order_rate=60)
    assert accepted.state == ClientState.STARTING
    assert accepted.container_name == f"nautilus-engine-{accepted.session_id}"
    engine = await bench.engine(accepted.session_id)
    assert engine.spec.plan.trader_id == "E1-001"
    assert engine.spec.plan.node["data_clients"]["SIM"]["config"] == {"speed": 2}
    assert engine.spec.plan.node["risk_engine"] == {"max_order_submit_rate": "60/00:01:00"}
    await engine.enter(RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)
    view = await bench.state(RunState.TRADING)
    assert (view.state, view.desired) == (ClientState.RUNNING, DesiredState.RUNNING)
    assert view.session is not None
    assert view.session.host == "h1"
    await until(bench.view, lambda view: view.session is not None and view.session.last_seq == 4)
    assert view.session.trading_at is not None
    view = await until(bench.view, lambda view: view.heartbeat_age_s is not None)
    assert view.heartbeat_age_s is not None
    assert view.heartbeat_age_s < 2
    assert bench.host.asked("start") == [accepted.session_id]


async def test_every_change_is_told_to_the_fleet_in_order(bench: Bench, bus: Bus) -> None:
    told: list[str] = []

    async def hear(view: object, ids: object) -> None:
        told.append(str(view.session.state))  # type: ignore[attr-defined]

    await bus.listen(contract.FLEET_STATE, hear)
    engine = await bench.trading()
    await bench.call(contract.ENGINE_STOP, StopEngine())
    await engine.enter(RunState.STOPPING, RunState.STOPPED)
    await bench.state(RunState.STOPPED)

    async def heard() -> list[str]:
        return list(dict.fromkeys(told))

    states = await until(heard, lambda states: "stopped" in states)
    expected = ["creating", "booting", "connecting", "reconciling", "trading", "stopping", "stopped"]
    # Events that come in one batch are one change.
    assert [state for state in expected if state in states] == states
    assert {"creating", "trading", "stopping", "stopped"} <= set(states)


async def test_the_same_request_twice_has_one_answer_and_one_effect(bench: Bench) -> None:
    request = StartEngine(config=EngineConfig(instance_id="e1", engine_type="sandbox"), request_id="req-1")
    first = await bench.call(contract.ENGINE_START, request)
    assert await bench.call(contract.ENGINE_START, request) == first
    await bench.engine(first.session_id)
    sessions = await bench.call(contract.ENGINE_SESSIONS, ListSessions(instance_id="e1"))
    assert [each.session_id for each in sessions.sessions] == [first.session_id]
    other = msgspec.structs.replace(request, config=EngineConfig(instance_id="e2", engine_type="sandbox"))
    error = await refused(bench, contract.ENGINE_START, other)
    assert error.code == FaultCode.CONFLICT
    assert "req-1" in error.message
    error = await refused(bench, contract.ENGINE_STOP, StopEngine(request_id="req-1"))
    assert error.code == FaultCode.CONFLICT


async def test_the_same_request_twice_at_once_has_one_answer_and_one_effect(bench: Bench) -> None:
    request = StartEngine(config=EngineConfig(instance_id="e1", engine_type="sandbox"), request_id="req-1")
    answers = await asyncio.gather(*(bench.call(contract.ENGINE_START, request) for _ in range(8)))
    assert len({answer.session_id for answer in answers}) == 1
    await bench.engine(answers[0].session_id)
    assert len(bench.host.specs) == 1


async def test_a_repeated_stop_does_not_stop_the_next_session(bench: Bench) -> None:
    engine = await bench.trading()
    stop = StopEngine(instance_id="e1", request_id="stop-1")
    answer = await bench.call(contract.ENGINE_STOP, stop)
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    await bench.trading()
    assert await bench.call(contract.ENGINE_STOP, stop) == answer
    assert (await bench.view()).session.state == RunState.TRADING  # type: ignore[union-attr]


async def test_a_command_that_is_limited_to_labels_changes_no_other_engine(bench: Bench) -> None:
    """Also one that the gateway has let through, because the engine was another when it looked."""
    await bench.trading(labels={"desk": "b"})
    stored = EngineConfig(instance_id="e1", engine_type="sandbox", labels={"desk": "a"})
    bench.operator.scope = lambda: {"desk": "a"}
    for call, request in (
        (contract.ENGINE_STOP, StopEngine(instance_id="e1", force=True)),
        (contract.ENGINE_RESTART, RestartEngine(instance_id="e1")),
        (contract.ENGINE_CONFIGURE, ConfigureEngine(config=stored)),
        (contract.ENGINE_START, StartEngine(config=stored)),
        (contract.STRATEGY_STOP, WhichStrategy(instance_id="e1", strategy_id="X-001")),
        # Without a name it would be the only one that runs.
        (contract.STRATEGY_STOP, WhichStrategy(strategy_id="X-001")),
    ):
        error = await refused(bench, call, request)
        assert (error.code, error.message) == (FaultCode.NOT_FOUND, "no engine e1 is known"), call.subject
    bare = EngineConfig(instance_id="e2", engine_type="sandbox")
    error = await refused(bench, contract.ENGINE_START, StartEngine(config=bare))
    assert (error.code, error.errors[0].field) == (FaultCode.FORBIDDEN, "config.labels")
    assert (await bench.view()).session.state == RunState.TRADING  # type: ignore[union-attr]
    bench.operator.scope = lambda: {"desk": "b"}
    assert (
        await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
    ).state == ClientState.STOPPING


async def test_starting_an_active_engine_is_a_conflict(bench: Bench) -> None:
    accepted = await bench.start()
    with pytest.raises(FaultError, match=str(accepted.session_id)) as raised:
        await bench.start()
    assert raised.value.fault.code == FaultCode.CONFLICT


async def test_a_stop_reaches_the_sidecar_and_what_is_left_is_removed(bench: Bench) -> None:
    engine = await bench.trading()
    accepted = await bench.call(contract.ENGINE_STOP, StopEngine(policy=StopPolicy.LEAVE))
    assert accepted.state == ClientState.STOPPING

    async def commands() -> list[object]:
        return list(engine.commands)

    # On a busy machine it is sent again before the first one was answered.
    sent = {(command.session_id, command.policy) for command in await until(commands)}  # type: ignore[attr-defined]
    assert sent == {(engine.spec.session_id, StopPolicy.LEAVE)}
    await engine.enter(RunState.STOPPING)
    await engine.enter(RunState.STOPPED, detail="", not_confirmed=("order O-1 still open",))
    view = await bench.state(RunState.STOPPED)
    assert (view.state, view.desired) == (ClientState.STOPPED, DesiredState.STOPPED)
    assert view.session is not None
    assert view.session.detail == "not confirmed: order O-1 still open"
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=0)
    await until(lambda: _async(bench.host.asked("remove")))
    assert bench.host.containers == {}
    again = await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
    assert (again.state, again.session_id) == (ClientState.STOPPED, engine.spec.session_id)


async def _async[T](value: T) -> T:
    return value


async def test_stopping_when_nothing_ever_ran_succeeds(bench: Bench) -> None:
    request = StopEngine(request_id="stop-none")
    answer = await bench.call(contract.ENGINE_STOP, request)
    assert (answer.state, answer.session_id) == (ClientState.STOPPED, None)
    assert await bench.call(contract.ENGINE_STOP, request) == answer


async def test_force_kills_at_once(bench: Bench) -> None:
    engine = await bench.trading()
    await bench.call(contract.ENGINE_STOP, StopEngine(force=True))
    view = await bench.state(RunState.STOPPED, within_s=3)
    assert view.session is not None
    assert view.session.exit_code == 137
    assert bench.host.asked("kill") == [engine.spec.session_id]
    assert engine.commands == []


async def test_a_sidecar_that_does_not_answer_is_ended_through_its_host(bench: Bench) -> None:
    bench.host.is_lifeless = True
    accepted = await bench.start()
    await bench.state(RunState.BOOTING)
    await bench.call(contract.ENGINE_STOP, StopEngine())
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=6)
    await bench.state(RunState.STOPPED, within_s=15)
    assert bench.host.asked("stop") == [accepted.session_id]


async def test_a_restart_makes_a_new_session_with_the_last_configuration(bench: Bench) -> None:
    engine = await bench.trading(log_level="DEBUG")
    accepted = await bench.call(contract.ENGINE_RESTART, RestartEngine())
    assert accepted.session_id != engine.spec.session_id
    with pytest.raises(FaultError, match="restarts already"):
        await bench.call(contract.ENGINE_RESTART, RestartEngine())
    await engine.enter(RunState.STOPPING, RunState.STOPPED)
    successor = await bench.engine(accepted.session_id)
    assert (successor.spec.generation, successor.spec.log_level) == (2, "DEBUG")
    await successor.enter(RunState.TRADING)
    await bench.state(RunState.TRADING)
    await successor.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    after_stop = await bench.call(contract.ENGINE_RESTART, RestartEngine())
    assert (await bench.engine(after_stop.session_id)).spec.generation == 3


async def test_a_restart_of_nothing_is_not_found(bench: Bench) -> None:
    assert (await refused(bench, contract.ENGINE_RESTART, RestartEngine())).code == FaultCode.NOT_FOUND


async def test_two_engines_are_independent_and_one_must_be_named(bench: Bench) -> None:
    first = await bench.trading("e1")
    second = await bench.trading("e2")
    for call, request in (
        (contract.ENGINE_STOP, StopEngine()),
        (contract.ENGINE_RESTART, RestartEngine()),
        (contract.ENGINE_STATUS, WhichEngine()),
        (contract.ENGINE_LOGS, ReadLogs()),
    ):
        error = await refused(bench, call, request)
        assert error.code == FaultCode.AMBIGUOUS_ENGINE
        assert [each.message for each in error.errors] == ["e1", "e2"]
    await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e1"))
    await first.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED, "e1")
    assert second.commands == []
    status = await bench.call(contract.ENGINE_STATUS, WhichEngine())
    assert status.engine is not None
    assert (status.engine.instance_id, status.engine.state) == ("e2", ClientState.RUNNING)
    assert [each.instance_id for each in status.active] == ["e2"]
    everyone = await bench.call(contract.ENGINE_LIST, ListEngines())
    assert ([each.instance_id for each in everyone.engines], everyone.total_count) == (["e2", "e1"], 2)
    active = await bench.call(contract.ENGINE_LIST, ListEngines(active=True))
    assert [each.instance_id for each in active.engines] == ["e2"]


async def test_a_crash_that_only_its_container_tells_of_is_reported_within_five_seconds(bench: Bench) -> None:
    engine = await bench.trading()
    began = time.monotonic()
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=137, is_oom_killed=True)
    view = await bench.state(RunState.FAILED, within_s=5)
    assert time.monotonic() - began < 5
    assert view.session is not None
    assert (view.state, view.session.reason, view.session.exit_code) == ("error", FailureReason.OOM, 137)


async def test_the_sidecars_account_of_a_crash_wins_over_the_containers(bench: Bench) -> None:
    engine = await bench.trading()
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=1)
    await engine.enter(RunState.FAILED, reason=FailureReason.CRASH, exit_code=-9, log_tail=("last words",))
    view = await bench.state(RunState.FAILED)
    assert view.session is not None
    assert (view.session.exit_code, view.session.log_tail) == (-9, ("last words",))


async def test_an_account_that_comes_late_still_replaces_the_containers(bench: Bench) -> None:
    engine = await bench.trading()
    await bench.host.report(engine.spec.session_id, ContainerStatus.EXITED, exit_code=1)
    await bench.state(RunState.FAILED)
    await engine.enter(RunState.FAILED, reason=FailureReason.STRATEGY, exit_code=1, log_tail=("boom",))
    view = await until(bench.view, lambda view: view.session.reason == "strategy")  # type: ignore[union-attr]
    assert view.session is not None
    assert view.session.log_tail == ("boom",)


async def test_a_container_that_vanished_is_a_crash(bench: Bench) -> None:
    bench.host.is_lifeless = True
    await bench.start()
    await bench.state(RunState.BOOTING)
    bench.host.containers.clear()
    view = await bench.state(RunState.FAILED)
    assert view.session is not None
    assert (view.session.reason, view.session.detail) == (FailureReason.CRASH, "the container is gone")


async def test_a_session_waits_for_a_host_and_goes_to_it(bench: Bench) -> None:
    bench.host.is_in_sight = False
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=10)
    accepted = await bench.start()
    assert (await bench.view()).session.state == RunState.SCHEDULED  # type: ignore[union-attr]
    bench.host.is_in_sight = True
    await bench.engine(accepted.session_id)


async def test_without_a_host_a_session_fails_and_says_so(bench: Bench) -> None:
    bench.host.is_in_sight = False
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=10)
    await bench.start()
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=45)
    view = await bench.state(RunState.FAILED)
    assert view.session is not None
    assert view.session.reason == FailureReason.HOST
    assert "no host" in str(view.session.detail)
    assert bench.host.calls == []


async def test_a_start_that_its_host_cannot_do_yet_is_tried_again_there(bench: Bench) -> None:
    bench.host.refusal = fault(FaultCode.UNAVAILABLE, "Docker does not answer", retry_after_s=1.0)
    accepted = await bench.start()
    view = await until(bench.view, lambda view: view.session.detail is not None)  # type: ignore[union-attr]
    assert view.session is not None
    assert (view.session.state, view.session.detail) == ("creating", "host h1: Docker does not answer")
    bench.host.refusal = None
    await bench.engine(accepted.session_id)
    assert set(bench.host.calls) == {("start", accepted.session_id)}


async def test_a_start_that_its_host_can_never_do_fails(bench: Bench) -> None:
    bench.host.refusal = fault(FaultCode.UNAVAILABLE, "No such image")
    await bench.start()
    view = await bench.state(RunState.FAILED)
    assert view.session is not None
    assert (view.session.reason, view.session.detail) == (FailureReason.HOST, "host h1: No such image")


async def test_a_host_out_of_sight_makes_its_engines_unknown_and_they_come_back(bench: Bench) -> None:
    engine = await bench.trading()
    bench.host.is_in_sight = False
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=20)
    view = await bench.state(RunState.UNKNOWN)
    assert view.state == ClientState.ERROR
    with pytest.raises(FaultError, match="is active"):
        await bench.start()
    bench.host.is_in_sight = True
    assert (await bench.state(RunState.TRADING)).state == ClientState.RUNNING
    assert bench.host.asked("start") == [engine.spec.session_id]


async def test_a_host_that_lists_no_containers_is_named_not_taken_for_empty(bench: Bench) -> None:
    await bench.trading()
    bench.host.is_in_sight = False

    async def listed() -> tuple[str, ...]:
        found: tuple[str, ...] = (await bench.call(contract.CONTAINER_LIST, ListContainers())).not_listed
        return found

    await until(listed)
    (named,) = await listed()
    assert named.startswith("host h1: ")
    cleaned = await bench.call(contract.CONTAINER_CLEANUP, Cleanup())
    assert [error.name for error in cleaned.errors] == ["host h1"]


async def test_a_container_that_nobody_knows_is_left_alone(bench: Bench) -> None:
    await bench.trading()
    bench.host.put("20200101-000000-abcdefabcdef", "stranger")
    listed = await bench.call(contract.CONTAINER_LIST, ListContainers())
    assert len(listed.containers) == 2
    bench.host.calls.clear()
    engine = await bench.trading("e2")
    bench.clock.ahead = bench.clock.ahead.__class__(seconds=3)
    await bench.call(contract.ENGINE_STOP, StopEngine(instance_id="e2", force=True))
    await until(lambda: _async(engine.spec.session_id in bench.host.asked("remove")))
    assert "20200101-000000-abcdefabcdef" in bench.host.containers


async def test_events_are_on_record_as_they_were_published(bench: Bench) -> None:
    engine = await bench.trading()
    alert = Alert(severity=Severity.WARNING, code="x", message="caf\u00e9 \x00")
    await engine.publish(EventKind.ALERT, alert)
    engine.seq += 2  # two are lost
    await engine.publish(EventKind.ALERT, alert)

    async def read() -> list[bytes]:
        answer = await bench.call(contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", kind="alert"))
        assert answer.session_id == engine.spec.session_id
        return [bytes(event) for event in answer.events]

    events = await until(read, lambda events: len(events) == 2)
    assert [msgspec.json.decode(event)["seq"] for event in events] == [5, 8]
    assert msgspec.json.decode(events[0])["data"] == msgspec.to_builtins(alert)
    page = ReadEvents(instance_id="e1", session_id=engine.spec.session_id, after_seq=3, limit=2)
    answer = await bench.call(contract.ENGINE_EVENTS, page)
    assert [msgspec.json.decode(event)["seq"] for event in answer.events] == [4, 5]
    assert answer.missing == ((6, 7),)
    beyond = await bench.call(contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", after_seq=2**62))
    assert beyond.events == ()
    error = await refused(bench, contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", session_id="other"))
    assert error.code == FaultCode.NOT_FOUND


async def test_a_poisoned_event_never_stops_those_behind_it(bench: Bench) -> None:
    engine = await bench.trading()
    for number, body in enumerate((b"", b"\xff", b"[" * 50_000, b'{"seq": 1}', b"null")):
        await bench.host.bus.publish_durable(
            contract.FILL, body, message_id=f"poison-{number}", instance_id="e1"
        )
    engine.seq += 1
    wild = engine.event(engine.seq, EventKind.STATE, StateChange(state=RunState.STOPPING, exit_code=2**40))
    await bench.host.bus.publish_durable(contract.STATE, wild, message_id="poison-w", instance_id="e1")
    stranger = engine.event(1, EventKind.ALERT, Alert(severity=Severity.INFO, code="x", message="y"))
    stranger = msgspec.structs.replace(stranger, session_id="nobodys")
    await bench.host.bus.publish_durable(contract.ALERT, stranger, message_id="poison-x", instance_id="e1")
    in_anothers_name = msgspec.structs.replace(stranger, instance_id="e9")
    await bench.host.bus.publish_durable(
        contract.ALERT, in_anothers_name, message_id="poison-y", instance_id="e1"
    )
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)


async def test_an_engine_cannot_speak_for_anothers_session(bench: Bench) -> None:
    first, second = await bench.trading("e1"), await bench.trading("e2")
    forged = second.event(99, EventKind.STATE, msgspec.json.decode(b'{"state": "failed"}'))
    forged = msgspec.structs.replace(forged, session_id=first.spec.session_id)
    await bench.host.bus.publish_durable(contract.STATE, forged, message_id="forged", instance_id="e2")
    await second.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED, "e2")
    assert (await bench.view("e1")).session.state == RunState.TRADING  # type: ignore[union-attr]
    answer = await bench.call(contract.ENGINE_EVENTS, ReadEvents(instance_id="e1", after_seq=50))
    assert answer.events == ()


async def test_logs_are_the_engines_real_lines_also_after_its_end(bench: Bench) -> None:
    engine = await bench.trading()
    for first in (1, 4):
        lines = tuple(
            f"line {number} [{'ERROR' if number == 2 else 'INFO'}] x" for number in range(first, first + 3)
        )
        batch = LogLines(
            instance_id="e1",
            session_id=engine.spec.session_id,
            first=first,
            at_ns=time.time_ns(),
            lines=lines,
        )
        await bench.host.bus.publish_durable(contract.LOG, batch, message_id=f"log-{first}", instance_id="e1")
    await engine.enter(RunState.STOPPED)
    await bench.state(RunState.STOPPED)
    found = await bench.call(contract.ENGINE_LOGS, ReadLogs(lines=2))
    assert (found.instance_id, found.total_lines) == ("e1", 6)
    assert found.lines == ("line 5 [INFO] x", "line 6 [INFO] x")
    errors = await bench.call(contract.ENGINE_LOGS, ReadLogs(instance_id="e1", level="error"))
    assert errors.lines == ("line 2 [ERROR] x",)


async def test_logs_of_all_engines_are_searched_page_by_page_and_say_how_far(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [await bench.trading(name) for name in ("e1", "e2")]
    for number in range(600):
        # Of two engines in turn, and a rare word; the step back widens where one of them says little.
        engine = sessions[number % 300 == 7].spec
        word = "needle" if number in (7, 8, 307) else "hay"
        batch = LogLines(
            instance_id="e1",  # what a payload says of itself is not believed
            session_id=engine.session_id,
            first=2 * number + 1,
            at_ns=time.time_ns(),
            lines=(f"x [INFO] {word} {number}", "x [WARN] more"),
        )
        await bench.host.bus.publish_durable(
            contract.LOG, batch, message_id=f"log-{number}", instance_id=engine.instance_id
        )

    async def search(**asked: Any) -> FoundLogs:
        return await bench.call(contract.LOG_SEARCH, SearchLogs(**asked))

    found = await search(text="NEEDLE")
    assert [(one.instance_id, one.text) for one in found.lines] == [
        ("e2", "x [INFO] needle 307"),
        ("e1", "x [INFO] needle 8"),
        ("e2", "x [INFO] needle 7"),
    ]
    assert found.next is None
    rare = await search(instance_id="e2", level="warning")
    assert [one.number for one in rare.lines] == [616, 16]
    between = await search(since=found.lines[1].at, until=found.lines[0].at, limit=1000)
    assert len(between.lines) == 2 * 299
    page = await search(limit=3)
    assert [one.number for one in page.lines] == [1200, 1199, 1198]
    on = await search(limit=2, cursor=page.next)
    assert [one.number for one in on.lines] == [1197, 1196]
    assert (await search(after=page.end)).lines == ()
    late = LogLines(instance_id="e1", session_id="s9", first=1, at_ns=1, lines=("late",))
    await bench.host.bus.publish_durable(contract.LOG, late, message_id="late", instance_id="e1")
    assert [one.text for one in (await search(after=page.end)).lines] == ["late"]
    monkeypatch.setattr(log_search, "_MOST_BYTES", 1)
    part = await search(text="needle 7")
    assert (part.lines, part.next is None) == ((), False)
    assert part.looked_back_to is not None
    rest = await search(text="needle 7", cursor=part.next)
    assert rest.next is not None
    last = await search(text="needle 7", cursor=rest.next)
    assert ([one.text for one in last.lines], last.next) == (["x [INFO] needle 7"], None)
    unlabelled = SearchLogs(instance_id="e1", labels={"desk": "fx"})
    assert (await refused(bench, contract.LOG_SEARCH, unlabelled)).code == FaultCode.NOT_FOUND
    assert (await search(labels={"desk": "fx"})).lines == ()


async def test_before_any_engine_ran_reads_are_empty(bench: Bench) -> None:
    status = await bench.call(contract.ENGINE_STATUS, WhichEngine())
    assert (status.engine, status.active) == (None, ())
    assert (await bench.call(contract.ENGINE_LIST, ListEngines())).total_count == 0
    assert (await bench.call(contract.ENGINE_LOGS, ReadLogs())).lines == ()
    assert (await bench.call(contract.CONTAINER_LIST, ListContainers())).containers == ()


async def test_templates_and_the_catalog_are_listed_as_they_are_now(bench: Bench) -> None:
    strategies = await bench.call(contract.TEMPLATE_LIST, ListTemplates())
    assert [each.name for each in strategies.templates] == ["ema_cross"]
    broken = bench.settings.templates[0] / "strategies" / "broken.json"
    broken.write_text("{")
    (bench.settings.templates[0] / "engines" / "other.json").write_text('{"name": "sandbox_engine"}')
    again = await bench.call(contract.TEMPLATE_LIST, ListTemplates())
    assert again.templates == strategies.templates
    assert [each.file for each in again.faults] == ["templates/strategies/broken.json"]
    engines = await bench.call(contract.TEMPLATE_LIST, ListTemplates(kind="engine"))
    assert [each.name for each in engines.templates] == ["live_engine", "paper_trading", "sandbox_engine"]
    view = await bench.call(contract.CATALOG_LIST, ListCatalog())
    assert [(each.identifier, each.files) for each in view.entries] == [(BARS, 1)]
    folder = bench.settings.catalog / "data" / "quote_tick" / "IXIC.SIM"
    folder.mkdir(parents=True)
    (folder / "2020-01-01T00-00-00-000000000Z_2020-01-02T00-00-00-000000000Z.parquet").write_bytes(b"")
    view = await bench.call(contract.CATALOG_LIST, ListCatalog())
    assert [each.instrument_id for each in view.entries] == ["SPX.SIM", "IXIC.SIM"]


async def test_live_trading_needs_confirmation_and_a_template(bench: Bench) -> None:
    config = EngineConfig(instance_id="e1", engine_type="LIVE", trading_mode="LIVE")
    error = await refused(bench, contract.ENGINE_START, StartEngine(config=config))
    assert error.code == FaultCode.CONFIRMATION_REQUIRED
    confirmed = StartEngine(config=config, confirm_live_trading=True)
    error = await refused(bench, contract.ENGINE_START, confirmed)
    assert [each.field for each in error.errors] == ["config.venues"]
    unguarded = msgspec.structs.replace(
        confirmed, config=msgspec.structs.replace(config, risk_engine_enabled=False)
    )
    error = await refused(bench, contract.ENGINE_START, unguarded)
    assert [each.field for each in error.errors] == ["config.risk_engine_enabled"]


async def rows(dsn: str) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            table: await connection.fetchval(f"select count(*) from {table}")
            for table in ("engines", "sessions", "commands", "events")
        }
    finally:
        await connection.close()


DEEP = b'{"config": {"parameters": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}}"
OWN = b'{"config": {"strategies": [{"strategy_path": "nautilus_trader.examples.strategies.x:B", "config_path": "nautilus_trader.examples.strategies.x:C", "config": %s}]}}'


def strategy(parameters: str) -> bytes:
    return b'{"config": {"strategies": [{"template": "ema_cross", "parameters": %s}]}}' % parameters.encode()


RUN = b'"strategy": "ema_cross", "start_date": "2020-01-01", "end_date": "2020-12-31", "instruments": ["SPX.SIM"], '


def backtest(field: bytes) -> bytes:
    return b'{"backtest_id": "b1", "config": {%s%s}}' % (RUN, field)


STUDY = (
    b'{"study_id": "s1", "config": {"base": {%s"output_path": "/srv"}, "axes": {"fast": {"values": [3, 5]}}}}'
    % RUN
)


BAD: list[tuple[contract.Call, bytes, int, str]] = [  # type: ignore[type-arg]
    (contract.ENGINE_START, b"", 400, ""),
    (contract.ENGINE_START, b"{", 400, ""),
    (contract.ENGINE_START, b"\xff\xfe", 400, ""),
    (contract.ENGINE_START, b'{"config": {"max_position_size": NaN}}', 400, ""),
    (contract.ENGINE_START, b'{"config": {"max_position_size": Infinity}}', 400, ""),
    (contract.ENGINE_START, DEEP, 400, ""),
    (contract.ENGINE_START, b'{"config": {"x": "' + b"y" * 300_000 + b'"}}', 413, ""),
    (contract.ENGINE_START, b"null", 422, "body"),
    (contract.ENGINE_START, b"[]", 422, "body"),
    (contract.ENGINE_START, b'{"confg": {}}', 422, "confg"),
    (contract.ENGINE_START, b'{"config": {"instance_id": "a.b"}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": "*"}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": ">"}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": "../x"}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": "a\\n"}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": ""}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": "%s"}}' % (b"a" * 64), 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"instance_id": 7}}', 422, "config.instance_id"),
    (contract.ENGINE_START, b'{"config": {"engine_type": "demo"}}', 422, "config.engine_type"),
    (contract.ENGINE_START, b'{"config": {}, "instance_id": "e9"}', 422, "instance_id"),
    (contract.ENGINE_START, b'{"instance_id": "nobody"}', 404, ""),
    (
        contract.ENGINE_START,
        b'{"config": {"restart": {"max_restarts": -1}}}',
        422,
        "config.restart.max_restarts",
    ),
    (contract.ENGINE_CONFIGURE, b"{}", 422, "config"),
    (contract.ENGINE_CONFIGURE, b'{"config": {"template": "none_such"}}', 422, "config.template"),
    (contract.ENGINE_CONFIGURE, b'{"config": {"parameters": {"speed": -1}}}', 422, "config.parameters.speed"),
    (
        contract.ENGINE_START,
        b'{"config": {"data_catalog_path": "/srv/data"}}',
        422,
        "config.data_catalog_path",
    ),
    (
        contract.ENGINE_CONFIGURE,
        b'{"config": {"cache_database_path": "/srv/cache"}}',
        422,
        "config.cache_database_path",
    ),
    (contract.BACKTEST_RUN, backtest(b'"output_path": "/srv/results"'), 422, "config.output_path"),
    (contract.BACKTEST_RUN, backtest(b'"data_sources": []'), 422, "config.data_sources"),
    (contract.STUDY_RUN, STUDY, 422, "config.base.output_path"),
    (contract.ENGINE_REMOVE, b"{}", 422, "instance_id"),
    (contract.ENGINE_REMOVE, b'{"instance_id": "nobody"}', 404, ""),
    (contract.EMERGENCY_STOP, b'{"deadline_s": 0}', 422, "deadline_s"),
    (contract.EMERGENCY_STOP, b'{"instance_id": "*"}', 422, "instance_id"),
    (contract.LIFT_STOP, b'{"instance_id": "a.b"}', 422, "instance_id"),
    (contract.CONTAINER_CLEANUP, b'{"force": "yes"}', 422, "force"),
    (contract.CONTAINER_CLEANUP, b'{"name": "x"}', 422, "name"),
    (contract.STRATEGY_ADD, b'{"strategy": {}}', 422, "strategy"),
    (contract.STRATEGY_ADD, b'{"instance_id": "nobody", "strategy": {"template": "ema_cross"}}', 404, ""),
    (contract.STRATEGY_STOP, b'{"strategy_id": "../x"}', 422, "strategy_id"),
    (contract.STRATEGY_START, b'{"strategy_id": "S-001", "policy": "burn"}', 422, "policy"),
    (contract.STRATEGY_REMOVE, b'{"strategy_id": "S-001", "instance_id": "nobody"}', 404, ""),
    (contract.STRATEGY_LIST, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_SIGNAL, b'{"name": "Mood*", "value": 1}', 422, "name"),
    (contract.ENGINE_SIGNAL, b'{"name": "mood", "value": true}', 422, "value"),
    (contract.ENGINE_SIGNAL, b'{"name": "mood", "value": 1, "instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_START, b'{"config": {"max_memory": "1t"}}', 422, "config.max_memory"),
    (contract.ENGINE_START, b'{"config": {"max_cpu": "-1"}}', 422, "config.max_cpu"),
    (contract.ENGINE_START, b'{"config": {"max_cpu": "NaN"}}', 422, "config.max_cpu"),
    (contract.ENGINE_START, b'{"config": {"max_position_size": -5}}', 422, "config.max_position_size"),
    (contract.ENGINE_START, b'{"config": {"max_order_rate": 0}}', 422, "config.max_order_rate"),
    (contract.ENGINE_START, b'{"config": {"template": "../x"}}', 422, "config.template"),
    (contract.ENGINE_START, b'{"config": {"template": "none_such"}}', 422, "config.template"),
    (contract.ENGINE_START, b'{"config": {"parameters": {"speed": -1}}}', 422, "config.parameters.speed"),
    (contract.ENGINE_START, b'{"config": {"parameters": {"speed": "1"}}}', 422, "config.parameters.speed"),
    (contract.ENGINE_START, b'{"config": {"parameters": {"sped": 1}}}', 422, "config.parameters.sped"),
    (contract.ENGINE_START, b'{"config": {"strategies": [{}]}}', 422, "config.strategies[0]"),
    (
        contract.ENGINE_START,
        b'{"config": {"strategies": [{"template": "none_such"}]}}',
        422,
        "config.strategies[0].template",
    ),
    *(
        (
            contract.ENGINE_START,
            strategy(f'{{"{name}": {value}}}'),
            422,
            f"config.strategies[0].parameters.{name}",
        )
        for name, value in (
            ("trade_size", "-5"),
            ("trade_size", '"NaN"'),
            ("trade_size", '"Infinity"'),
            ("trade_size", "0"),
            ("trade_size", "[]"),
            ("bar_type", '"AAPL.XNAS-1-DAY-LAST-EXTERNAL"'),
            ("bar_type", '"../x"'),
            ("surprise", "1"),
        )
    ),
    (contract.ENGINE_START, b'{"request_id": "a b"}', 422, "request_id"),
    (contract.ENGINE_START, b'{"request_id": "%s"}' % (b"a" * 101), 422, "request_id"),
    (contract.ENGINE_STOP, b"", 400, ""),
    (contract.ENGINE_STOP, b'{"instance_id": "a.b"}', 422, "instance_id"),
    (contract.ENGINE_STOP, b'{"policy": "burn"}', 422, "policy"),
    (contract.ENGINE_STOP, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_RESTART, b'{"instance_id": "a\\u0000"}', 422, "instance_id"),
    (contract.ENGINE_RESTART, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_STATUS, b'{"instance_id": "*"}', 422, "instance_id"),
    (contract.ENGINE_STATUS, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_LIST, b'{"limit": 0}', 422, "limit"),
    (contract.ENGINE_LIST, b'{"limit": 1e400}', 422, "limit"),
    (contract.ENGINE_LIST, b'{"limit": true}', 422, "limit"),
    (contract.ENGINE_SESSIONS, b"{}", 422, "instance_id"),
    (contract.ENGINE_SESSIONS, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_LOGS, b'{"lines": 1001}', 422, "lines"),
    (contract.ENGINE_LOGS, b'{"level": "loud"}', 422, "level"),
    (contract.ENGINE_LOGS, b'{"since": "yesterday"}', 422, "since"),
    (contract.ENGINE_LOGS, b'{"instance_id": "nobody"}', 404, ""),
    (contract.LOG_SEARCH, b'{"instance_id": "nobody"}', 404, ""),
    (contract.LOG_SEARCH, b'{"cursor": "1-2"}', 422, "cursor"),
    (contract.LOG_SEARCH, b'{"cursor": "1-2-3"}', 422, "cursor"),
    (
        contract.LOG_SEARCH,
        b'{"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}',
        422,
        "until",
    ),
    (contract.ENGINE_EVENTS, b'{"instance_id": "nobody"}', 404, ""),
    (contract.ENGINE_EVENTS, b'{"instance_id": "e1", "after_seq": -1}', 422, "after_seq"),
    (contract.ENGINE_EVENTS, b'{"instance_id": "e1", "kind": "gossip"}', 422, "kind"),
    (contract.ENGINE_EVENTS, b'{"instance_id": "e1", "session_id": "a/b"}', 422, "session_id"),
    (contract.CONTAINER_LIST, b'{"all": true}', 422, "all"),
    (contract.TEMPLATE_LIST, b'{"kind": "../engines"}', 422, "kind"),
    (contract.CATALOG_LIST, b'{"path": "/etc"}', 422, "path"),
]


async def test_bad_input_is_refused_by_name_and_leaves_nothing(bench: Bench) -> None:
    wrong: list[str] = []
    for call, body, status, field in BAD:
        answer = await bench.operator.client.request(call.subject, body, timeout=5)
        headers = answer.headers or {}
        problem = msgspec.json.decode(answer.data)
        fields = [error["field"] for error in problem.get("errors", [])]
        if headers.get("Nats-Service-Error-Code") != str(status) or (field and fields != [field]):
            wrong.append(f"{call.subject} {body[:80]!r}: {headers} {answer.data[:300]!r}")
        assert problem["error_id"]
    assert wrong == []
    assert set((await rows(bench.settings.dsn)).values()) == {0}
    assert bench.host.calls == []
    assert (await bench.start()).state == ClientState.STARTING


async def test_odd_but_lawful_input_is_kept_as_it_is(bench: Bench) -> None:
    nested = b"[" * 200 + b"]" * 200
    body = OWN % (b'{"note": "\\u0000 \\u2603 {trader_id}", "big": 18446744073709551615, "x": %s}' % nested)
    answer = await bench.operator.client.request(contract.ENGINE_START.subject, body, timeout=5)
    assert "Nats-Service-Error" not in (answer.headers or {}), answer.data
    engine = await bench.engine(msgspec.json.decode(answer.data)["session_id"])
    config = engine.spec.plan.strategies[0]["config"]
    assert config["note"] == "\x00 \u2603 {trader_id}"
    assert config["big"] == 2**64 - 1
