"""What can be read over REST, in the shapes of the contract; every answer is also checked against our own OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flotilla.bus import fleet_stop
from flotilla.bus.tokens import add_code
from flotilla.schemas.backtest import BacktestStatus, ListBacktests
from flotilla.schemas.contract import Actor
from flotilla.schemas.data import ReadChart, ReadGaps, ReadRows, RemoveData
from flotilla.schemas.engine import (
    EngineList,
    EngineLogs,
    FleetStatus,
    ListEngines,
    ReadLogs,
    WhichEngine,
)
from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.host import ListHosts
from flotilla.schemas.instrument import RemoveInstrument
from flotilla.schemas.logs import SearchLogs
from flotilla.schemas.package import PackageList
from flotilla.schemas.states import ClientState, RunState
from flotilla.services.gateway.routes.table import ROUTES
from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import CONFIG, STUDY
from tests.integration.gateways import (
    API,
    ENGINE,
    Stage,
    Supervisor,
    concrete,
    engine,
    receipt,
    session,
    staged,
)

BODIES: dict[str, Any] = {
    "start": {"config": {}},
    "config": {"config": {}},
    "engine_config": {"config": {}},
    "strategy_add": {"strategy": {"template": "ema_cross"}},
    "engine_signal": {"name": "mood", "value": 0.3},
    "strategy_validate": {"strategyName": "ema_cross"},
    "backtest_run": {"backtest_id": "bt1", "config": CONFIG},
    "backtest_compare_posted": {"backtestIds": ["a", "b"]},
    "study_run": {"study_id": "st1", "config": STUDY},
    "catalog_import": ["the file"],
    "package_push": ["the archive"],
    "alert_mute": {"for_s": 60, "about": "e1"},
    "alert_set_rule": {"threshold": 30},
    "alert_set_channel": {"secret": "desk_mail"},
}
"""Of the routes that need a body."""
QUERIES = {
    "catalog_import": "?type=quotes&instrument=EUR/USD.SIM&file=eurusd.csv",
    "package_push": "?name=mine",
    "backtest_compare": "?ids=a,b",
    "catalog_remove_instrument": "?name=EUR/USD.SIM",
    **dict.fromkeys(
        ("catalog_bars", "catalog_gaps", "catalog_rows", "catalog_remove"), "?identifier=EUR/USD.SIM"
    ),
}


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def read(stage: Stage, path: str, status: int = 200) -> Any:
    async with stage.http.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_every_answer_is_as_the_document_says(
    stage: Stage, connect_as: ConnectAs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_stop, "SEARCH_S", 0.4)
    host = Supervisor(await connect_as(Actor.SUPERVISOR))
    host.receipts = (receipt(),)
    await host.start()
    document = await read(stage, "/openapi.json")
    checked = [route for route in ROUTES if route.signature.reply is not None]
    code, _ = add_code(tmp_path / "tokens.jsonl", "admin", now=datetime.now(UTC))
    bodies = {**BODIES, "sign_in": {"code": code}}
    for route in checked:
        path = concrete(route) + QUERIES.get(route.name, "")
        async with stage.http.request(route.method, path, json=bodies.get(route.name)) as answer:
            assert answer.status == 200, (route.name, await answer.text())
            reply = await answer.json()
        described = document["paths"][route.path][route.method.lower()]["responses"]["200"]
        whole = {**described["content"]["application/json"]["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(reply)
    assert len(checked) == 95


async def test_status_has_the_contracts_fields_and_both_strings_and_numbers(stage: Stage) -> None:
    reply = await read(stage, f"{ENGINE}/status")
    status = reply["status"]
    assert reply["success"] is True
    assert {
        "state",
        "config",
        "started_at",
        "last_error",
        "session_id",
        "container_count",
        "active_containers",
        "resource_usage",
        "container_info",
        "active_backtests",
        "health_check",
    } <= set(status)
    assert status["state"] == "running"
    assert status["session_id"] == "s1"
    assert status["active_containers"] == ["nautilus-engine-s1"]
    assert (status["active_backtests"], status["backtest_count"]) == ({}, 0)
    assert status["active_backtest_count"] == 0
    assert status["resource_usage"]["cpu_percent"] == "1.23%"
    assert status["resource_usage"]["memory_usage"] == "512MiB / 2GiB"
    assert status["resource_usage"]["memory_bytes"] == 512 << 20
    assert status["container_info"] == {
        "status": "running",
        "running": True,
        "started_at": "2026-01-31T14:25:01Z",
        "image": "flotilla-engine:latest",
        "name": "nautilus-engine-s1",
    }
    assert status["health_check"]["status"] == "healthy"


async def test_status_is_idle_when_no_engine_ever_ran_and_asks_no_host(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.status"] = FleetStatus(engine=None, active=())
    status = (await read(stage, f"{ENGINE}/status"))["status"]
    assert status["state"] == "stopped"
    assert status["resource_usage"] == {"message": "No active containers"}
    assert status["health_check"].keys() == {"overall_status", "last_check"}
    assert status["health_check"]["overall_status"] == "no_containers"
    assert stage.orchestrator.requests == [WhichEngine(), ListBacktests(status=BacktestStatus.RUNNING)]


async def test_status_and_health_tell_the_truth_with_200_when_the_orchestrator_is_away(stage: Stage) -> None:
    await stage.orchestrator.bus.drain()
    async with asyncio.TaskGroup() as group:
        status = group.create_task(read(stage, f"{ENGINE}/status"))
        health = group.create_task(read(stage, f"{ENGINE}/health"))
    assert status.result()["success"] is False
    assert status.result()["code"] == "unavailable"
    assert status.result()["status"]["state"] == "unknown"
    assert health.result()["status"] == "unknown"
    assert health.result()["service"] == "nautilus-engine-api"
    assert health.result()["container_running"] is False


async def test_status_of_several_without_an_id_is_ambiguous_and_lists_them(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.status"] = fault(
        FaultCode.AMBIGUOUS_ENGINE,
        "2 engines are active: a, b",
        FieldError("instance_id", "a"),
        FieldError("instance_id", "b"),
    )
    reply = await read(stage, f"{ENGINE}/status", 409)
    assert reply["code"] == "ambiguous_engine"
    assert [error["message"] for error in reply["errors"]] == ["a", "b"]


async def test_status_without_an_answer_from_the_hosts_still_tells_the_state(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.container.list"] = fault(FaultCode.UNAVAILABLE, "no host in sight")
    status = (await read(stage, f"{ENGINE}/status"))["status"]
    assert status["state"] == "running"
    assert status["container_info"]["status"] == "unknown"
    assert status["container_info"]["running"] is None


async def test_health_of_a_failed_engine_is_unhealthy(stage: Stage) -> None:
    failed = engine(state=ClientState.ERROR, session=session(state=RunState.FAILED), heartbeat_age_s=None)

    def listed(request: Any) -> EngineList:
        return EngineList(engines=() if request.active else (failed,), total_count=1)

    stage.orchestrator.answers["fleet.engine.list"] = listed
    reply = await read(stage, f"{ENGINE}/health")
    assert (reply["status"], reply["engine_state"], reply["container_count"]) == ("unhealthy", "error", 0)


async def test_logs_are_asked_for_as_they_were_in_the_query(stage: Stage) -> None:
    reply = await read(stage, f"{ENGINE}/logs?lines=7&level=WARNING&instanceId=e9&since=2026-01-31T14:25:01Z")
    assert reply == {"success": True, "instance_id": "e1", "logs": ["one", "two"], "total_lines": 2}
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, ReadLogs)
    assert (asked.instance_id, asked.lines, asked.level) == ("e9", 7, "WARNING")
    assert asked.since is not None
    assert asked.since.isoformat() == "2026-01-31T14:25:01+00:00"


async def test_logs_of_one_engine_take_its_id_from_the_path(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.logs"] = lambda asked: EngineLogs(
        instance_id=asked.instance_id, lines=(), total_lines=0
    )
    assert (await read(stage, f"{API}/engines/e7/logs"))["instance_id"] == "e7"


async def test_a_search_in_all_logs_says_how_far_it_looked(stage: Stage) -> None:
    place = "cursor=9-6-1&after=9-2-0&limit=7&label=desk=fx"
    about = "instance_id=e9&session_id=s9&since=2026-01-31T14:25:01Z&until=2026-02-01T00:00:00Z"
    reply = await read(stage, f"{API}/logs?text=Rejected&level=warning&{about}&{place}")
    assert (reply["lines"], reply["next"], reply["looked_back_to"]) == ([], "9-5-0", "2026-01-31T14:25:01Z")
    (asked,) = stage.orchestrator.requests
    assert asked == SearchLogs(
        text="Rejected",
        level="warning",
        since=datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC),
        until=datetime(2026, 2, 1, tzinfo=UTC),
        instance_id="e9",
        session_id="s9",
        labels={"desk": "fx"},
        cursor="9-6-1",
        after="9-2-0",
        limit=7,
    )


async def test_events_pass_through_as_they_were_published(stage: Stage) -> None:
    reply = await read(stage, f"{API}/engines/e1/events?kind=fill&after_seq=3&limit=5")
    assert reply == {
        "success": True,
        "session_id": "s1",
        "events": [{"seq": 1}],
        "missing": [],
        "pruned_to": 0,
    }
    (asked,) = stage.orchestrator.requests
    assert (asked.instance_id, asked.kind, asked.after_seq, asked.limit) == ("e1", "fill", 3, 5)


async def test_engines_and_hosts_are_asked_for_by_the_labels_of_the_query(stage: Stage) -> None:
    await read(stage, f"{API}/engines?label=desk=rates,zone=b&active=true&limit=3")
    await read(stage, f"{API}/engines?label=desk%3Drates%2Czone%3Db")
    await read(stage, f"{API}/engines")
    reply = await read(stage, f"{API}/hosts?label=zone=b")
    await read(stage, f"{API}/hosts")
    labels = {"desk": "rates", "zone": "b"}
    assert stage.orchestrator.requests == [
        ListEngines(labels=labels, active=True, limit=3),
        ListEngines(labels=labels),
        ListEngines(),
        ListHosts(labels={"zone": "b"}),
        ListHosts(),
    ]
    assert [(host["host"], host["labels"]) for host in reply["hosts"]] == [("h1", {"zone": "b"})]


async def test_an_unknown_engine_is_404(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.engine.status"] = fault(FaultCode.NOT_FOUND, "no engine e2 is known")
    for path in ("engines/e2", "engines/e2/metrics", "engine/status?instance_id=e2"):
        assert (await read(stage, f"{API}/{path}", 404))["code"] == "not_found"


async def test_templates_show_what_must_be_given(stage: Stage) -> None:
    listed = await read(stage, f"{ENGINE}/strategies/templates")
    assert [one["name"] for one in listed["strategies"]] == ["ema_cross"]
    assert listed["total_count"] == 1
    one = await read(stage, f"{ENGINE}/strategies/templates/ema_cross")
    assert one["name"] == "ema_cross"
    assert one["template"]["config"] == {"bar_type": "{bar_type}", "fast_ema_period": "{fast}"}
    fault_shown = {"file": "broken.json", "kind": "strategy", "message": "not JSON"}
    assert listed["faults"] == [fault_shown]
    for kind in ("engine", "strategy"):
        whole = await read(stage, f"{API}/templates/{kind}")
        assert stage.orchestrator.requests[-1].kind == kind
        assert [one["name"] for one in whole["templates"]] == ["ema_cross"]
        assert (whole["total_count"], whole["faults"]) == (1, [fault_shown])
    await read(stage, f"{ENGINE}/strategies/templates/no_such", 404)


async def test_the_catalog_stands_at_both_paths_and_keeps_the_servers_path_to_itself(stage: Stage) -> None:
    first = await read(stage, f"{API}/catalog")
    assert first == await read(stage, f"{ENGINE}/catalog")
    assert first["catalog"]["instruments"] == ["SPX.SIM"]
    assert first["catalog"]["venues"] == ["SIM"]
    assert list(first["catalog"]["ranges"]["bars"]) == ["SPX.SIM-1-DAY-LAST-EXTERNAL"]
    assert "secret" not in str(first)


async def test_containers_are_counted(stage: Stage) -> None:
    reply = await read(stage, f"{ENGINE}/containers")
    assert (reply["total_count"], reply["active_count"]) == (1, 1)
    assert reply["containers"][0]["name"] == "nautilus-engine-s1"
    assert reply["containers"][0]["is_active"] is True


async def test_packages_and_the_versions_of_one_are_listed(stage: Stage) -> None:
    listed = await read(stage, f"{API}/packages")
    assert [(one["name"], one["version"], one["is_newest"]) for one in listed["packages"]] == [
        ("mine", "2", True)
    ]
    assert await read(stage, f"{API}/packages/mine") == listed
    stage.orchestrator.answers["fleet.package.list"] = PackageList(packages=())
    assert (await read(stage, f"{API}/packages/mine", 404))["code"] == "not_found"


async def test_a_data_set_is_asked_for_as_it_was_in_the_query(stage: Stage) -> None:
    bars = "SPX.SIM-1-DAY-LAST-EXTERNAL"
    chart = await read(stage, f"{API}/catalog/bars?identifier={bars}&from=2001-01-02&to=2001-02-01&points=7")
    assert (chart["chart"]["is_down_sampled"], chart["chart"]["points"][0]["close"]) == (True, 1.5)
    await read(stage, f"{API}/catalog/gaps?identifier=EUR%2FUSD.SIM&type=quotes&limit=3")
    await read(stage, f"{API}/catalog/rows?identifier=EUR/USD.SIM&from=2001-01-02T03:04:05Z")
    assert stage.orchestrator.requests == [
        ReadChart(identifier=bars, first="2001-01-02", last="2001-02-01", points=7),
        ReadGaps(identifier="EUR/USD.SIM", type="quotes", limit=3),
        ReadRows(identifier="EUR/USD.SIM", first="2001-01-02T03:04:05Z"),
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "identifier"),
        ("identifier=../x", "identifier"),
        ("identifier=SPX.SIM&points=0", "points"),
        ("identifier=SPX.SIM&points=2001", "points"),
        ("identifier=SPX.SIM&from=yesterday", "from"),
        ("identifier=SPX.SIM&first=2001-01-01", "first"),
        ("identifier=SPX.SIM&type=A", "type"),
    ],
)
async def test_what_names_no_data_set_reaches_nobody(stage: Stage, query: str, field: str) -> None:
    reply = await read(stage, f"{API}/catalog/bars?{query}", 422)
    assert [error["field"] for error in reply["errors"]] == [field]
    assert stage.orchestrator.requests == []


async def test_removing_an_instrument_says_what_is_left_without_it(stage: Stage) -> None:
    path = f"{API}/catalog/instruments?name=EUR/USD.SIM&force=true"
    async with stage.http.delete(path, headers={"Idempotency-Key": "once"}) as answer:
        reply = await answer.json()
    assert (answer.status, reply["success"], reply["state"]) == (200, True, "removed")
    assert reply["message"] == "EUR/USD.SIM removed, and left without it: quote tick EUR/USD.SIM"
    asked = RemoveInstrument(name="EUR/USD.SIM", force=True, request_id="once")
    assert stage.orchestrator.requests == [asked]


async def test_removing_data_says_what_and_how_much_and_carries_its_request_id(stage: Stage) -> None:
    path = f"{API}/catalog/data?identifier=EUR/USD.SIM&type=quotes&from=2024-03-01"
    async with stage.http.delete(path, headers={"Idempotency-Key": "once"}) as answer:
        reply = await answer.json()
    assert (answer.status, reply["success"], reply["state"]) == (200, True, "removed")
    assert reply["message"] == "EUR/USD.SIM: 2,000 quotes removed, nothing of it is left"
    assert stage.orchestrator.requests == [
        RemoveData(identifier="EUR/USD.SIM", type="quotes", first="2024-03-01", request_id="once")
    ]
