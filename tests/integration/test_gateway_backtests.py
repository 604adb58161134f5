"""Backtests and studies over REST, in the shapes of the contract."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas.access import Role
from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestList,
    BacktestStatus,
    BacktestVerdict,
    BacktestView,
    CompareBacktests,
    Difference,
    ListBacktests,
    ListStudies,
    ResultPart,
    RunBacktest,
    RunStudy,
    TrialFailure,
    VerifyBacktest,
    WhichBacktest,
)
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.services.gateway.backtests import tear_sheet
from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import (
    CONFIG,
    FILL,
    METRICS,
    PARTS,
    RAN,
    REPORT,
    STUDY,
    backtest,
    pages_of,
    point,
    study,
    trade,
    unfinished,
)
from tests.integration.gateways import API, ENGINE, Stage, staged

BACKTEST = f"{ENGINE}/backtest"
RESULTS = f"{API}/backtest/results"
NAMED = {name: value for name, value in CONFIG.items() if name != "strategy"}
ONE = f"{API}/backtests/bt1"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def call(stage: Stage, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    async with stage.http.request(method, path, json=body) as answer:
        assert answer.status == status, await answer.text()
        told = await answer.json()
        assert told["success"] is (status == 200)
        return told


async def test_a_backtest_is_run_with_snake_case_and_with_camel_case_keys(stage: Stage) -> None:
    camel = {
        "backtestId": "bt1",
        "config": {
            "strategyClass": "strategies.ema:EMACross",
            "strategyConfig": {"tradeSize": 1, "trade_size": 2},
            "startDate": "2020-01-01",
            "endDate": "2020-12-31",
            "instruments": ["SPX.SIM"],
            "barTypes": ["SPX.SIM-1-DAY-LAST-EXTERNAL"],
            "initialBalance": 5000,
            "baseCurrency": "EUR",
            "tickData": True,
            "dataSources": ["catalog"],
            "outputPath": "/app/results",
            "saveResults": False,
            "fillModel": {"probSlippage": 0.5},
        },
    }
    snake = {
        "backtest_id": "bt1",
        "config": {
            "strategy_class": "strategies.ema:EMACross",
            "strategy_config": {"tradeSize": 1, "trade_size": 2},
            "start_date": "2020-01-01",
            "end_date": "2020-12-31",
            "instruments": ["SPX.SIM"],
            "bar_types": ["SPX.SIM-1-DAY-LAST-EXTERNAL"],
            "initial_balance": 5000,
            "base_currency": "EUR",
            "tick_data": True,
            "data_sources": ["catalog"],
            "output_path": "/app/results",
            "save_results": False,
            "fill_model": {"prob_slippage": 0.5},
        },
    }
    for body in (camel, snake):
        told = await call(stage, "POST", BACKTEST, body)
        assert told == {
            "success": True,
            "message": "backtest bt1 is pending",
            "backtest_id": "bt1",
            "status": "pending",
        }
    first, second = stage.orchestrator.requests
    assert isinstance(first, RunBacktest)
    assert first.config == second.config
    assert first.config.strategy_config == {"tradeSize": 1, "trade_size": 2}
    assert first.config.fill_model.prob_slippage == 0.5
    assert first.request_id not in (None, second.request_id)


async def test_a_row_has_the_names_that_other_clients_read_beside_ours(stage: Stage) -> None:
    one = backtest(config=msgspec.convert({**NAMED, "strategy_class": "my.module:Mine"}, BacktestConfig))
    stage.orchestrator.answers["fleet.backtest.list"] = BacktestList(backtests=(one,), total_count=1)
    (row,) = (await call(stage, "GET", f"{ENGINE}/backtests"))["backtests"]
    assert (row["startTime"], row["endTime"]) == (row["started_at"], row["completed_at"])
    assert row["config"]["strategyClass"] == row["config"]["strategy_class"] == "my.module:Mine"
    assert row["metrics"] == row["results"]["metrics"]
    metrics = row["metrics"]
    assert (metrics["totalReturn"], metrics["total_return"], metrics["informationRatio"]) == (0.12, 0.12, 0.4)
    again = {name.replace("_", "").lower(): value for name, value in metrics.items() if name != name.lower()}
    assert again.items() <= {name.replace("_", ""): metrics[name] for name in metrics}.items()
    assert {name.replace("_", "") for name in METRICS.__struct_fields__ if "_" in name} == set(again)
    # What was read can be sent again.
    await call(stage, "POST", BACKTEST, {"backtest_id": "bt2", "config": row["config"]})
    asked = stage.orchestrator.requests[-1]
    assert isinstance(asked, RunBacktest)
    assert asked.config == one.config


async def test_groups_of_settings_are_taken_into_the_config_and_what_they_cannot_have_is_named(
    stage: Stage,
) -> None:
    body = {
        "backtestId": "bt1",
        "config": {
            **CONFIG,
            "executionSettings": {"initialBalance": 5000, "fillModel": {"probSlippage": 0.5}},
        },
        "dataConfiguration": {"instruments": CONFIG["instruments"], "tickData": True},
        "riskSettings": {"maxOrderRate": 30},
    }
    await call(stage, "POST", BACKTEST, body)
    (asked,) = stage.orchestrator.requests
    assert isinstance(asked, RunBacktest)
    taken = {"initial_balance": 5000, "fill_model": {"prob_slippage": 0.5}, "tick_data": True}
    assert asked.config == msgspec.convert({**CONFIG, **taken, "max_order_rate": 30}, BacktestConfig)
    wrong = {
        "data_configuration.data_quality": {"dataConfiguration": {"dataQuality": "high"}},
        "data_configuration.instruments": {"dataConfiguration": {"instruments": ["EUR/USD.SIM"]}},
        "data_configuration.bar_types[0]": {"dataConfiguration": {"barTypes": ["nonsense"]}},
        "execution_settings.slippage_model": {"executionSettings": {"slippageModel": "linear"}},
        "risk_settings.max_drawdown": {"riskSettings": {"maxDrawdown": 0.2}},
        "risk_settings.max_order_rate": {
            "config": {**CONFIG, "max_order_rate": 5},
            "riskSettings": {"maxOrderRate": 30},
        },
        "config.risk_settings.max_position_size": {
            "config": {**CONFIG, "riskSettings": {"maxPositionSize": 1}}
        },
    }
    for field, more in wrong.items():
        told = await call(stage, "POST", BACKTEST, {"backtest_id": "bt1", "config": CONFIG, **more}, 422)
        assert [each["field"] for each in told["errors"]] == [field]
    assert len(stage.orchestrator.requests) == 1


async def test_results_have_a_place_of_their_own_and_are_deleted_there(stage: Stage) -> None:
    whole = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]["results"]
    told = await call(stage, "GET", f"{RESULTS}/bt1")
    assert (told["backtest_id"], told["status"], told["results"]) == ("bt1", "completed", whole)
    gone = await call(stage, "DELETE", f"{RESULTS}/bt1")
    assert (gone["backtest_id"], gone["status"]) == ("bt1", "completed")
    pruned = fault(FaultCode.NOT_FOUND, "the result was deleted by the rules of retention")
    for view, parts in ((backtest(is_result_gone=True), pages_of()), (backtest(), pruned)):
        stage.orchestrator.answers |= {"fleet.backtest.get": view, "fleet.backtest.result": parts}
        left = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]["results"]
        assert (left["trades"], left["links"], left["tearsheet"]) == (None, {}, None)
        assert left["metrics"] == whole["metrics"]
        assert "was deleted" in (await call(stage, "GET", f"{RESULTS}/bt1", status=404))["message"]
    stage.orchestrator.answers["fleet.backtest.get"] = unfinished()
    assert "it is running" in (await call(stage, "GET", f"{RESULTS}/bt1", status=409))["message"]
    stage.orchestrator.answers["fleet.backtest.remove_result"] = fault(FaultCode.CONFLICT, "it is running")
    await call(stage, "DELETE", f"{RESULTS}/bt1", status=409)


async def test_backtests_are_compared_by_a_body_as_by_a_query(stage: Stage) -> None:
    posted = await call(stage, "POST", f"{API}/backtest/compare", {"backtest_ids": ["a", "b"]})
    assert posted == await call(stage, "GET", f"{API}/backtests/compare?ids=a,b")
    told = await call(stage, "POST", f"{API}/backtest/compare", {"backtest_ids": ["a"]}, 422)
    assert told["errors"][0]["field"] == "backtest_ids"


async def test_what_a_reader_has_already_is_not_sent_again(stage: Stage) -> None:
    for path in (f"{RESULTS}/bt1", f"{ONE}/results/trades", f"{API}/templates/strategy", f"{API}/catalog"):
        async with stage.http.get(path) as answer:
            tag, body = answer.headers["ETag"], await answer.read()
            assert answer.headers["Cache-Control"] == "private, no-cache"
        for known in (tag, f'"other", W/{tag}', "*"):
            async with stage.http.get(path, headers={"If-None-Match": known}) as answer:
                assert (answer.status, answer.headers["ETag"], await answer.read()) == (304, tag, b"")
        async with stage.http.get(path, headers={"If-None-Match": '"other"'}) as answer:
            assert (answer.status, await answer.read()) == (200, body)
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of({**PARTS, ResultPart.TRADES: (trade(7),)})
    async with stage.http.get(f"{RESULTS}/bt1", headers={"If-None-Match": tag}) as answer:
        assert answer.status == 200
    stage.orchestrator.answers["fleet.backtest.get"] = backtest(is_result_gone=True)
    async with stage.http.get(f"{RESULTS}/bt1", headers={"If-None-Match": "*"}) as answer:
        assert answer.status == 404


async def test_integers_that_a_browser_would_round_come_as_text_for_who_asks(stage: Stage) -> None:
    at = 1_790_000_000_123_456_789
    fill = msgspec.structs.replace(FILL, ts_event=at)
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of({**PARTS, ResultPart.FILLS: (fill,)})
    path = f"{ONE}/results/fills"
    plain = await call(stage, "GET", path)
    asked = {"Accept": "application/json; integers=string"}
    async with stage.http.get(path, headers=asked) as answer:
        told = await answer.json()
    assert (plain["entries"][0]["ts_event"], told["entries"][0]["ts_event"]) == (at, str(at))
    told["entries"][0]["ts_event"] = at
    assert told == plain


async def test_a_failure_is_a_problem_detail_for_who_asks_and_has_all_its_fields(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.cancel"] = unfinished()
    path = f"{BACKTEST}/bt1"
    plain = await call(stage, "DELETE", path, status=504)
    assert not {"type", "title", "instance"} & set(plain)
    for accept, is_problem in (
        ("application/json, application/problem+json", True),
        ("application/problem+json;q=0, application/json", False),
        ("*/*", False),
    ):
        async with stage.http.delete(path, headers={"Accept": accept}) as answer:
            told = await answer.json(content_type=None)
            assert answer.status == 504
            assert answer.content_type == f"application/{'problem+json' if is_problem else 'json'}"
        if is_problem:
            problem = {name: told[name] for name in ("type", "title", "status", "detail", "instance")}
            assert problem == {
                "type": "about:blank",
                "title": "Gateway Timeout",
                "status": 504,
                "detail": plain["detail"],
                "instance": f"#{told['error_id']}",
            }
            told["status"] = plain["status"]
            assert {**told, "error_id": ""}.items() >= {**plain, "error_id": ""}.items()
        else:
            assert set(told) == set(plain)
    async with stage.http.get("/nothing", headers={"Accept": "application/problem+json"}) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_an_id_that_is_taken_is_a_conflict(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.run"] = fault(FaultCode.CONFLICT, "there is a backtest bt1")
    told = await call(stage, "POST", BACKTEST, {"backtest_id": "bt1", "config": CONFIG}, 409)
    assert (told["code"], told["message"]) == ("conflict", "there is a backtest bt1")


async def test_a_running_backtest_has_its_progress_and_no_results(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.get"] = unfinished()
    shown = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]
    assert {"id", "backtestId", "config", "status", "started_at", "progress", "results", "error"} <= set(
        shown
    )
    assert (shown["id"], shown["backtestId"]) == ("bt1", "bt1")
    assert (shown["status"], shown["progress"]) == ("running", 37.5)
    assert (shown["results"], shown["error"]) == (None, None)
    assert shown["config"]["initial_balance"] == 1_000_000
    assert not {"completed_at", "cancelled_at"} & set(shown)
    assert stage.orchestrator.requests == [WhichBacktest(backtest_id="bt1")]


async def test_a_completed_backtest_has_its_results_with_every_field_of_the_contract(stage: Stage) -> None:
    shown = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]
    assert shown["completed_at"] == "2026-01-31T14:25:01Z"
    results = shown["results"]
    assert results["metrics"].items() >= msgspec.to_builtins(METRICS).items()
    assert results["benchmark"] == "SPX.SIM"
    assert (results["figures_version"], results["returns"], results["years"]) == (2, 252, 1.0)
    assert results["nautilus_statistics"]["sortino_ratio"] == 121_660.6
    assert (results["order_counts"]["rejected"], results["order_counts"]["denied"]) == (1, 1)
    assert results["order_counts"]["reasons"] == [
        {"status": "rejected", "reason": "no market for SPX.SIM", "count": 1}
    ]
    assert (results["positions_open"], results["open_positions"][0]["unrealized_pnl"]) == (1, "10.50")
    assert results["open_orders"][0]["price"] == "110.00"
    assert len(results["trades"]) == len(results["equity_curve"]) == 3
    assert results["trades"][1] == {
        "trade_id": "P-1",
        "instrument_id": "SPX.SIM",
        "side": "BUY",
        "position_side": "LONG",
        "quantity": 1.5,
        "entry_price": 100.25,
        "exit_price": 101.5,
        "entry_time": "1970-01-02T00:00:00Z",
        "exit_time": "1970-01-03T00:00:00.000000005Z",
        "pnl": -8.25,
        "commission": 0.1,
        "duration": 86400.000000005,
        "strategy_id": "EMACross-000",
        "currency": "USD",
    }
    assert results["equity_curve"][2] == {
        "timestamp": "1970-01-03T00:00:00Z",
        "equity": 1_000_010.5,
        "drawdown": 0.25,
        "balance": 1_000_000.0,
        "unrealized_pnl": 10.5,
    }
    assert (results["truncated"], results["more"]) == (False, {})
    for link in (results["tearsheet"], results["manifest"], *results["links"].values()):
        async with stage.http.get(link) as answer:
            assert answer.status == 200, link


async def test_long_lists_are_cut_and_say_where_they_go_on(stage: Stage) -> None:
    many = {
        ResultPart.TRADES: tuple(trade(number) for number in range(10_003)),
        ResultPart.EQUITY_CURVE: tuple(point(number) for number in range(10_000)),
    }
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of({**PARTS, **many}, most=2_500)
    results = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]["results"]
    assert (len(results["trades"]), len(results["equity_curve"])) == (10_000, 10_000)
    assert results["truncated"] is True
    assert list(results["more"]) == ["trades"]
    rest = await call(stage, "GET", results["more"]["trades"])
    assert [one["trade_id"] for one in rest["entries"]] == ["P-10000", "P-10001", "P-10002"]
    assert (rest["total"], rest["offset"], rest["next"]) == (10_003, 10_000, None)


async def test_figures_are_there_and_nothing_else_where_the_result_was_not_saved(stage: Stage) -> None:
    unsaved = msgspec.structs.replace(backtest().config, save_results=False)
    stage.orchestrator.answers["fleet.backtest.get"] = backtest(config=unsaved, has_report=False)
    results = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]["results"]
    assert results["metrics"]["total_return"] == 0.12
    assert (results["trades"], results["equity_curve"], results["manifest"]) == (None, None, None)
    assert (results["tearsheet"], results["links"], results["truncated"]) == (None, {}, False)


async def test_a_failed_backtest_says_why_and_has_its_last_words(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.get"] = unfinished(
        status=BacktestStatus.FAILED,
        reason=TrialFailure.STRATEGY,
        error="ZeroDivisionError",
        log_tail=("a", "b"),
    )
    shown = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]
    assert (shown["status"], shown["reason"], shown["error"]) == ("failed", "strategy", "ZeroDivisionError")
    assert (shown["log_tail"], shown["results"]) == (["a", "b"], None)


async def test_an_unknown_backtest_is_404_everywhere(stage: Stage) -> None:
    for subject in ("get", "result", "cancel", "verify", "compare"):
        stage.orchestrator.answers[f"fleet.backtest.{subject}"] = fault(
            FaultCode.NOT_FOUND, "no backtest bt1"
        )
    for method, path in (
        ("GET", f"{BACKTEST}/bt1"),
        ("DELETE", f"{BACKTEST}/bt1"),
        ("GET", f"{ONE}/results/fills"),
        ("GET", f"{ONE}/report"),
        ("GET", f"{ONE}/export"),
        ("GET", f"{ONE}/export?format=json"),
        ("POST", f"{ONE}/verify"),
        ("GET", f"{API}/backtests/compare?ids=a,b"),
    ):
        assert (await call(stage, method, path, status=404))["message"] == "no backtest bt1"


async def test_cancelling_says_done_only_of_what_is_cancelled(stage: Stage) -> None:
    told = await call(stage, "DELETE", f"{BACKTEST}/bt1")
    assert (told["backtest_id"], told["status"]) == ("bt1", "cancelled")
    answers: list[tuple[BacktestView | FaultError, int]] = [
        (fault(FaultCode.CONFLICT, "bt1 has completed"), 409),
        (fault(FaultCode.OUTCOME_UNKNOWN, "its process was not confirmed gone"), 504),
        (backtest(), 409),
        (unfinished(), 504),
    ]
    for reply, status in answers:
        stage.orchestrator.answers["fleet.backtest.cancel"] = reply
        told = await call(stage, "DELETE", f"{BACKTEST}/bt1", status=status)
        assert told["code"] == {409: "conflict", 504: "outcome_unknown"}[status]
    assert told["status"] == "running"
    assert all(isinstance(request, WhichBacktest) for request in stage.orchestrator.requests)


async def test_a_cancel_without_an_answer_is_an_unknown_outcome(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = asyncio.Event()

    async def late(_: Any) -> BacktestView:
        await is_over.wait()
        return backtest()

    stage.orchestrator.answers["fleet.backtest.cancel"] = late
    called = Bus.call

    async def hasty(self: Bus, *arguments: Any, **options: Any) -> Any:
        return await called(self, *arguments, **{**options, "timeout_s": 0.3})

    monkeypatch.setattr(Bus, "call", hasty)
    assert (await call(stage, "DELETE", f"{BACKTEST}/bt1", status=504))["code"] == "outcome_unknown"
    is_over.set()


async def test_backtests_are_listed_in_pages_with_their_figures_and_not_their_lists(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.list"] = BacktestList(
        backtests=(backtest("b"), unfinished("a")), total_count=7, next="2026~0~a"
    )
    told = await call(stage, "GET", f"{ENGINE}/backtests?status=completed&limit=2&cursor=x~1")
    assert (told["total_count"], told["next"]) == (7, "2026~0~a")
    assert [one["id"] for one in told["backtests"]] == ["b", "a"]
    done, running = told["backtests"]
    assert done["results"]["metrics"]["sharpe_ratio"] == 1.5
    assert "trades" not in done["results"]
    assert running["results"] is None
    wanted = ListBacktests(status=BacktestStatus.COMPLETED, limit=2, cursor="x~1")
    assert stage.orchestrator.requests == [wanted]


async def test_parts_are_read_page_by_page(stage: Stage) -> None:
    first = await call(stage, "GET", f"{ONE}/results/trades")
    assert [one["trade_id"] for one in first["entries"]] == ["P-0", "P-1"]
    assert (first["total"], first["next"], first["part"]) == (3, 2, "trades")
    last = await call(stage, "GET", f"{ONE}/results/trades?offset={first['next']}&limit=5")
    assert ([one["trade_id"] for one in last["entries"]], last["next"]) == (["P-2"], None)
    fills = await call(stage, "GET", f"{ONE}/results/fills")
    assert fills["entries"][0]["last_px"] == "100.25"
    manifest = await call(stage, "GET", f"{ONE}/results/manifest")
    assert manifest["entries"] == [{"seed": 7, "image": "flotilla-engine:latest"}]


async def test_parts_of_what_is_not_completed_are_a_conflict(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.result"] = fault(FaultCode.CONFLICT, "bt1 is running")
    for path in ("results/trades", "report", "export?part=fills", "export?format=json"):
        assert (await call(stage, "GET", f"{ONE}/{path}", status=409))["message"] == "bt1 is running"


async def test_the_report_comes_whole_and_may_reach_nothing(stage: Stage) -> None:
    async with stage.http.get(f"{ONE}/report") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert await answer.text() == REPORT
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "connect-src" not in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of(report="")
    assert (await call(stage, "GET", f"{ONE}/report", status=404))["code"] == "not_found"


async def test_a_run_of_which_nautilustrader_drew_no_sheet_links_to_ours(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.orchestrator.answers["fleet.backtest.get"] = backtest(has_report=False)
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of({**PARTS, ResultPart.MANIFEST: (RAN,)})
    link = (await call(stage, "GET", f"{BACKTEST}/bt1"))["backtest"]["results"]["tearsheet"]
    async with stage.http.get(link) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        html = await answer.text()
    assert html.startswith("<!doctype html>")
    for part in ("bt1", "SPX.SIM", "no market for SPX.SIM", "Drawdown"):
        assert part in html, part
    monkeypatch.setattr(tear_sheet, "MAX_ENTRIES", 2)
    told = await call(stage, "GET", link, status=413)
    assert "has 3 " in told["message"]
    assert "flotilla backtest report bt1" in told["message"]
    stage.orchestrator.answers["fleet.backtest.result"] = fault(FaultCode.NOT_FOUND, "a run again draws it")
    told = await call(stage, "GET", f"{link}?nautilus=true", status=404)
    assert (told["message"], stage.orchestrator.requests[-1].part) == ("a run again draws it", "report")


async def exported(stage: Stage, query: str) -> tuple[str, Any]:
    async with stage.http.get(f"{ONE}/export?{query}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text(), answer.headers


async def test_a_part_is_exported_as_csv(stage: Stage) -> None:
    text, headers = await exported(stage, "part=trades")
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == 'attachment; filename="bt1-trades.csv"'
    lines = text.split("\r\n")
    assert lines[0].startswith("trade_id,instrument_id,side,quantity,entry_price")
    assert lines[1].startswith(
        "P-0,SPX.SIM,BUY,1.5,100.25,101.5,1970-01-01T00:00:00Z,1970-01-02T00:00:00.000000005Z,-8.25"
    )
    assert [line[:3] for line in lines[1:]] == ["P-0", "P-1", "P-2", ""]
    orders, _ = await exported(stage, "part=orders&format=csv")
    assert '"a ""reason"", in two\nlines"' in orders
    assert (await exported(stage, "part=fees"))[0] == "currency,amount\r\nUSD,0.20\r\n"
    statistics, _ = await exported(stage, "part=statistics")
    assert statistics.split("\r\n") == [
        "of,statistic,value",
        "USD,PnL (total),12.25",
        "returns,Sharpe Ratio (252 days),",
        "",
    ]


async def test_a_part_is_exported_as_json(stage: Stage) -> None:
    text, headers = await exported(stage, "part=equity_curve&format=json")
    assert headers["Content-Type"] == "application/json"
    assert [one["timestamp"][:10] for one in json.loads(text)] == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert json.loads((await exported(stage, "part=manifest&format=json"))[0])["seed"] == 7
    empty = {**PARTS, ResultPart.TRADES: ()}
    stage.orchestrator.answers["fleet.backtest.result"] = pages_of(empty)
    assert json.loads((await exported(stage, "part=trades&format=json"))[0]) == []
    assert (await exported(stage, "part=trades"))[0].count("\r\n") == 1


async def test_an_export_that_breaks_off_does_not_look_whole(stage: Stage) -> None:
    good = pages_of()

    def broken(request: Any) -> Any:
        return good(request) if request.offset == 0 else fault(FaultCode.UNAVAILABLE, "gone")

    stage.orchestrator.answers["fleet.backtest.result"] = broken
    for query in ("part=trades", "part=trades&format=json"):
        with pytest.raises(aiohttp.ClientError):
            await exported(stage, query)


async def test_a_head_request_reads_one_page(stage: Stage) -> None:
    async with stage.http.head(f"{ONE}/export") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    assert len(stage.orchestrator.requests) == 1


async def test_backtests_are_compared(stage: Stage) -> None:
    told = await call(stage, "GET", f"{API}/backtests/compare?ids=a,b")
    assert [one["id"] for one in told["backtests"]] == ["a", "b"]
    assert told["parameters"] == {"strategy_config.fast_ema_period": [5, 10]}
    assert stage.orchestrator.requests == [CompareBacktests(backtest_ids=("a", "b"))]


async def test_verifying_says_how_it_stands_and_where_the_first_difference_is(stage: Stage) -> None:
    told = await call(stage, "POST", f"{ONE}/verify")
    assert told["verdict"]["is_equal"] is None
    assert "ask again" in told["message"]
    for is_equal, differences, words in (
        (True, (), "443 fills compared"),
        (
            False,
            (Difference(where="fills[12].last_px", first="1", second="2"),),
            "first in fills[12].last_px",
        ),
    ):
        stage.orchestrator.answers["fleet.backtest.verify"] = BacktestVerdict(
            backtest_id="bt1", verify_id="v1", is_equal=is_equal, differences=differences, fills_compared=443
        )
        told = await call(stage, "POST", f"{ONE}/verify", {"verifyId": "v1"})
        assert told["verdict"]["is_equal"] is is_equal
        assert words in told["message"]
    asked = stage.orchestrator.requests[-1]
    assert isinstance(asked, VerifyBacktest)
    assert (asked.backtest_id, asked.verify_id) == ("bt1", "v1")


async def test_a_study_is_run_read_listed_and_cancelled(stage: Stage) -> None:
    body = {"studyId": "st1", "config": {**STUDY, "bestBy": "total_return", "stopAfter": 3}}
    told = await call(stage, "POST", f"{API}/studies", body)
    assert (told["study_id"], told["status"]) == ("st1", "pending")
    asked = stage.orchestrator.requests[-1]
    assert isinstance(asked, RunStudy)
    assert (asked.config.best_by, asked.config.stop_after) == ("total_return", 3)
    shown = (await call(stage, "GET", f"{API}/studies/st1"))["study"]
    assert (shown["id"], shown["total"], shown["progress"]) == ("st1", 4, 75.0)
    assert shown["best"]["id"] == "st1-0002"
    assert shown["best"]["results"]["metrics"]["total_return"] == 0.12
    listed = await call(stage, "GET", f"{API}/studies?limit=5&cursor=place")
    assert ([one["id"] for one in listed["studies"]], listed["next"]) == (["st1"], None)
    assert stage.orchestrator.requests[-1] == ListStudies(limit=5, cursor="place")
    await call(stage, "GET", f"{API}/studies/st1/backtests?status=failed")
    assert stage.orchestrator.requests[-1] == ListBacktests(status=BacktestStatus.FAILED, study_id="st1")
    told = await call(stage, "DELETE", f"{API}/studies/st1")
    assert (told["status"], told["message"]) == (
        "cancelled",
        "study st1 is cancelled: 1 pending, 2 completed, 1 failed",
    )
    stage.orchestrator.answers["fleet.study.cancel"] = study()
    assert (await call(stage, "DELETE", f"{API}/studies/st1", status=504))["code"] == "outcome_unknown"


async def test_a_status_shows_what_runs_and_does_not_fail_for_want_of_it(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.backtest.list"] = BacktestList(
        backtests=(unfinished("b"), unfinished("a")), total_count=2
    )
    status = (await call(stage, "GET", f"{ENGINE}/status"))["status"]
    assert list(status["active_backtests"]) == ["b", "a"]
    assert status["active_backtests"]["a"] == {
        "status": "running",
        "progress": 37.5,
        "started_at": "2026-01-31T14:25:01Z",
        "worker": "worker-1",
    }
    assert status["backtest_count"] == 2
    stage.orchestrator.answers["fleet.backtest.list"] = fault(FaultCode.UNAVAILABLE, "no record")
    status = (await call(stage, "GET", f"{ENGINE}/status"))["status"]
    assert (status["state"], status["active_backtests"], status["backtest_count"]) == ("running", {}, None)


async def test_reading_takes_a_viewer_and_everything_else_a_trader(stage: Stage) -> None:
    viewer, trader = stage.bearer(Role.VIEWER), stage.bearer(Role.TRADER)
    run, sweep = {"backtest_id": "bt1", "config": CONFIG}, {"study_id": "st1", "config": STUDY}
    for method, path, body in (
        ("POST", BACKTEST, run),
        ("DELETE", f"{BACKTEST}/bt1", None),
        ("POST", f"{ONE}/verify", None),
        ("POST", f"{API}/studies", sweep),
        ("DELETE", f"{API}/studies/st1", None),
    ):
        asked = len(stage.orchestrator.requests)
        async with stage.http.request(method, path, json=body, headers=viewer) as answer:
            assert answer.status == 403, path
        assert len(stage.orchestrator.requests) == asked
        async with stage.http.request(method, path, json=body, headers=trader) as answer:
            assert answer.status == 200, path
    for path in (
        f"{BACKTEST}/bt1",
        f"{ENGINE}/backtests",
        f"{ONE}/report",
        f"{ONE}/export",
        f"{API}/studies",
    ):
        async with stage.http.get(path, headers=viewer) as answer:
            assert answer.status == 200, path
