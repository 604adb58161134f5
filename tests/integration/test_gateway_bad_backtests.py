"""Bad requests about backtests: each gets its status and the field at fault, and nothing of it reaches the orchestrator."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.integration.conftest import ConnectAs
from tests.integration.gateway_backtests import CONFIG, STUDY
from tests.integration.gateways import API, ENGINE, Stage, staged

type Row = tuple[str, str, bytes | None, int, str | None]

BACKTEST = f"{ENGINE}/backtest"
BACKTESTS = f"{API}/backtests"
STUDIES = f"{API}/studies"
VERIFY = f"{BACKTESTS}/bt1/verify"
LEFT_OUT = object()
NO_IDS: tuple[Any, ...] = (7, None, [])
BAD_IDS = ("", "../x", "a/b", "a.b", "a b", "a\n", "*", ">", "é", "x" * 101, "config", "Admin", "LOGS")


def run(field: str, **changes: Any) -> Row:
    """A backtest with some of its config changed or left out, and the field that is named for it."""
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not LEFT_OUT}
    return ("POST", BACKTEST, json.dumps({"backtest_id": "bt1", "config": config}).encode(), 422, field)


def sweep(field: str, **changes: Any) -> Row:
    config = {name: value for name, value in {**STUDY, **changes}.items() if value is not LEFT_OUT}
    return ("POST", STUDIES, json.dumps({"study_id": "st1", "config": config}).encode(), 422, field)


def named(name: Any) -> bytes:
    return json.dumps({"backtest_id": name, "config": CONFIG}).encode()


BODIES: list[Row] = [
    *(
        (method, path, body, status, field)
        for method, path in (("POST", BACKTEST), ("POST", STUDIES), ("POST", VERIFY))
        for body, status, field in (
            (b"nonsense", 400, None),
            (b"\xff\xfe", 400, None),
            (b'{"a":NaN}', 400, None),
            (b"[" * 100_000, 400, None),
            (b'{"pad":"' + b"x" * 300_000 + b'"}', 413, None),
            (b"[]", 422, "body"),
            (b"null", 422, "body"),
            (b'{"unheard_of":1}', 422, None),
        )
    ),
    ("POST", BACKTEST, b"", 400, None),
    ("POST", STUDIES, b"", 400, None),
    ("POST", BACKTEST, b"{}", 422, "backtest_id"),
    ("POST", BACKTEST, b'{"backtest_id":"a"}', 422, "config"),
    ("POST", BACKTEST, b'{"backtest_id":"a","config":null}', 422, "config"),
    ("POST", BACKTEST, b'{"backtest_id":"a","config":{}}', 422, "config.start_date"),
    ("POST", BACKTEST, named("bt1")[:-1] + b',"request_id":"r"}', 422, "request_id"),
    ("POST", BACKTEST, named("bt1")[:-1] + b',"backtestId":"b"}', 422, "backtest_id"),
    *(("POST", BACKTEST, named(bad), 422, "backtest_id") for bad in (*BAD_IDS, *NO_IDS)),
    ("POST", BACKTEST, named("bt1").replace(b'"SPX.SIM"', b'"SPX.SIM",NaN'), 400, None),
    ("POST", BACKTEST, named("bt1")[:-2] + b',"initial_balance":NaN}}', 400, None),
    ("POST", BACKTEST, named("bt1")[:-2] + b',"initialBalance":1e999}}', 422, "config.initial_balance"),
    run("config.unheard_of", unheard_of=1),
    run("config.unheardOf", unheardOf=1),
    run("config.start_date", start_date="2020-12-31", end_date="2020-01-01"),
    run("config.start_date", start_date="2020-01-01T00:00:00", end_date="2020-01-01T00:00:00"),
    run("config.start_date", start_date="yesterday"),
    run("config.end_date", end_date="2020-13-01"),
    run("config.end_date", end_date=20201231),
    run("config.end_date", end_date=LEFT_OUT),
    run("config.start_date", startDate="2020-01-02"),
    run("config.instruments", instruments=[]),
    run("config.instruments", instruments="SPX.SIM"),
    run("config.instruments", instruments=LEFT_OUT),
    run("config.instruments[1]", instruments=["SPX.SIM", "../../etc"]),
    run("config.bar_types[0]", barTypes=["SPX.SIM-1-DAY"]),
    run("config.initial_balance", initial_balance=0),
    run("config.initial_balance", initialBalance=-5),
    run("config.initial_balance", initial_balance="1000"),
    run("config.base_currency", base_currency="usd"),
    run("config.data_sources[0]", data_sources=["internet"]),
    run("config.tick_data", tick_data="yes"),
    run("config.venues", venues=[]),
    run("config.strategy", strategy="../x"),
    run("config", strategy=LEFT_OUT),
    run("config", strategy_class="a:B"),
    run("config.strategy_class", strategy=LEFT_OUT, strategyClass="../../x.py"),
    run("config.strategy_config", strategy_config=[]),
    run("config.leverage", leverage=0.5),
    run("config.seed", seed=-1),
    run("config.timeout_s", timeoutS=0),
    run("config.fill_model.prob_slippage", fillModel={"probSlippage": 1.5}),
    run("config.fill_model.unheard_of", fill_model={"unheard_of": 1}),
    *(("POST", VERIFY, json.dumps({"verify_id": bad}).encode(), 422, "verify_id") for bad in (*BAD_IDS, 7)),
    *(
        ("POST", STUDIES, json.dumps({"study_id": bad, "config": STUDY}).encode(), 422, "study_id")
        for bad in (*BAD_IDS, "x" * 91, 7, None)
    ),
    sweep("config.base", base=LEFT_OUT),
    sweep("config.base.start_date", base={**CONFIG, "start_date": "2021-01-01"}),
    sweep("config.base.initial_balance", base={**CONFIG, "initialBalance": 0}),
    sweep("config.axes", axes={}),
    sweep("config.axes.fast", axes={"fast": {}}),
    sweep("config.axes.fast", axes={"fast": {"values": [1], "low": 1, "high": 2}}),
    sweep("config.axes.fast.low", axes={"fast": {"low": 2, "high": 1}}),
    sweep("config.kind", kind="guess"),
    sweep("config.samples", samples=0),
    sweep("config.folds", folds=101),
    sweep("config.train_share", trainShare=1),
    sweep("config.best_by", best_by="../x"),
    sweep("config.unheard_of", unheard_of=1),
]

URLS: list[Row] = [
    *(
        (method, f"{place}/{bad}{rest}", None, 422, field)
        for method, place, rest, field in (
            ("GET", BACKTEST, "", "backtest_id"),
            ("DELETE", BACKTEST, "", "backtest_id"),
            ("GET", BACKTESTS, "/report", "backtest_id"),
            ("GET", BACKTESTS, "/export", "backtest_id"),
            ("GET", BACKTESTS, "/results/fills", "backtest_id"),
            ("POST", BACKTESTS, "/verify", "backtest_id"),
            ("GET", STUDIES, "", "study_id"),
            ("DELETE", STUDIES, "", "study_id"),
            ("GET", STUDIES, "/backtests", "study_id"),
        )
        for bad in ("a.b", "..%2Fx", "a%2Fb", "a%0A", "%2A", "%3E", "a%20b", "x" * 101, "data", "%00", "%FF")
    ),
    ("GET", f"{BACKTEST}/bt1?x=1", None, 422, "x"),
    ("GET", f"{ENGINE}/backtests?status=odd", None, 422, "status"),
    ("GET", f"{ENGINE}/backtests?limit=0", None, 422, "limit"),
    ("GET", f"{ENGINE}/backtests?limit=1001", None, 422, "limit"),
    ("GET", f"{ENGINE}/backtests?limit=nan", None, 422, "limit"),
    ("GET", f"{ENGINE}/backtests?cursor=", None, 422, "cursor"),
    ("GET", f"{ENGINE}/backtests?cursor=" + "x" * 201, None, 422, "cursor"),
    ("GET", f"{BACKTESTS}/bt1/results/report", None, 422, "part"),
    ("GET", f"{BACKTESTS}/bt1/results/..%2Fx", None, 422, "part"),
    ("GET", f"{BACKTESTS}/bt1/results/fills?offset=-1", None, 422, "offset"),
    ("GET", f"{BACKTESTS}/bt1/results/fills?limit=5001", None, 422, "limit"),
    ("GET", f"{BACKTESTS}/bt1/export?format=parquet", None, 422, "format"),
    ("GET", f"{BACKTESTS}/bt1/export?part=secrets", None, 422, "part"),
    ("GET", f"{BACKTESTS}/bt1/export?part=report", None, 422, "part"),
    ("GET", f"{BACKTESTS}/bt1/export?part=manifest", None, 422, "format"),
    ("GET", f"{BACKTESTS}/compare", None, 422, "ids"),
    ("GET", f"{BACKTESTS}/compare?ids=a", None, 422, "ids"),
    ("GET", f"{BACKTESTS}/compare?ids=", None, 422, "ids"),
    ("GET", f"{BACKTESTS}/compare?ids=a,..%2Fx", None, 422, "ids"),
    ("GET", f"{BACKTESTS}/compare?ids=" + ",".join(f"a{n}" for n in range(17)), None, 422, "ids"),
    ("GET", f"{BACKTESTS}/compare?ids=a,b&ids=c,d", None, 422, "ids"),
    ("GET", f"{STUDIES}?limit=0", None, 422, "limit"),
    ("GET", f"{STUDIES}?status=running", None, 422, "status"),
    ("GET", f"{API}/stream?backtest_id=a.b", None, 422, "backtest_id"),
    ("GET", f"{API}/stream?studyId=config", None, 422, "study_id"),
    ("GET", f"{BACKTESTS}/bt1", None, 404, None),
    ("PUT", f"{BACKTEST}/bt1", None, 405, None),
    ("GET", BACKTEST, None, 405, None),
]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


@pytest.mark.parametrize("rows", [BODIES, URLS], ids=["bodies", "urls"])
async def test_bad_requests_are_refused_naming_the_field_and_never_reach_the_orchestrator(
    stage: Stage, rows: list[Row]
) -> None:
    for method, path, body, status, field in rows:
        url = URL(stage.address + path, encoded=True)
        headers = {"Content-Type": "application/json"}
        async with stage.http.request(method, url, data=body, headers=headers) as answer:
            told = await answer.json(content_type="application/json")
        what = f"{method} {path} {(body or b'')[-120:]!r}: {str(told)[:300]}"
        assert answer.status == status, what
        fields = [error["field"] for error in told.get("errors", [])]
        assert field is None or fields == [field], what
        assert (status == 422) == bool(fields), what
        assert told["success"] is False
        assert told["detail"] == told["message"] != ""
        assert told["error_id"]
        assert len(str(told)) < 5_000
    assert stage.orchestrator.requests == []
