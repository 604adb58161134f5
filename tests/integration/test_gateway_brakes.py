"""Brakes over REST: what is sent, and that nothing but what the engine confirmed is a success."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.brakes import AcceptMismatch, AfterFlatten, BrakeEngine, EngineBrake, FlattenEngine
from flotilla.schemas.engine import SessionList
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import Brake, ClientState, RunState
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, NOW, Stage, accepted, session, staged

ONE = f"{API}/engines/e1"
HALTED = EngineBrake(brake=Brake.HALTED, number=3, since=NOW, by="admin")
VERBS = ["halt", "reduce", "resume", "accept", "cancel-orders", "flatten"]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def post(stage: Stage, verb: str, body: Any = None, status: int = 200) -> Any:
    headers = {"Idempotency-Key": "key-1"}
    async with stage.http.post(f"{ONE}/{verb}", json=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def answers(stage: Stage, verb: str, **what: Any) -> None:
    reply = accepted(message="engine e1 is halted by admin", state=ClientState.RUNNING, **what)
    stage.orchestrator.answers[f"fleet.engine.{verb.replace('-', '_')}"] = reply


@pytest.mark.parametrize("verb", VERBS)
async def test_what_is_confirmed_is_a_success_with_all_that_was_said(stage: Stage, verb: str) -> None:
    answers(stage, verb, is_taken=True, brake=HALTED, orders_cancelled=2, positions_closed=1)
    told = await post(stage, verb)
    data = told["data"]
    assert (told["success"], data["is_taken"], data["not_confirmed"]) == (True, True, [])
    assert (data["orders_cancelled"], data["positions_closed"]) == (2, 1)
    assert data["brake"] == {"brake": "halted", "number": 3, "since": "2026-01-31T14:25:01Z", "by": "admin"}
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, BrakeEngine | FlattenEngine | AcceptMismatch)
    assert (asked.instance_id, asked.request_id) == ("e1", "key-1")


@pytest.mark.parametrize("verb", VERBS)
async def test_what_is_not_confirmed_is_none_and_says_what(stage: Stage, verb: str) -> None:
    left = ("order O-1 still accepted",)
    answers(stage, verb, is_taken=False, brake=HALTED, orders_cancelled=1, not_confirmed=left)
    told = await post(stage, verb, status=504)
    assert (told["success"], told["code"]) == (False, "outcome_unknown")
    assert (told["data"]["is_taken"], told["data"]["not_confirmed"]) == (False, list(left))
    assert told["data"]["orders_cancelled"] == 1


async def test_a_flatten_halts_unless_it_is_told_otherwise(stage: Stage) -> None:
    await post(stage, "flatten")
    await post(stage, "flatten", {"then": "continue"})
    assert [asked.then for asked in stage.orchestrator.requests] == [AfterFlatten.HALT, AfterFlatten.CONTINUE]
    refused = await post(stage, "flatten", {"then": "resume"}, 422)
    assert refused["errors"][0]["field"] == "then"
    assert len(stage.orchestrator.requests) == 2


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("body", "field"), [({"force": True}, "force"), ({"instance_id": "e2"}, "instance_id")]
)
async def test_bad_requests_are_refused_naming_the_field_and_go_nowhere(
    stage: Stage, verb: str, body: Any, field: str
) -> None:
    refused = await post(stage, verb, body, 422)
    assert [each["field"] for each in refused["errors"]] == [field]
    assert stage.orchestrator.requests == []


@pytest.mark.parametrize("verb", VERBS)
async def test_a_refusal_of_the_orchestrator_is_passed_on(stage: Stage, verb: str) -> None:
    name = f"fleet.engine.{verb.replace('-', '_')}"
    stage.orchestrator.answers[name] = fault(FaultCode.CONFLICT, "engine e1 is stopped")
    assert (await post(stage, verb, status=409))["message"] == "engine e1 is stopped"


async def test_a_start_with_a_brake_on_waits_until_the_engine_is_up(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.start"] = accepted(brake=HALTED)
    up = session(state=RunState.IMPAIRED, detail=HALTED.text)
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(sessions=(up,))
    async with stage.http.post(f"{ONE}/start?wait=true", json={}) as answer:
        told = await answer.json()
    assert (answer.status, told["message"]) == (200, "e1 is up: halted by admin")
