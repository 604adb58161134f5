"""Start, stop and restart over REST: what is sent, what is answered, and waiting for the state that was truly reached."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.engine import EngineView, SessionList, StartEngine, StopEngine
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import ClientState, FailureReason, RunState, StopPolicy
from flotilla.services.gateway.engines import commands as waiting
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, ENGINE, NOW, Stage, accepted, engine, session, staged

START = f"{ENGINE}/start"
BODY = {"config": {"instance_id": "e1"}}
NOTHING = SessionList(sessions=())


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def post(stage: Stage, path: str, body: Any = None, status: int = 200) -> Any:
    async with stage.http.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def seen(state: RunState, session_id: str = "s1", **changes: Any) -> EngineView:
    return engine(session_id=session_id, session=session(session_id, state=state, **changes))


async def meanwhile(stage: Stage, path: str, *views: EngineView, body: Any = None, status: int = 200) -> Any:
    """Posts, and once the command has arrived publishes what happens then."""
    before = len(stage.orchestrator.requests)
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(post(stage, path, body, status))
        async with asyncio.timeout(5):
            while (
                len(stage.orchestrator.requests) < before + 2
            ):  # the command, and the first look at the record
                await asyncio.sleep(0.01)
        for view in views:
            await stage.orchestrator.publish(view)
    return answer.result()


async def test_start_answers_with_the_command_envelope(stage: Stage) -> None:
    reply = await post(stage, START, {"config": {"instance_id": "e1", "engine_type": "SANDBOX"}})
    assert reply["success"] is True
    assert reply["message"] == "engine e1 is starting"
    assert reply["state"] == "starting"
    data = reply["data"]
    assert (data["instance_id"], data["session_id"]) == ("e1", "s1")
    assert data["container_name"] == "nautilus-engine-s1"
    assert data["started_at"] == "2026-01-31T14:25:01Z"
    assert data["config"]["instance_id"] == "e1"
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, StartEngine)
    assert asked.config is not None
    assert asked.config.engine_type == "sandbox"
    assert asked.confirm_live_trading is False


async def test_camel_case_keys_mean_the_same_but_parameters_are_left_alone(stage: Stage) -> None:
    strategy = {"template": "ema_cross", "parameters": {"tradeSize": "1", "fast": 3}}
    await post(
        stage,
        START,
        {
            "confirmLiveTrading": True,
            "expectedDigests": {"my_own": "a" * 64},
            "config": {"instanceId": "e1", "maxCpu": "1.5", "strategies": [strategy]},
        },
    )
    (asked,) = stage.orchestrator.requests
    assert asked.confirm_live_trading is True
    assert asked.expected_digests == {"my_own": "a" * 64}
    assert asked.config.max_cpu == "1.5"
    assert asked.config.strategies == (
        StrategyChoice(template="ema_cross", parameters={"tradeSize": "1", "fast": 3}),
    )


async def test_an_engine_can_be_started_below_its_own_path(stage: Stage) -> None:
    await post(stage, f"{API}/engines/e7/start", {"config": {}})
    await post(stage, f"{API}/engines/e7/start", {"config": {"instanceId": "e7"}})
    assert [asked.config.instance_id for asked in stage.orchestrator.requests] == ["e7", "e7"]


async def test_stop_takes_its_engine_from_path_query_or_body(stage: Stage) -> None:
    for path, body in (
        (f"{API}/engines/e1/stop", None),
        (f"{ENGINE}/stop?instance_id=e1", {"force": True}),
        (f"{ENGINE}/stop", {"instance_id": "e1", "policy": "flatten"}),
        (f"{ENGINE}/stop?instance_id=e1", {"instance_id": "e1"}),
    ):
        await post(stage, path, body)
    first, second, third, fourth = stage.orchestrator.requests
    assert {asked.instance_id for asked in (first, second, third, fourth)} == {"e1"}
    assert second.force is True
    assert third.policy == StopPolicy.FLATTEN


async def test_stop_and_restart_need_no_body_and_no_engine(stage: Stage) -> None:
    for path in ("stop", "restart"):
        async with stage.http.post(f"{ENGINE}/{path}") as answer:
            assert answer.status == 200
    assert [asked.instance_id for asked in stage.orchestrator.requests] == [None, None]
    assert isinstance(stage.orchestrator.requests[0], StopEngine)


async def test_waiting_answers_when_the_engine_trades(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = NOTHING
    reply = await meanwhile(
        stage,
        f"{START}?wait=true&timeout=30",
        seen(RunState.BOOTING),
        seen(RunState.TRADING, session_id="another"),
        seen(RunState.TRADING, trading_at=NOW),
        body=BODY,
    )
    assert (reply["success"], reply["state"], reply["message"]) == (True, "running", "e1 is trading")
    assert reply["data"]["session_id"] == "s1"


async def test_waiting_finds_a_state_that_was_reached_before_it_could_hear_of_it(stage: Stage) -> None:
    """The same request id again, or a feed that was away: the record says it."""
    reply = await post(stage, f"{START}?wait=true&timeout=30", BODY)
    assert reply["state"] == "running"


async def test_waiting_survives_a_feed_that_is_silent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_S", 0.05)
    states = itertools.chain([RunState.BOOTING] * 3, itertools.repeat(RunState.TRADING))
    stage.orchestrator.answers["fleet.engine.sessions"] = lambda _: SessionList(
        sessions=(session(state=next(states)),)
    )
    assert (await post(stage, f"{START}?wait=true&timeout=30", BODY))["state"] == "running"


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        (FailureReason.CRASH, 500, "internal"),
        (FailureReason.OOM, 500, "internal"),
        (FailureReason.VENUE, 500, "internal"),
        (FailureReason.CONFIG, 422, "invalid"),
        (FailureReason.STRATEGY, 422, "invalid"),
        (FailureReason.OPERATOR, 409, "conflict"),
    ],
)
async def test_waiting_for_an_engine_that_fails_is_a_failure_that_says_why(
    stage: Stage, reason: FailureReason, status: int, code: str
) -> None:
    failed = session(
        state=RunState.FAILED, reason=reason, detail="it broke", exit_code=-9, log_tail=("last words",)
    )
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(sessions=(failed,))
    reply = await post(stage, f"{START}?wait=true", BODY, status)
    assert (reply["success"], reply["code"], reply["state"]) == (False, code, "error")
    assert reply["message"] == reply["detail"] == f"e1 failed: {reason}: it broke, exit code -9"
    assert reply["data"]["session_id"] == "s1"
    assert reply["data"]["session"]["log_tail"] == ["last words"]


async def test_waiting_ends_at_its_deadline_with_the_state_reached_so_far(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(
        sessions=(session(state=RunState.CONNECTING),)
    )
    reply = await post(stage, f"{START}?wait=true&timeout=0.3", BODY)
    assert (reply["success"], reply["state"]) == (True, "starting")
    assert reply["message"].endswith("accepted, and after 0.3 s it is still connecting")


async def test_waiting_for_a_restart_looks_at_the_new_session_only(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(sessions=(session("s1"),))
    reply = await meanwhile(
        stage,
        f"{ENGINE}/restart?wait=true&timeout=30",
        seen(RunState.STOPPED),
        seen(RunState.BOOTING, "s2"),
        seen(RunState.TRADING, "s2", started_at=NOW.replace(year=2027)),
    )
    assert (reply["state"], reply["data"]["session_id"]) == ("running", "s2")
    assert reply["data"]["started_at"] == "2027-01-31T14:25:01Z"
    reply = await post(stage, f"{ENGINE}/restart?wait=true&timeout=0.2")
    assert reply["message"].endswith("its session has not begun")


async def test_waiting_for_a_stop_answers_when_it_has_ended(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = NOTHING
    stop = f"{ENGINE}/stop?wait=true&timeout=30"
    reply = await meanwhile(stage, stop, seen(RunState.STOPPING), seen(RunState.STOPPED))
    assert (reply["state"], reply["message"]) == ("stopped", "e1 has stopped")
    reply = await meanwhile(stage, stop, seen(RunState.FAILED, reason=FailureReason.CRASH, detail="x"))
    assert (reply["success"], reply["state"]) == (True, "error")
    assert "no longer runs" in reply["message"]


async def test_waiting_for_a_stop_when_nothing_runs_answers_at_once(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.stop"] = accepted(
        session_id=None, message="no engine is active", state=ClientState.STOPPED
    )
    reply = await post(stage, f"{ENGINE}/stop?wait=true&timeout=300")
    assert (reply["success"], reply["state"], reply["data"]["session_id"]) == (True, "stopped", None)


async def test_a_start_that_was_stopped_before_it_traded_is_a_conflict(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(
        sessions=(session(state=RunState.STOPPED),)
    )
    reply = await post(stage, f"{START}?wait=true", BODY, 409)
    assert (reply["success"], reply["state"]) == (False, "stopped")
    traded = session(state=RunState.STOPPED, trading_at=NOW)
    stage.orchestrator.answers["fleet.engine.sessions"] = SessionList(sessions=(traded,))
    reply = await post(stage, f"{START}?wait=true", BODY)
    assert (reply["success"], reply["state"]) == (True, "stopped")


async def test_a_command_without_an_answer_in_time_has_an_unknown_outcome(stage: Stage) -> None:
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    stage.orchestrator.answers["fleet.engine.start"] = lambda _: hang()
    reply = await post(stage, START, BODY, 504)
    assert (reply["success"], reply["code"]) == (False, "outcome_unknown")
    never.set()


@pytest.mark.parametrize("is_away", [True, False], ids=["orchestrator", "host"])
async def test_waiting_says_that_the_outcome_is_unknown_only_when_it_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    monkeypatch.setattr(waiting, "POLL_S", 0.1)
    stage.orchestrator.answers["fleet.engine.sessions"] = (
        fault(FaultCode.UNAVAILABLE, "the record is away")
        if is_away
        else SessionList(sessions=(session(state=RunState.UNKNOWN),))
    )
    reply = await post(stage, f"{START}?wait=true&timeout=0.3", BODY, 504)
    assert reply["code"] == "outcome_unknown"
    assert ("the record is away" if is_away else "out of sight") in reply["message"]
