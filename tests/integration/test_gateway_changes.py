"""Configurations that are stored, engines that are forgotten, containers that are cleaned up, and strategies changed or checked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from flotilla.schemas.access import Role
from flotilla.schemas.catalog import StrategyVerdict, ValidateStrategy
from flotilla.schemas.engine import ConfigureEngine, RemoveEngine, SessionList, StartEngine
from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.session import Cleanup, CleanupError, CleanupReport
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.strategy import AddStrategy, ListStrategies, WhichStrategy
from flotilla.schemas.telemetry import StopReport
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import (
    API,
    CONTAINER,
    ENGINE,
    NOW,
    STRATEGIES,
    Stage,
    accepted,
    session,
    staged,
)

ONE = f"{API}/engines/e1"
CLEANUP = f"{ENGINE}/containers/cleanup"
VALIDATE = f"{ENGINE}/strategies/validate"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def send(
    stage: Stage, method: str, path: str, body: Any = None, status: int = 200, role: Role = Role.ADMIN
) -> Any:
    async with stage.http.request(method, path, json=body, headers=stage.bearer(role)) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_a_configuration_is_stored_and_the_state_says_so(stage: Stage) -> None:
    reply = await send(stage, "PUT", f"{ENGINE}/config", {"config": {"instanceId": "e1", "maxCpu": "1.0"}})
    assert (reply["success"], reply["state"], reply["message"]) == (True, "config_updated", "stored")
    assert reply["data"]["config"]["instance_id"] == "e1"
    await send(stage, "PUT", f"{ONE}/config", {"config": {}}, role=Role.TRADER)
    first, second = stage.orchestrator.requests
    assert isinstance(first, ConfigureEngine)
    assert (first.config.instance_id, first.config.max_cpu) == ("e1", "1.0")
    assert second.config.instance_id == "e1"
    assert second.request_id is not None


async def test_an_engine_is_started_with_what_is_stored_for_it_when_its_start_has_no_configuration(
    stage: Stage,
) -> None:
    for body in (None, {}, {"confirmLiveTrading": True}, {"config": None}):
        await send(stage, "POST", f"{ONE}/start", body)
    for asked in stage.orchestrator.requests:
        assert isinstance(asked, StartEngine)
        assert (asked.config, asked.instance_id) == (None, "e1")
    assert [asked.confirm_live_trading for asked in stage.orchestrator.requests] == [
        False,
        False,
        True,
        False,
    ]


async def test_an_engine_is_forgotten_by_an_admin_only(stage: Stage) -> None:
    await send(stage, "DELETE", ONE, status=403, role=Role.TRADER)
    assert stage.orchestrator.requests == []
    reply = await send(stage, "DELETE", ONE)
    assert (reply["success"], reply["message"]) == (True, "forgotten")
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, RemoveEngine)
    assert asked.instance_id == "e1"
    stage.orchestrator.answers["fleet.engine.remove"] = fault(FaultCode.CONFLICT, "e1 is active")
    assert (await send(stage, "DELETE", ONE, status=409))["detail"] == "e1 is active"


async def test_cleanup_names_what_it_removed(stage: Stage) -> None:
    reply = await send(stage, "DELETE", CLEANUP)
    assert reply == {
        "success": True,
        "message": "1 removed",
        "cleaned_containers": ["nautilus-engine-s1"],
        "errors": [],
        "total_cleaned": 1,
        "dry_run": False,
    }
    stage.orchestrator.answers["fleet.container.cleanup"] = CleanupReport(
        cleaned=(CONTAINER,), is_dry_run=True
    )
    reply = await send(stage, "DELETE", f"{CLEANUP}?dry_run=true&force=true")
    assert (reply["message"], reply["dry_run"]) == ("1 would be removed", True)
    plain, tried = stage.orchestrator.requests
    assert isinstance(plain, Cleanup)
    assert (plain.force, plain.dry_run) == (False, False)
    assert (tried.force, tried.dry_run) == (True, True)
    await send(stage, "DELETE", CLEANUP, status=403, role=Role.TRADER)


async def test_a_cleanup_that_left_something_is_no_success_and_says_both(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.container.cleanup"] = CleanupReport(
        cleaned=(CONTAINER,), errors=(CleanupError(name="nautilus-engine-s2", message="device busy"),)
    )
    reply = await send(stage, "DELETE", CLEANUP, status=500)
    assert (reply["success"], reply["total_cleaned"]) == (False, 1)
    assert reply["cleaned_containers"] == ["nautilus-engine-s1"]
    assert reply["errors"] == [{"name": "nautilus-engine-s2", "message": "device busy"}]
    assert reply["detail"] == reply["message"]
    assert "nautilus-engine-s2: device busy" in reply["message"]
    await matches_the_document(stage, "delete", CLEANUP, reply, "500")


async def test_parameters_that_are_sound_are_answered_with_the_config_they_make(stage: Stage) -> None:
    body = {"strategyName": "ema_cross", "parameters": {"barType": 1}}
    reply = await send(stage, "POST", VALIDATE, body, role=Role.VIEWER)
    assert reply == {
        "success": True,
        "message": "sound",
        "required_parameters": ["bar_type"],
        "config": {"fast": 10},
    }
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, ValidateStrategy)
    assert (asked.strategy_name, asked.parameters) == ("ema_cross", {"barType": 1})


async def test_everything_that_is_wrong_with_parameters_is_said_at_once(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.strategy.validate"] = StrategyVerdict(
        is_valid=False,
        message="2 parameters are wrong",
        required_parameters=("bar_type",),
        missing_parameters=("bar_type",),
        errors=(FieldError("parameters.fast", "must be 1 or more"),),
    )
    reply = await send(stage, "POST", VALIDATE, {"strategy_name": "ema_cross"}, 422)
    assert (reply["success"], reply["code"]) == (False, "invalid")
    assert reply["error"] == reply["message"] == reply["detail"] == "2 parameters are wrong"
    assert reply["required_parameters"] == reply["missing_parameters"] == ["bar_type"]
    assert reply["errors"] == [{"field": "parameters.fast", "message": "must be 1 or more"}]
    await matches_the_document(stage, "post", VALIDATE, reply, "422")
    stage.orchestrator.answers["fleet.strategy.validate"] = fault(FaultCode.NOT_FOUND, "no such strategy")
    await send(stage, "POST", VALIDATE, {"strategy_name": "unheard_of"}, 404)


async def test_strategies_of_a_running_engine_are_listed_added_started_stopped_and_removed(
    stage: Stage,
) -> None:
    listed = await send(stage, "GET", f"{ONE}/strategies", role=Role.VIEWER)
    assert (listed["session_id"], listed["total_count"]) == ("s1", 1)
    assert listed["strategies"][0]["strategy_id"] == "EMACross-001"
    strategy = {"template": "ema_cross", "parameters": {"barType": "x"}}
    added = await send(stage, "POST", f"{ONE}/strategies", {"strategy": strategy, "start": False})
    assert (added["success"], added["state"], added["message"]) == (True, "running", "EMACross-001 runs")
    one = f"{ONE}/strategies/EMACross-001"
    await send(stage, "POST", f"{one}/start", role=Role.TRADER)
    await send(stage, "POST", f"{one}/stop", {"policy": "leave"})
    await send(stage, "DELETE", f"{one}?policy=flatten", role=Role.TRADER)
    first, second, *changes = stage.orchestrator.requests
    assert isinstance(first, ListStrategies)
    assert isinstance(second, AddStrategy)
    assert (second.instance_id, second.start, second.strategy.parameters) == ("e1", False, {"barType": "x"})
    for asked in changes:
        assert isinstance(asked, WhichStrategy)
        assert (asked.instance_id, asked.strategy_id) == ("e1", "EMACross-001")
    assert [asked.policy for asked in changes] == [None, StopPolicy.LEAVE, StopPolicy.FLATTEN]
    for method, path in (("POST", f"{one}/stop"), ("DELETE", one), ("POST", f"{ONE}/strategies")):
        await send(stage, method, path, {"strategy": strategy}, status=403, role=Role.VIEWER)


async def test_what_stopping_a_strategy_did_not_confirm_is_part_of_the_message(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.strategy.stop"] = msgspec.structs.replace(
        STRATEGIES, message="EMACross-001 has stopped", not_confirmed=("order O-1 still open",)
    )
    reply = await send(stage, "POST", f"{ONE}/strategies/EMACross-001/stop")
    assert reply["message"] == "EMACross-001 has stopped; not confirmed: order O-1 still open"
    assert reply["data"]["not_confirmed"] == ["order O-1 still open"]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"stop": StopReport(policy=StopPolicy.CANCEL, orders_cancelled=1, is_flat=True)}, ""),
        (
            {"not_confirmed": ("order O-1 still open", "position P-1 still open")},
            "; not confirmed: order O-1 still open; position P-1 still open",
        ),
        ({}, "; not confirmed: what became of its orders and positions"),
        (
            {"stop": StopReport(policy=StopPolicy.LEAVE)},
            "; it was not flat when it ended (policy leave)",
        ),
    ],
)
async def test_waiting_for_a_stop_says_what_it_did_and_what_is_not_confirmed(
    stage: Stage, changes: dict[str, Any], doubt: str
) -> None:
    ended = session(state=RunState.STOPPED, trading_at=NOW, **changes)
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(sessions=(ended,))
    reply = await send(stage, "POST", f"{ENGINE}/stop?wait=true")
    assert (reply["success"], reply["state"]) == (True, "stopped")
    assert reply["message"] == f"e1 has stopped{doubt}"
    assert tuple(reply["data"]["session"]["not_confirmed"]) == ended.not_confirmed
    assert (reply["data"]["session"]["stop"] is None) == (ended.stop is None)


async def test_a_stop_that_has_not_ended_in_time_is_no_success(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(
        sessions=(session(state=RunState.STOPPING),)
    )
    reply = await send(stage, "POST", f"{ENGINE}/stop?wait=true&timeout=0.2", status=504)
    assert (reply["success"], reply["code"], reply["state"]) == (False, "outcome_unknown", "stopping")
    assert reply["message"].endswith("after 0.2 s it is still stopping")
    assert reply["data"]["session"]["state"] == "stopping"


async def test_waiting_for_a_restart_says_what_the_stop_before_it_did_not_confirm(stage: Stage) -> None:
    doubtful = session("s1", state=RunState.STOPPED, not_confirmed=("order O-1 still open",))
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(
        sessions=(session("s2", generation=2), doubtful)
    )
    async with asyncio.timeout(20):
        reply = await send(stage, "POST", f"{ENGINE}/restart?wait=true")
    assert (reply["success"], reply["state"]) == (True, "running")
    assert reply["message"] == "e1 is trading; of its session before, not confirmed: order O-1 still open"
    assert reply["data"]["session"]["session_id"] == "s2"
    assert reply["data"]["previous_session"]["not_confirmed"] == ["order O-1 still open"]
    stage.orchestrator.answers["fleet.engine.start"] = accepted(session_id="s2")
    started = await send(stage, "POST", f"{ENGINE}/start?wait=true", {"config": {"instance_id": "e1"}})
    assert started["message"] == "e1 is trading", "a start ends nothing"
    assert started["data"]["previous_session"] is None


async def matches_the_document(stage: Stage, method: str, path: str, reply: Any, status: str) -> None:
    document = await send(stage, "GET", "/openapi.json")
    described = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    whole = {**described["anyOf"][0], "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(reply)
