"""Tokens with labels: what a trader of one desk sees and commands, and what he does not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.endpoint import asked
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineList, EngineView, FleetStatus, ListEngines, StartEngine, WhichEngine
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.labels import matches
from flotilla.schemas.telemetry import FleetAlert, Severity, StopFlag
from flotilla.stack.servers.nats import NatsServer
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import (
    API,
    ENGINE,
    NOW,
    Stage,
    Supervisor,
    accepted,
    engine,
    receipt,
    staged,
)
from tests.integration.logins import engine_login
from tests.integration.test_gateway_stream import Reader, alert, kept

PLURAL = f"{API}/engines"
STREAM = f"{API}/stream"


def labelled(instance_id: str, **labels: str) -> EngineView:
    config = EngineConfig(instance_id=instance_id, labels=labels)
    return engine(instance_id, f"s-{instance_id}", config=config)


class Fleet:
    """Engines with labels, listed and told of as the orchestrator does."""

    def __init__(self, stage: Stage, *engines: EngineView) -> None:
        self.engines = {one.instance_id: one for one in engines}
        self.scopes: list[Any] = []
        stage.orchestrator.answers |= {
            "fleet.engine.list": self.list,
            "fleet.engine.status": self.status,
            "fleet.engine.start": self.start,
            "fleet.engine.stop": self.stop,
        }

    def list(self, request: ListEngines) -> EngineList:
        found = tuple(one for one in self.engines.values() if matches(one.config.labels, request.labels))
        return EngineList(engines=found[: request.limit], total_count=len(found))

    def status(self, request: WhichEngine) -> FleetStatus | FaultError:
        if request.instance_id is None:
            raise AssertionError("a token with labels never asks for whichever is active")
        if request.instance_id not in self.engines:
            return fault(FaultCode.NOT_FOUND, f"no engine {request.instance_id} is known")
        return FleetStatus(engine=self.engines[request.instance_id], active=tuple(self.engines.values()))

    def start(self, request: StartEngine) -> Any:
        self.scopes.append(asked().scope)
        config = request.config
        return accepted(config.instance_id if config else str(request.instance_id), config=config)

    def stop(self, request: Any) -> Any:
        self.scopes.append(asked().scope)
        return accepted(request.instance_id, is_taken=True)


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        ready.http.headers["Authorization"] = "Bearer " + create_token(
            tmp_path / "tokens.jsonl", "desk-a", Role.ADMIN, labels={"desk": "a"}
        )
        yield ready


@pytest.fixture
def fleet(stage: Stage) -> Fleet:
    return Fleet(
        stage,
        labelled("mine", desk="a", zone="x"),
        labelled("theirs", desk="b"),
        labelled("nobodys"),
    )


async def call(stage: Stage, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with stage.http.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def test_lists_have_the_engines_of_the_token_only(stage: Stage, fleet: Fleet) -> None:
    _, known = await call(stage, "GET", PLURAL)
    assert ([one["instance_id"] for one in known["engines"]], known["total_count"]) == (["mine"], 1)
    _, known = await call(stage, "GET", f"{PLURAL}?label=zone=x")
    assert known["total_count"] == 1
    for label in ("desk=b", "zone=y"):
        _, known = await call(stage, "GET", f"{PLURAL}?label={label}")
        assert (known["engines"], known["total_count"]) == ([], 0)
    _, health = await call(stage, "GET", f"{ENGINE}/health")
    assert health["active_containers"] == ["nautilus-engine-s-mine"]


async def test_logs_are_searched_in_those_of_the_token_only(stage: Stage, fleet: Fleet) -> None:
    stage.orchestrator.requests.clear()
    assert (await call(stage, "GET", f"{API}/logs?label=zone=x"))[0] == 200
    assert [one.labels for one in stage.orchestrator.requests] == [{"desk": "a", "zone": "x"}]
    code, known = await call(stage, "GET", f"{API}/logs?label=desk=b&instance_id=theirs")
    assert (code, known["lines"], known["next"], known["end"]) == (200, [], None, None)
    assert len(stage.orchestrator.requests) == 1, "nothing can carry both"
    assert (await call(stage, "GET", f"{API}/doctor"))[0] == 403


async def test_status_is_of_the_tokens_own_engine_and_counts_no_other(stage: Stage, fleet: Fleet) -> None:
    code, known = await call(stage, "GET", f"{ENGINE}/status")
    status = known["status"]
    assert (code, status["instance_id"]) == (200, "mine"), "the one that is active, of its own"
    assert status["container_count"] == 1
    assert status["active_containers"] == ["nautilus-engine-s-mine"]
    assert (status["active_backtests"], status["backtest_count"]) == ({}, None)
    assert "theirs" not in str(known)
    fleet.engines["second"] = labelled("second", desk="a")
    code, known = await call(stage, "GET", f"{ENGINE}/status")
    assert (code, known["code"]) == (409, "ambiguous_engine")
    assert [one["message"] for one in known["errors"]] == ["mine", "second"]
    fleet.engines = {"theirs": fleet.engines["theirs"]}
    code, known = await call(stage, "GET", f"{ENGINE}/status")
    assert code == 404
    assert "theirs" not in str(known)


@pytest.mark.parametrize("other", ["theirs", "nobodys"])
async def test_another_desks_engine_is_answered_as_one_that_does_not_exist(
    stage: Stage, fleet: Fleet, other: str
) -> None:
    for method, path, body in (
        ("GET", f"{PLURAL}/{{}}", None),
        ("GET", f"{PLURAL}/{{}}/logs", None),
        ("GET", f"{PLURAL}/{{}}/events", None),
        ("GET", f"{PLURAL}/{{}}/sessions", None),
        ("GET", f"{PLURAL}/{{}}/strategies", None),
        ("GET", f"{ENGINE}/status?instance_id={{}}", None),
        ("GET", f"{ENGINE}/logs?instance_id={{}}", None),
        ("POST", f"{ENGINE}/stop?instance_id={{}}", None),
        ("POST", f"{ENGINE}/stop", {"instance_id": "{}"}),
        ("POST", f"{ENGINE}/restart", {"instanceId": "{}"}),
        ("POST", f"{ENGINE}/emergency-stop", {"instance_id": "{}"}),
        ("DELETE", f"{ENGINE}/emergency-stop?instance_id={{}}", None),
        ("POST", f"{PLURAL}/{{}}/stop", None),
        ("POST", f"{PLURAL}/{{}}/start", None),
        ("POST", f"{PLURAL}/{{}}/emergency-stop", None),
        ("DELETE", f"{PLURAL}/{{}}", None),
    ):

        def about(name: str, body: Any = body) -> Any:
            return dict.fromkeys(body, name) if body else None

        answers = []
        for name in (other, "never-was"):
            code, known = await call(stage, method, path.format(name), about(name))
            answers.append((code, known["code"], known["message"].replace(name, "?"), known.get("errors")))
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] == 404, (method, path)
    assert fleet.scopes == []


async def test_its_own_engine_a_token_commands_and_its_labels_go_with_the_command(
    stage: Stage, fleet: Fleet
) -> None:
    for path, body in (
        (f"{ENGINE}/stop", None),
        (f"{ENGINE}/stop?instance_id=mine", None),
        (f"{PLURAL}/mine/stop", {"force": True}),
        (f"{PLURAL}/mine/start", None),
    ):
        code, known = await call(stage, "POST", path, body)
        assert (code, known["data"]["instance_id"]) == (200, "mine"), path
    assert fleet.scopes == [{"desk": "a"}] * 4


async def test_what_a_token_starts_or_stores_carries_its_labels(stage: Stage, fleet: Fleet) -> None:
    for given, stored in (
        ({}, {"desk": "a"}),
        ({"zone": "y"}, {"desk": "a", "zone": "y"}),
        ({"desk": "a"},) * 2,
    ):
        for method, path in (
            ("POST", f"{ENGINE}/start"),
            ("PUT", f"{ENGINE}/config"),
            ("POST", f"{PLURAL}/new/start"),
        ):
            body = {"config": {"instance_id": "new", "labels": given}}
            code, _ = await call(stage, method, path, body)
            assert code == 200, (path, given)
            assert stage.orchestrator.requests[-1].config.labels == stored
    before = len(stage.orchestrator.requests)
    for method, path in (("POST", f"{ENGINE}/start"), ("PUT", f"{ENGINE}/config")):
        body = {"config": {"instance_id": "new", "labels": {"desk": "b"}}}
        code, known = await call(stage, method, path, body)
        assert (code, known["code"], known["errors"][0]["field"]) == (403, "forbidden", "config.labels")
    full = {f"k{number}": "v" for number in range(16)}
    code, known = await call(
        stage, "POST", f"{ENGINE}/start", {"config": {"instance_id": "new", "labels": full}}
    )
    assert (code, known["errors"][0]["field"]) == (422, "config.labels")
    assert len(stage.orchestrator.requests) == before


@pytest.mark.parametrize("other", ["theirs", "nobodys"])
async def test_no_engine_is_taken_over_by_starting_it_anew(stage: Stage, fleet: Fleet, other: str) -> None:
    for method, path in (
        ("POST", f"{ENGINE}/start"),
        ("PUT", f"{ENGINE}/config"),
        ("POST", f"{PLURAL}/{other}/start"),
        ("PUT", f"{PLURAL}/{other}/config"),
    ):
        code, known = await call(
            stage, method, path, {"config": {"instance_id": other, "labels": {"desk": "a"}}}
        )
        assert (code, known["code"]) == (409, "conflict")
        assert "desk" not in known["message"], "not even what it carries"
    assert fleet.scopes == []


async def test_while_nobody_can_tell_whose_an_engine_is_nothing_is_done(stage: Stage, fleet: Fleet) -> None:
    await stage.orchestrator.bus.drain()
    for method, path in (
        ("POST", f"{PLURAL}/mine/stop"),
        ("GET", f"{PLURAL}/mine/logs"),
        ("POST", f"{PLURAL}/mine/emergency-stop"),
    ):
        code, known = await call(stage, method, path)
        assert (code, known["code"]) == (503, "unavailable")


async def test_an_emergency_stop_of_its_own_needs_no_orchestrator_and_shows_no_flag_of_others(
    stage: Stage, fleet: Fleet, connect_as: ConnectAs
) -> None:
    supervisor = Supervisor(await connect_as(Actor.SUPERVISOR))
    await supervisor.start()
    supervisor.receipts = (receipt("mine"),)
    supervisor.flags = (StopFlag(since=NOW, instance_id="theirs", reason="secret"),)
    await stage.orchestrator.publish(fleet.engines["mine"])
    await stage.orchestrator.publish(fleet.engines["theirs"])
    await stage.orchestrator.bus.flush()
    await stage.orchestrator.bus.drain()
    async with asyncio.timeout(20):
        code, known = await call(stage, "POST", f"{PLURAL}/mine/emergency-stop")
    assert code == 200, known
    assert [one["instance_id"] for one in known["data"]["receipts"]] == ["mine"]
    assert [one["instance_id"] for one in known["data"]["flags"]] == ["mine"]
    assert "secret" not in str(known)
    code, _ = await call(stage, "POST", f"{PLURAL}/theirs/emergency-stop")
    assert code == 503
    assert [getattr(one, "instance_id", None) for one in supervisor.requests] == ["mine"]
    code, known = await call(stage, "DELETE", f"{PLURAL}/mine/emergency-stop")
    assert "theirs" not in str(known)
    assert "secret" not in str(known)


async def test_a_stream_tells_of_the_tokens_engines_only(
    stage: Stage, fleet: Fleet, nats: NatsServer
) -> None:
    mine, theirs = await connect(engine_login(nats, "mine")), await connect(engine_login(nats, "theirs"))
    try:
        async with stage.http.get(STREAM) as answer:
            reader = Reader(answer)
            await _told(theirs, "theirs", 1)
            await stage.orchestrator.publish(fleet.engines["theirs"])
            for about in (None, "theirs", "mine"):
                told = FleetAlert(
                    at=NOW, severity=Severity.INFO, code="test", message="look", instance_id=about
                )
                await stage.orchestrator.bus.publish(contract.FLEET_ALERT, told)
            kind, payload = await reader.event()
            assert (kind, payload["instance_id"]) == ("fleet_alert", "mine")
            await _told(mine, "mine", 2)
            assert (await reader.event())[1]["seq"] == 2
            # It is given to another desk, and back.
            await stage.orchestrator.publish(labelled("mine", desk="b"))
            await stage.orchestrator.bus.flush()
            await _until_hidden(stage, mine, reader)
            await stage.orchestrator.publish(fleet.engines["mine"])
            assert (await reader.event())[0] == "fleet"
            # And a new one comes.
            await stage.orchestrator.publish(labelled("theirs", desk="a"))
            assert (await reader.event())[1]["config"]["labels"] == {"desk": "a"}
            await _told(theirs, "theirs", 3)
            assert (await reader.event())[1]["seq"] == 3
    finally:
        await mine.close()
        await theirs.close()


async def _told(sidecar: Bus, instance_id: str, seq: int) -> None:
    said = msgspec.structs.replace(alert(seq), instance_id=instance_id)
    await sidecar.publish(contract.ALERT, said, instance_id=instance_id)
    await sidecar.flush()


async def _until_hidden(stage: Stage, sidecar: Bus, reader: Reader) -> None:
    """Events of an engine go on coming until the gateway has heard of its labels; then no more."""
    async with asyncio.timeout(10):
        while True:
            await _told(sidecar, "mine", 99)
            try:
                await reader.event(timeout_s=0.5)
            except TimeoutError:
                return


async def test_streams_of_backtests_are_for_tokens_without_labels(stage: Stage, fleet: Fleet) -> None:
    async with stage.http.get(f"{STREAM}?kinds=backtest_progress") as answer:
        assert answer.status == 403
    async with stage.http.get(f"{STREAM}?instance_id=theirs") as answer:
        assert answer.status == 200, "that there is one is not told"


async def test_a_stream_goes_on_to_tell_of_its_engines_when_the_bus_was_away(
    stage: Stage, fleet: Fleet, nats: NatsServer
) -> None:
    mine = await connect(engine_login(nats, "mine"))
    try:
        async with stage.http.get(f"{STREAM}?kinds=alert") as answer:
            reader = Reader(answer)
            nats.kill()
            nats.start()
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                events = group.create_task(_second_kind(reader))
                while not events.done():
                    if mine.is_connected:
                        said = msgspec.structs.replace(alert(2), instance_id="mine")
                        await mine.publish(contract.ALERT, said, instance_id="mine")
                    await asyncio.sleep(0.05)
            assert events.result() == "alert"
    finally:
        await mine.close()


async def _second_kind(reader: Reader) -> str:
    while (await reader.event(timeout_s=20))[0] == "gap":
        pass
    return "alert"


async def test_an_engine_that_changed_hands_while_the_bus_was_away_is_told_of_no_more(
    stage: Stage, fleet: Fleet, nats: NatsServer
) -> None:
    """And of one that stayed no event is lost: they wait until it is known again whose it is."""
    fleet.engines["also"] = labelled("also", desk="a")
    mine, also = await connect(engine_login(nats, "mine")), await connect(engine_login(nats, "also"))
    try:
        async with stage.http.get(f"{STREAM}?kinds=alert") as answer:
            reader = Reader(answer)
            await _told(mine, "mine", 1)
            assert (await reader.event())[1]["seq"] == 1
            nats.kill()
            fleet.engines["mine"] = labelled("mine", desk="b")
            nats.start()
            for seq in range(2, 8):
                for bus, name in ((mine, "mine"), (also, "also")):
                    await kept(bus, msgspec.structs.replace(alert(seq), instance_id=name), name)
            heard = [await reader.event(timeout_s=20) for _ in range(6)]
            assert [(kind, payload["instance_id"], payload["seq"]) for kind, payload in heard] == [
                ("alert", "also", seq) for seq in range(2, 8)
            ]
    finally:
        await mine.close()
        await also.close()
