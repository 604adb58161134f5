"""Emergency stops over REST: straight to the supervisors, with a receipt per engine, and never a success that is not confirmed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.bus import fleet_stop
from flotilla.bus.bus import Bus
from flotilla.schemas.access import Role
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import EmergencyStop, LiftStop
from flotilla.services.gateway.engines import emergency
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, ENGINE, Stage, Supervisor, receipt, staged

STOP = f"{ENGINE}/emergency-stop"
SOON = {"deadline_s": 1}


@pytest.fixture
async def stage(
    connect_as: ConnectAs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(fleet_stop, "SEARCH_S", 0.4)
    async with staged(connect_as, tmp_path) as ready:
        yield ready


@pytest.fixture
async def bus(connect_as: ConnectAs) -> Bus:
    return await connect_as(Actor.SUPERVISOR)


async def send(
    stage: Stage, method: str, path: str, body: Any = None, status: int = 200, role: Role = Role.ADMIN
) -> Any:
    async with stage.http.request(method, path, json=body, headers=stage.bearer(role)) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_every_engine_of_every_host_gives_its_receipt_and_no_orchestrator_is_needed(
    stage: Stage, bus: Bus
) -> None:
    await stage.orchestrator.bus.close()
    hosts = [Supervisor(bus, "h1"), Supervisor(bus, "h2")]
    hosts[0].receipts = (receipt("e1"), receipt("e2"))
    hosts[1].receipts = (receipt("e3", "h2"),)
    for host in hosts:
        await host.start()
    body = {"deadlineS": 7, "reason": "enough"}
    reply = await send(stage, "POST", STOP, body, role=Role.TRADER)
    assert (reply["success"], reply["state"]) == (True, "stopped")
    assert reply["message"].startswith("e1; e2; e3 are flat and gone")
    first, _, third = reply["data"]["receipts"]
    assert first == {
        "instance_id": "e1",
        "session_id": "s-e1",
        "container_name": "nautilus-engine-s-e1",
        "host": "h1",
        "orders_cancelled": 2,
        "positions_closed": 1,
        "confirmed_flat": True,
        "not_confirmed": [],
        "container_gone": True,
        "killed": False,
        "milliseconds": {"cancel": 1.5, "close": 2.5, "stop": 3.5, "engine": 10.0, "container_gone": 20.0},
    }
    assert third["host"] == "h2"
    assert [flag["instance_id"] for flag in reply["data"]["flags"]] == [None]
    for host in hosts:
        (asked,) = host.requests
        assert isinstance(asked, EmergencyStop)
        assert (asked.reason, asked.instance_id) == ("enough", None)
        assert 6 < asked.deadline_s <= 7
        assert asked.request_id == reply["data"]["request_id"]


@pytest.mark.parametrize(
    ("changes", "question", "state"),
    [
        ({"is_flat": False, "not_confirmed": ("order O-1 still open",)}, "order O-1 still open", "stopped"),
        ({"is_flat": False, "stop": None, "is_killed": True}, "not confirmed to be flat", "stopped"),
        ({"is_gone": False, "gone_ms": None}, "its container is not confirmed to be gone", "unknown"),
        ({"is_killed": True}, "not confirmed to be flat", "stopped"),
        ({"not_confirmed": ("fill of O-2",)}, "fill of O-2", "stopped"),
    ],
)
async def test_what_is_not_confirmed_is_never_a_success_and_every_receipt_is_there_all_the_same(
    stage: Stage, bus: Bus, changes: dict[str, Any], question: str, state: str
) -> None:
    host = Supervisor(bus)
    host.receipts = (receipt("e1"), receipt("e2", **changes))
    await host.start()
    reply = await send(stage, "POST", STOP, status=504)
    assert (reply["success"], reply["code"], reply["state"]) == (False, "outcome_unknown", state)
    assert reply["detail"] == reply["message"] == f"not confirmed: e2: {question}"
    well, ill = reply["data"]["receipts"]
    assert well["not_confirmed"] == []
    assert ill["not_confirmed"] == [question]
    assert (ill["orders_cancelled"] is None) == (changes.get("stop", 0) is None)


async def test_a_host_that_does_not_answer_is_named_and_the_others_receipts_are_there(
    stage: Stage, bus: Bus
) -> None:
    well, ill = Supervisor(bus, "h1"), Supervisor(bus, "h2")
    well.receipts = (receipt("e1"),)
    ill.trouble = fault(FaultCode.INTERNAL, "no")
    for host in (well, ill):
        await host.start()
    reply = await send(stage, "POST", STOP, SOON, status=504)
    assert (reply["state"], reply["data"]["unreached"]) == ("unknown", ["h2"])
    assert "host h2 did not answer" in reply["message"]
    assert [one["instance_id"] for one in reply["data"]["receipts"]] == ["e1"]


async def test_a_host_that_fell_silent_is_asked_all_the_same_and_named(
    stage: Stage, bus: Bus, connect_as: ConnectAs
) -> None:
    gone = Supervisor(await connect_as(Actor.SUPERVISOR), "h2")
    await gone.start()
    await Supervisor(bus, "h1").start()
    await send(stage, "POST", STOP)  # it was heard by now
    await gone.bus.close()
    reply = await send(stage, "POST", STOP, SOON, status=504)
    assert reply["data"]["unreached"] == ["h2"]


async def test_a_host_that_is_silent_for_long_was_taken_away(
    stage: Stage, connect_as: ConnectAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Supervisor(await connect_as(Actor.SUPERVISOR), "h2")
    await gone.start()
    await send(stage, "POST", STOP)
    await gone.bus.close()
    monkeypatch.setattr(emergency, "HOST_GONE_S", 0.0)
    await send(stage, "POST", STOP, status=503)


async def test_with_no_host_in_sight_nothing_was_stopped_and_it_says_so(stage: Stage) -> None:
    reply = await send(stage, "POST", STOP, status=503)
    assert reply["message"] == "no host is in sight: nothing was stopped and no stop is in force"
    reply = await send(stage, "DELETE", STOP, status=503)
    assert reply["message"] == "no host is in sight: no stop was lifted"


async def test_one_engine_is_stopped_by_its_id_in_query_body_or_path(stage: Stage, bus: Bus) -> None:
    host = Supervisor(bus)
    host.receipts = (receipt("e1"),)
    await host.start()
    for path, body in (
        (f"{STOP}?instance_id=e1", None),
        (STOP, {"instanceId": "e1"}),
        (f"{API}/engines/e1/emergency-stop", {"reason": "x"}),
    ):
        reply = await send(stage, "POST", path, body)
        assert reply["message"] == "e1 is flat and gone; e1 starts again only once the stop is lifted"
    assert [asked.instance_id for asked in host.requests] == ["e1"] * 3


async def test_a_stop_is_lifted_for_one_engine_or_for_all(stage: Stage, bus: Bus) -> None:
    host = Supervisor(bus)
    await host.start()
    reply = await send(stage, "POST", f"{API}/engines/e1/emergency-stop")
    assert reply["message"].startswith("nothing ran; e1 starts again only once")
    reply = await send(stage, "DELETE", f"{API}/engines/e1/emergency-stop")
    assert (reply["success"], reply["state"]) == (True, "stop_lifted")
    assert reply["message"] == "e1 may be started again"
    reply = await send(stage, "DELETE", f"{STOP}?instance_id=e1")
    assert reply["data"]["flags"] == []
    reply = await send(stage, "DELETE", STOP)
    assert reply["message"] == "every engine may be started again"
    lifts = [asked.instance_id for asked in host.requests if isinstance(asked, LiftStop)]
    assert lifts == ["e1", "e1", None]


async def test_lifting_the_stop_of_one_engine_under_a_stop_of_all_is_a_conflict(
    stage: Stage, bus: Bus
) -> None:
    await Supervisor(bus).start()
    await send(stage, "POST", STOP)
    reply = await send(stage, "DELETE", f"{STOP}?instance_id=e1", status=409)
    assert (reply["code"], reply["state"]) == ("conflict", "stop_in_force")
    assert "the stop of all engines is still in force" in reply["message"]


async def test_a_lift_that_a_host_did_not_answer_is_not_known(stage: Stage, bus: Bus) -> None:
    host = Supervisor(bus)
    await host.start()
    await send(stage, "POST", STOP)
    host.trouble = fault(FaultCode.INTERNAL, "disk full")
    reply = await send(stage, "DELETE", STOP, status=504)
    assert reply["data"]["unreached"] == ["h1"]


async def test_a_trader_stops_and_only_an_admin_lifts(stage: Stage, bus: Bus) -> None:
    host = Supervisor(bus)
    await host.start()
    for path in (STOP, f"{API}/engines/e1/emergency-stop"):
        await send(stage, "POST", path, status=403, role=Role.VIEWER)
        await send(stage, "DELETE", path, status=403, role=Role.TRADER)
    assert host.requests == []
