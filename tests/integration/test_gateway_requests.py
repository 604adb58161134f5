"""Bad requests: each gets its status, its code and the field at fault, and nothing of it reaches the orchestrator."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from flotilla.schemas.access import Role
from flotilla.schemas.fault import FaultCode, fault
from flotilla.services.gateway.routes.table import ROUTES
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, ENGINE, Stage, concrete, staged

type Row = tuple[str, str, bytes | None, int, str, str | None]

DEEP = b"[" * 100_000 + b"]" * 100_000
START = f"{ENGINE}/start"
STOP = f"{ENGINE}/stop"
PLURAL = f"{API}/engines"


MANY_LABELS = b",".join(b'"k%d":"v"' % number for number in range(10_000))


def config(fields: bytes) -> bytes:
    return b'{"config":{' + fields + b"}}"


BODIES: list[Row] = [
    ("POST", START, b"", 400, "malformed", None),
    ("POST", START, b"   ", 400, "malformed", None),
    ("POST", START, b"nonsense", 400, "malformed", None),
    ("POST", START, b"\xff\xfe", 400, "malformed", None),
    ("POST", START, b'{"config":', 400, "malformed", None),
    ("POST", START, config(b'"max_position_size":NaN'), 400, "malformed", None),
    ("POST", START, config(b'"max_position_size":Infinity'), 400, "malformed", None),
    ("POST", START, DEEP, 400, "malformed", None),
    ("POST", START, config(b'"parameters":{"a":' + DEEP + b"}"), 400, "malformed", None),
    ("POST", START, b'{"pad":"' + b"x" * 300_000 + b'"}', 413, "too_large", None),
    ("POST", START, b"null", 422, "invalid", "body"),
    ("POST", START, b"[]", 422, "invalid", "body"),
    ("POST", START, b'"config"', 422, "invalid", "body"),
    ("POST", START, b"{}", 422, "invalid", "config"),
    ("POST", START, b'{"config":[]}', 422, "invalid", "config"),
    ("POST", START, b'{"config":{},"unheard_of":1}', 422, "invalid", "unheard_of"),
    ("POST", START, b'{"config":{},"confirm_live_trading":"yes"}', 422, "invalid", "confirm_live_trading"),
    ("POST", START, b'{"config":{},"confirm_live_trading":1}', 422, "invalid", "confirm_live_trading"),
    ("POST", START, b'{"config":{},"request_id":"r1"}', 422, "invalid", "request_id"),
    ("POST", START, config(b'"unheard_of":1'), 422, "invalid", "config.unheard_of"),
    ("POST", START, config(b'"unheardOf":1'), 422, "invalid", "config.unheardOf"),
    (
        "POST",
        START,
        config(b'"engineType":"live","engine_type":"paper"'),
        422,
        "invalid",
        "config.engine_type",
    ),
    ("POST", START, config(b'"engineType":"lively"'), 422, "invalid", "config.engine_type"),
    ("POST", START, config(b'"max_position_size":-1'), 422, "invalid", "config.max_position_size"),
    ("POST", START, config(b'"max_position_size":1e999'), 422, "invalid", "config.max_position_size"),
    ("POST", START, config(b'"max_position_size":"1"'), 422, "invalid", "config.max_position_size"),
    ("POST", START, config(b'"max_order_rate":0'), 422, "invalid", "config.max_order_rate"),
    ("POST", START, config(b'"max_order_rate":1.5'), 422, "invalid", "config.max_order_rate"),
    ("POST", START, config(b'"max_cpu":"inf"'), 422, "invalid", "config.max_cpu"),
    ("POST", START, config(b'"max_memory":"1t"'), 422, "invalid", "config.max_memory"),
    ("POST", START, config(b'"data_catalog_path":"/app/../etc"'), 422, "invalid", "config.data_catalog_path"),
    ("POST", START, config(b'"template":"../x"'), 422, "invalid", "config.template"),
    (
        "POST",
        START,
        config(b'"strategies":[{"template":"a"},{"template":"../x"}]'),
        422,
        "invalid",
        "config.strategies[1].template",
    ),
    ("POST", START, config(b'"instance_id":"a.b"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":"a\\n"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":"*"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":">"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":""'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":"A"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"instance_id":"' + b"a" * 64 + b'"'), 422, "invalid", "config.instance_id"),
    ("POST", START, config(b'"labels":[]'), 422, "invalid", "config.labels"),
    ("POST", START, config(b'"labels":{"Desk":"rates"}'), 422, "invalid", "config.labels"),
    ("POST", START, config(b'"labels":{"desk":"a\\n"}'), 422, "invalid", "config.labels.desk"),
    ("POST", START, config(b'"labels":{"zone":"b","desk":"a=b"}'), 422, "invalid", "config.labels.desk"),
    ("POST", START, config(b'"labels":{"desk":"' + b"v" * 64 + b'"}'), 422, "invalid", "config.labels.desk"),
    ("POST", START, config(b'"labels":{' + MANY_LABELS + b"}"), 422, "invalid", "config.labels"),
    ("POST", f"{PLURAL}/e1/start", config(b'"instance_id":"e2"'), 422, "invalid", "config.instance_id"),
    ("POST", f"{PLURAL}/e1/stop", b'{"instance_id":"e2"}', 422, "invalid", "instance_id"),
    ("POST", f"{STOP}?instance_id=e1", b'{"instanceId":"e2"}', 422, "invalid", "instance_id"),
    ("POST", STOP, b'{"policy":"explode"}', 422, "invalid", "policy"),
    ("POST", STOP, b'{"force":null}', 422, "invalid", "force"),
    ("POST", f"{ENGINE}/restart", b'{"config":{}}', 422, "invalid", "config"),
]

EMERGENCY = f"{ENGINE}/emergency-stop"
CONFIG = f"{ENGINE}/config"
VALIDATE = f"{ENGINE}/strategies/validate"
ADD = f"{PLURAL}/e1/strategies"
ONE = f"{ADD}/EMACross-001"

NEW_BODIES: list[Row] = [
    # What no body may be, to each of them.
    *(
        (method, path, body, status, code, field)
        for method, path in (
            ("POST", EMERGENCY),
            ("PUT", CONFIG),
            ("PUT", f"{PLURAL}/e1/config"),
            ("POST", VALIDATE),
            ("POST", ADD),
            ("POST", f"{ONE}/start"),
            ("POST", f"{ONE}/stop"),
            ("POST", f"{PLURAL}/e1/start"),
            ("POST", f"{PLURAL}/e1/emergency-stop"),
        )
        for body, status, code, field in (
            (b"nonsense", 400, "malformed", None),
            (b"\xff\xfe", 400, "malformed", None),
            (b'{"a":NaN}', 400, "malformed", None),
            (DEEP, 400, "malformed", None),
            (b'{"pad":"' + b"x" * 300_000 + b'"}', 413, "too_large", None),
            (b"[]", 422, "invalid", "body"),
            (b"7", 422, "invalid", "body"),
            (b"9" * 5000, 422, "invalid", "body"),
            (b'{"a":' + b"9" * 5000 + b"}", 422, "invalid", "a"),
            (b'{"a":{"b":[1e999]}}', 422, "invalid", "a.b[0]"),
        )
    ),
    # Of these an empty body is none at all.
    ("PUT", CONFIG, b"", 400, "malformed", None),
    ("PUT", CONFIG, b"{}", 422, "invalid", "config"),
    ("PUT", CONFIG, b'{"config":null}', 422, "invalid", "config"),
    ("PUT", CONFIG, b'{"config":{},"unheard_of":1}', 422, "invalid", "unheard_of"),
    ("PUT", CONFIG, b'{"config":{},"confirm_live_trading":true}', 422, "invalid", "confirm_live_trading"),
    ("PUT", CONFIG, config(b'"unheard_of":1'), 422, "invalid", "config.unheard_of"),
    ("PUT", CONFIG, config(b'"max_cpu":"many"'), 422, "invalid", "config.max_cpu"),
    ("PUT", CONFIG, config(b'"labels":{"desk":""}'), 422, "invalid", "config.labels.desk"),
    ("PUT", CONFIG, config(b'"instance_id":"../x"'), 422, "invalid", "config.instance_id"),
    ("PUT", f"{PLURAL}/e1/config", config(b'"instance_id":"e2"'), 422, "invalid", "config.instance_id"),
    (
        "POST",
        VALIDATE,
        b'{"strategy_name":"grid","parameters":{"levels":' + b"9" * 5000 + b"}}",
        422,
        "invalid",
        "parameters.levels",
    ),
    ("POST", EMERGENCY, b'{"unheard_of":1}', 422, "invalid", "unheard_of"),
    ("POST", EMERGENCY, b'{"deadline_s":0}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"deadline_s":121}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"deadline_s":1e999}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"deadline_s":"5"}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"deadline_s":true}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"deadlineS":5,"deadline_s":6}', 422, "invalid", "deadline_s"),
    ("POST", EMERGENCY, b'{"reason":"' + b"x" * 201 + b'"}', 422, "invalid", "reason"),
    ("POST", EMERGENCY, b'{"reason":null}', 422, "invalid", "reason"),
    ("POST", EMERGENCY, b'{"instance_id":"*"}', 422, "invalid", "instance_id"),
    ("POST", EMERGENCY, b'{"instance_id":"a.b"}', 422, "invalid", "instance_id"),
    ("POST", EMERGENCY, b'{"instance_id":"a\\n"}', 422, "invalid", "instance_id"),
    ("POST", EMERGENCY, b'{"instance_id":""}', 422, "invalid", "instance_id"),
    ("POST", f"{EMERGENCY}?instance_id=e1", b'{"instance_id":"e2"}', 422, "invalid", "instance_id"),
    ("POST", f"{EMERGENCY}?instance_id=", b"", 422, "invalid", "instance_id"),
    ("POST", f"{PLURAL}/e1/emergency-stop", b'{"instance_id":"e2"}', 422, "invalid", "instance_id"),
    ("POST", f"{PLURAL}/e1/start", b'{"config":{"instance_id":"e2"}}', 422, "invalid", "config.instance_id"),
    ("POST", f"{PLURAL}/e1/start", b'{"config":[]}', 422, "invalid", "config"),
    ("POST", f"{PLURAL}/e1/start", b'{"unheard_of":1}', 422, "invalid", "unheard_of"),
    ("POST", VALIDATE, b"", 400, "malformed", None),
    ("POST", VALIDATE, b"{}", 422, "invalid", "strategy_name"),
    ("POST", VALIDATE, b'{"strategy_name":"../x"}', 422, "invalid", "strategy_name"),
    ("POST", VALIDATE, b'{"strategy_name":7}', 422, "invalid", "strategy_name"),
    ("POST", VALIDATE, b'{"strategyName":"a","strategy_name":"b"}', 422, "invalid", "strategy_name"),
    ("POST", VALIDATE, b'{"strategy_name":"a","parameters":[]}', 422, "invalid", "parameters"),
    ("POST", VALIDATE, b'{"strategy_name":"a","unheard_of":1}', 422, "invalid", "unheard_of"),
    ("POST", ADD, b"", 400, "malformed", None),
    ("POST", ADD, b"{}", 422, "invalid", "strategy"),
    ("POST", ADD, b'{"strategy":{}}', 422, "invalid", "strategy"),
    ("POST", ADD, b'{"strategy":{"template":"../x"}}', 422, "invalid", "strategy.template"),
    ("POST", ADD, b'{"strategy":{"template":"a"},"start":"yes"}', 422, "invalid", "start"),
    ("POST", ADD, b'{"strategy":{"template":"a","trade_size":1}}', 422, "invalid", "strategy.trade_size"),
    ("POST", ADD, b'{"strategy":{"template":"a"},"instance_id":"e2"}', 422, "invalid", "instance_id"),
    ("POST", f"{ONE}/start", b'{"policy":"cancel"}', 422, "invalid", "policy"),
    ("POST", f"{ONE}/stop", b'{"policy":"vanish"}', 422, "invalid", "policy"),
    ("POST", f"{ONE}/stop", b'{"strategy_id":"EMACross-002"}', 422, "invalid", "strategy_id"),
]

QUERIES: list[Row] = [
    ("DELETE", f"{ENGINE}/containers/cleanup?force=perhaps", None, 422, "invalid", "force"),
    ("DELETE", f"{ENGINE}/containers/cleanup?dry_run=2", None, 422, "invalid", "dry_run"),
    ("DELETE", f"{ENGINE}/containers/cleanup?all=true", None, 422, "invalid", "all"),
    ("DELETE", f"{EMERGENCY}?instance_id=%2A", None, 422, "invalid", "instance_id"),
    ("DELETE", f"{ONE}?policy=vanish", None, 422, "invalid", "policy"),
    ("POST", f"{EMERGENCY}?deadline_s=1", None, 422, "invalid", "deadline_s"),
    ("GET", f"{ENGINE}/logs?lines=abc", None, 422, "invalid", "lines"),
    ("GET", f"{ENGINE}/logs?lines=0", None, 422, "invalid", "lines"),
    ("GET", f"{ENGINE}/logs?lines=1001", None, 422, "invalid", "lines"),
    ("GET", f"{ENGINE}/logs?lines=", None, 422, "invalid", "lines"),
    ("GET", f"{ENGINE}/logs?lines=1&lines=2", None, 422, "invalid", "lines"),
    ("GET", f"{ENGINE}/logs?level=loud", None, 422, "invalid", "level"),
    ("GET", f"{ENGINE}/logs?since=yesterday", None, 422, "invalid", "since"),
    ("GET", f"{ENGINE}/logs?since=2026-01-01T00:00:00", None, 422, "invalid", "since"),
    ("GET", f"{ENGINE}/logs?unheard_of=1", None, 422, "invalid", "unheard_of"),
    ("GET", f"{ENGINE}/status?instance_id=a.b", None, 422, "invalid", "instance_id"),
    ("GET", f"{ENGINE}/status?instance_id=", None, 422, "invalid", "instance_id"),
    ("GET", f"{ENGINE}/status?instance_id=a%0A", None, 422, "invalid", "instance_id"),
    ("GET", f"{ENGINE}/status?instance_id=%2A", None, 422, "invalid", "instance_id"),
    ("GET", f"{ENGINE}/health?x=1", None, 422, "invalid", "x"),
    ("GET", f"{PLURAL}?limit=1e9", None, 422, "invalid", "limit"),
    ("GET", f"{PLURAL}?active=perhaps", None, 422, "invalid", "active"),
    *(
        ("GET", f"{path}?label={bad}", None, 422, "invalid", "label")
        for path in (PLURAL, f"{API}/hosts")
        for bad in (
            "",
            "desk",
            "desk=",
            "=a",
            "Desk=a",
            "desk=a=b",
            "desk=a,",
            "desk=a%0A",
            "desk=%C3%A9",
            "desk=a+b",
            "desk=a,desk=b",
            "desk=a&label=zone=b",
            "desk=" + "v" * 64,
            ",".join(f"k{number}=v" for number in range(17)),
        )
    ),
    ("GET", f"{PLURAL}?labels=desk=a", None, 422, "invalid", "labels"),
    ("GET", f"{PLURAL}/e1/events?after_seq=-1", None, 422, "invalid", "after_seq"),
    ("GET", f"{PLURAL}/e1/events?kind=rumour", None, 422, "invalid", "kind"),
    ("GET", f"{API}/stream?kinds=state,rumour", None, 422, "invalid", "kinds"),
    ("POST", f"{STOP}?wait=true&timeout=nan", None, 422, "invalid", "timeout"),
    ("POST", f"{STOP}?wait=true&timeout=inf", None, 422, "invalid", "timeout"),
    ("POST", f"{STOP}?wait=true&timeout=0", None, 422, "invalid", "timeout"),
    ("POST", f"{STOP}?wait=maybe", None, 422, "invalid", "wait"),
]

PATHS: list[Row] = [
    *(
        ("GET", f"{PLURAL}/{bad}", None, 422, "invalid", "instance_id")
        for bad in (
            "a.b",
            "a%2Eb",
            "a%2Fb",
            "..%2Fb",
            "a%0A",
            "%2A",
            "%3E",
            "a%20b",
            "A",
            "a" * 64,
            "%FF",
            "%00",
            "-a",
        )
    ),
    *(
        ("POST", f"{PLURAL}/{bad}/stop", None, 422, "invalid", "instance_id")
        for bad in ("a.b", "a%2Fb", "a%0A", "a%0D%0A", "%3E", "*", "a" * 64)
    ),
    ("GET", f"{ENGINE}/strategies/templates/..%2Fx", None, 422, "invalid", "name"),
    ("GET", f"{ENGINE}/strategies/templates/a.json", None, 422, "invalid", "name"),
    ("GET", f"{PLURAL}/a/b", None, 404, "not_found", None),
    ("GET", f"{PLURAL}/", None, 404, "not_found", None),
    ("GET", f"{PLURAL}/a/../../engine/nothing", None, 404, "not_found", None),
    ("GET", "/assets", None, 404, "not_found", None),
    ("GET", f"{API}/templates/venue", None, 422, "invalid", "kind"),
    ("GET", f"{API}/templates/..%2Fx", None, 422, "invalid", "kind"),
    *(
        ("POST", f"{PLURAL}/e1/strategies/{bad}/stop", None, 422, "invalid", "strategy_id")
        for bad in ("EMACross", "..%2Fx-1", "a%0A-1", "%2A-1", "-1", "a%20b-1", "a" * 200 + "-1")
    ),
    ("DELETE", f"{PLURAL}/a%2Fb", None, 422, "invalid", "instance_id"),
    ("DELETE", f"{PLURAL}/e1/strategies/x", None, 422, "invalid", "strategy_id"),
    ("DELETE", f"{PLURAL}/%3E/emergency-stop", None, 422, "invalid", "instance_id"),
    ("GET", f"{ENGINE}/emergency-stop", None, 405, "method_not_allowed", None),
    ("GET", START, None, 405, "method_not_allowed", None),
    ("DELETE", f"{ENGINE}/status", None, 405, "method_not_allowed", None),
    ("PATCH", f"{ENGINE}/status", None, 405, "method_not_allowed", None),
]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


async def send(
    stage: Stage, method: str, path: str, body: bytes | None = None, **more: Any
) -> tuple[int, Any, Any]:
    url = URL(stage.address + path, encoded=True)
    # As Python's own client, which says nothing of what it sends.
    more.setdefault("skip_auto_headers", ["Content-Type"])
    async with stage.http.request(method, url, data=body, **more) as answer:
        return answer.status, await answer.json(content_type="application/json"), answer.headers


@pytest.mark.parametrize(
    "rows", [BODIES, NEW_BODIES, QUERIES, PATHS], ids=["bodies", "new bodies", "queries", "paths"]
)
async def test_bad_requests_are_refused_naming_the_field_and_never_reach_the_orchestrator(
    stage: Stage, rows: list[Row]
) -> None:
    for method, path, body, status, code, field in rows:
        got, failure, headers = await send(stage, method, path, body)
        what = f"{method} {path} {(body or b'')[:80]!r}"
        fields = [error["field"] for error in failure.get("errors", [])]
        assert (got, failure["code"], fields) == (status, code, [field] if field else []), what
        assert failure["success"] is False
        assert failure["detail"] == failure["message"] != ""
        assert len(failure["error_id"]) == 16
        assert len(str(failure)) < 5_000
        assert headers["X-Request-Id"]
    assert stage.orchestrator.requests == []
    assert (await send(stage, "GET", f"{ENGINE}/status"))[0] == 200


async def test_a_small_body_that_unpacks_to_a_huge_one_is_too_large(stage: Stage) -> None:
    bomb = gzip.compress(b'{"pad":"' + b"x" * 50_000_000 + b'"}')
    assert len(bomb) < 256 * 1024
    status, failure, _ = await send(stage, "POST", START, bomb, headers={"Content-Encoding": "gzip"})
    assert (status, failure["code"]) == (413, "too_large")
    status, failure, _ = await send(stage, "POST", START, b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (status, failure["code"]) == (400, "malformed")
    assert stage.orchestrator.requests == []


async def test_several_wrong_parameters_are_all_named(stage: Stage) -> None:
    _, failure, _ = await send(stage, "GET", f"{ENGINE}/logs?lines=abc&level=loud&what=1")
    assert [error["field"] for error in failure["errors"]] == ["lines", "level", "what"]


async def test_an_unfinished_body_starts_nothing_and_the_gateway_goes_on(stage: Stage) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    head = f"POST {START} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\nAuthorization: {stage.bearer(Role.ADMIN)['Authorization']}\r\n\r\n"
    for tail in (b'{"config":{}', b""):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + tail)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await send(stage, "GET", f"{ENGINE}/health"))[0] == 200
    assert all(type(request).__name__ == "ListEngines" for request in stage.orchestrator.requests)


async def test_what_is_not_http_is_refused_without_a_word_about_our_insides(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nbroken header\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.0 400")
    assert b"Traceback" not in answer
    assert b".py" not in answer
    writer.close()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (FaultCode.CONFIRMATION_REQUIRED, 400),
        (FaultCode.NOT_FOUND, 404),
        (FaultCode.CONFLICT, 409),
        (FaultCode.INVALID, 422),
        (FaultCode.BUSY, 429),
        (FaultCode.INTERNAL, 500),
        (FaultCode.UNAVAILABLE, 503),
        (FaultCode.OUTCOME_UNKNOWN, 504),
    ],
)
async def test_a_fault_of_the_orchestrator_keeps_its_code_text_and_id(
    stage: Stage, code: FaultCode, status: int
) -> None:
    stage.orchestrator.answers["fleet.engine.start"] = fault(code, "because", retry_after_s=2.5)
    got, failure, headers = await send(stage, "POST", START, b'{"config":{}}')
    assert (got, failure["code"], failure["message"], failure["detail"]) == (
        status,
        code,
        "because",
        "because",
    )
    assert headers["Retry-After"] == "3"
    assert len(failure["error_id"]) == 16


async def test_an_orchestrator_that_is_away_is_503_and_says_when_to_come_back(stage: Stage) -> None:
    await stage.orchestrator.bus.drain()
    status, failure, headers = await send(stage, "POST", START, b'{"config":{}}')
    assert (status, failure["code"]) == (503, "unavailable")
    assert int(headers["Retry-After"]) >= 1


async def test_an_orchestrator_that_fails_by_surprise_shows_nothing_of_it(stage: Stage) -> None:
    def explode(_: Any) -> None:
        raise RuntimeError("password=hunter2")

    stage.orchestrator.answers["fleet.engine.list"] = explode
    status, failure, _ = await send(stage, "GET", PLURAL)
    assert (status, failure["code"]) == (500, "internal")
    assert "hunter2" not in str(failure)


async def test_an_answer_that_cannot_be_read_is_internal(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.orchestrator.answers["fleet.engine.list"] = {"engines": "none"}
    status, failure, _ = await send(stage, "GET", PLURAL)
    assert (status, failure["code"]) == (500, "internal")
    # The id that the client was given finds the traceback in the log.
    assert failure["error_id"] in str(
        [getattr(record, "fields", {}) for record in caplog.records if record.exc_info]
    )


async def test_no_answer_without_a_good_token(stage: Stage) -> None:
    good = stage.tokens[Role.VIEWER]
    for bad in (
        None,
        "",
        good,
        f"Basic {good}",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Bearer {good}x",
        "Bearer é",
    ):
        headers = {} if bad is None else {"Authorization": bad}
        for route in ROUTES:
            if route.role is None:
                continue
            path = concrete(route)
            async with asyncio.timeout(5):
                status = await _bare(stage, route.method, path, headers)
            told_all = route.is_open and bad is None  # without names
            assert status == (200 if told_all else 401), (bad, path)
    assert stage.orchestrator.requests == []


async def _bare(stage: Stage, method: str, path: str, headers: dict[str, str]) -> int:
    """A request without the session's own token."""
    async with (
        aiohttp.ClientSession(stage.address) as session,
        session.request(method, path, headers=headers) as answer,
    ):
        assert answer.headers.get("WWW-Authenticate", "").startswith("Bearer") == (answer.status == 401)
        return answer.status


async def test_a_viewer_reads_and_a_trader_also_commands(stage: Stage) -> None:
    for path, body in (
        (START, b'{"config":{}}'),
        (STOP, None),
        (f"{ENGINE}/restart", None),
        (f"{PLURAL}/e1/stop", None),
    ):
        status, failure, _ = await send(stage, "POST", path, body, headers=stage.bearer(Role.VIEWER))
        assert (status, failure["code"]) == (403, "forbidden")
        assert stage.orchestrator.requests == []
    assert (await send(stage, "GET", f"{ENGINE}/status", headers=stage.bearer(Role.VIEWER)))[0] == 200
    for role in (Role.TRADER, Role.ADMIN):
        assert (await send(stage, "POST", START, b'{"config":{}}', headers=stage.bearer(role)))[0] == 200


async def test_a_token_is_good_as_soon_as_it_is_made_and_no_longer_than_it_stands_in_the_file(
    stage: Stage, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.jsonl"
    token = create_token(file, "new", Role.VIEWER)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await send(stage, "GET", f"{ENGINE}/status", headers=headers))[0] == 200
    file.write_text(
        "".join(line for line in file.read_text().splitlines(keepends=True) if '"new"' not in line)
    )
    assert (await send(stage, "GET", f"{ENGINE}/status", headers=headers))[0] == 401
    file.unlink()
    assert (await send(stage, "GET", f"{ENGINE}/status"))[0] == 401


async def test_the_request_id_reaches_the_command_and_comes_back(stage: Stage) -> None:
    for headers, wanted in (
        ({"X-Request-Id": "r-1"}, "r-1"),
        ({"Idempotency-Key": "r-2"}, "r-2"),
        ({"X-Request-Id": "trace", "Idempotency-Key": "r-3"}, "r-3"),
    ):
        _, reply, answered = await send(stage, "POST", START, b'{"config":{}}', headers=headers)
        assert stage.orchestrator.requests[-1].request_id == wanted
        assert reply["data"]["request_id"] == wanted
        assert answered["X-Request-Id"] == wanted
    _, _, first = await send(stage, "GET", f"{ENGINE}/status")
    _, _, second = await send(stage, "GET", "/nowhere")
    assert first["X-Request-Id"] != second["X-Request-Id"]


@pytest.mark.parametrize("bad", ["a b", "a" * 101, "", "a.b", "é"])
async def test_a_bad_request_id_is_refused_naming_its_header(stage: Stage, bad: str) -> None:
    status, failure, answered = await send(
        stage, "POST", START, b'{"config":{}}', headers={"Idempotency-Key": bad}
    )
    assert (status, [error["field"] for error in failure["errors"]]) == (422, ["Idempotency-Key"])
    assert answered["X-Request-Id"] != bad
    assert stage.orchestrator.requests == []


async def test_allowed_methods_are_named(stage: Stage) -> None:
    _, _, headers = await send(stage, "DELETE", START)
    assert headers["Allow"] == "POST"


async def test_no_page_of_another_origin_may_call_us(stage: Stage) -> None:
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, failure, headers = await send(stage, "OPTIONS", START, headers=origin)
    assert (status, failure["code"]) == (403, "forbidden")
    assert not [name for name in headers if name.startswith("Access-Control")]


async def test_an_origin_on_the_list_may_call_us(connect_as: ConnectAs, tmp_path: Path) -> None:
    origin = {"Origin": "https://desk.example"}
    async with staged(connect_as, tmp_path, origins=("https://desk.example",)) as stage:
        preflight = {**origin, "Access-Control-Request-Method": "POST"}
        async with stage.http.options(START, headers=preflight) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example"
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
            methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
            assert {route.method for route in ROUTES} == set(methods)
        for route in ROUTES:
            asked = {**origin, "Access-Control-Request-Method": route.method}
            async with stage.http.options(concrete(route), headers=asked) as answer:
                assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (
                    204,
                    origin["Origin"],
                )
        _, _, headers = await send(stage, "GET", f"{ENGINE}/status", headers=origin)
        assert headers["Access-Control-Allow-Origin"] == "https://desk.example"
        assert headers["Vary"] == "Origin"
        _, _, headers = await send(
            stage, "GET", f"{ENGINE}/status", headers={"Origin": "https://evil.example"}
        )
        assert "Access-Control-Allow-Origin" not in headers
