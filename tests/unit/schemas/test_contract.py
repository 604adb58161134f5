"""The contract's rows agree with each other, and what is generated from them with what is committed."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest

from flotilla.bus.permissions import actor_permissions, engine_permissions
from flotilla.schemas import contract, export
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import CALLS, FEEDS, STREAMS, Actor, Call, Durability, Feed
from flotilla.schemas.decoding import decode
from flotilla.schemas.engine import ConfigureEngine, StartEngine
from flotilla.schemas.fault import STATUS, FaultCode, FaultError
from flotilla.schemas.subjects import wildcard

MAX_BODY_BYTES = 256 * 1024


def test_no_row_is_left_out_of_the_list_of_calls_or_that_of_feeds() -> None:
    named = list(vars(contract).values())
    found = named + [row for group in named if isinstance(group, dict) for row in group.values()]
    assert {row.subject for row in found if isinstance(row, Call)} == {call.subject for call in CALLS}
    assert {row.subject for row in found if isinstance(row, Feed)} == {feed.subject for feed in FEEDS}


def test_no_two_rows_share_a_subject() -> None:
    subjects = [row.subject for row in (*CALLS, *FEEDS)]
    assert len(subjects) == len(set(subjects))


def test_what_is_asked_of_engines_names_only_what_is_meant() -> None:
    """Engines outlive the services that started them: a field that is new and not used must not reach a sidecar that refuses it."""
    for call in CALLS:
        if call.owner is Actor.SIDECAR:
            assert call.request.__struct_config__.omit_defaults, call.subject


def test_every_command_can_carry_a_request_id_and_refuses_unknown_fields() -> None:
    for call in CALLS:
        assert call.request.__struct_config__.forbid_unknown_fields, call.subject
        assert not call.is_command or "request_id" in call.request.__struct_fields__, call.subject


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_each_durable_feed_is_captured_by_its_stream_and_by_no_other(stream: object) -> None:
    captured = {wildcard(feed.subject) for feed in FEEDS if feed.durability == stream.name}  # type: ignore[attr-defined]
    assert captured == set(stream.subjects)  # type: ignore[attr-defined]


def test_generated_documents_are_up_to_date() -> None:
    # In a process of its own: where NautilusTrader is imported first, a limit of 0 is typing's cached one of 0.0.
    done = subprocess.run(
        [sys.executable, "-m", "flotilla.schemas.export", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_drift_is_noticed(tmp_path: object) -> None:
    generated = [
        "schemas.json",
        "asyncapi.json",
        "subjects.md",
        "contract.svg",
        "alerts.md",
        "environment.md",
    ]
    assert export.drift(tmp_path) == generated  # type: ignore[arg-type]


def test_the_picture_has_a_lane_for_everybody_and_an_arrow_for_what_each_may_ask_of_another() -> None:
    picture = ElementTree.fromstring(export.picture())
    shown = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"operator", "gateway", "orchestrator", "supervisor", "sidecar", "worker"} <= set(shown)
    assert "worker → orchestrator: 1 command and 1 question" in shown
    assert "supervisor → sidecar: 1 command" in shown
    assert "engine.<instance_id>.command.end_now" in shown
    assert "gateway: 2 feeds, 1 kept in EVENTS" in shown
    asked = {text.partition(":")[0] for text in shown if " → " in text}
    told = {f"{caller} → {call.owner}" for call in CALLS for caller in call.callers if caller != call.owner}
    assert asked == told


def test_an_instance_fits_the_schema_that_is_published_for_it_and_a_wrong_one_does_not() -> None:
    schemas = export.json_schemas()
    validator = jsonschema.Draft202012Validator({**schemas, "$ref": "#/$defs/ConfigureEngine"})
    validator.validate(msgspec.json.decode(msgspec.json.encode(ConfigureEngine(config=EngineConfig()))))
    wrong = {"config": {**msgspec.json.decode(msgspec.json.encode(EngineConfig())), "instance_id": "a.b"}}
    assert [list(error.path) for error in validator.iter_errors(wrong)] == [["config", "instance_id"]]


def test_the_asyncapi_document_is_one() -> None:
    """By the schema that AsyncAPI's own parser goes by; see tests/standards."""
    standard = Path(__file__).parents[2] / "standards/asyncapi-3.0.0.json.gz"
    validator = jsonschema.Draft7Validator(msgspec.json.decode(gzip.decompress(standard.read_bytes())))
    document = export.asyncapi()
    told = [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(document)]
    assert told == []
    names = {reference.rpartition("/")[2] for reference in _references(document)}
    assert names <= {
        *document["channels"],
        *document["components"]["messages"],
        *document["components"]["schemas"],
    }


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    for inner in node if isinstance(node, list) else ():
        yield from _references(inner)


def test_every_fault_code_has_its_http_status() -> None:
    assert {str(code): status for code, status in STATUS.items()} == {
        "malformed": 400,
        "confirmation_required": 400,
        "unauthenticated": 401,
        "forbidden": 403,
        "not_found": 404,
        "conflict": 409,
        "ambiguous_engine": 409,
        "too_large": 413,
        "invalid": 422,
        "busy": 429,
        "internal": 500,
        "unavailable": 503,
        "outcome_unknown": 504,
    }
    assert len(STATUS) == len(FaultCode)


def test_an_engine_cannot_command_nor_reach_jetstream() -> None:
    said = engine_permissions()["pub"]["allow"]
    own = [subject for subject in said if subject.startswith("engine.{{name()}}.")]
    # The one thing that it may ask of the fleet: a package, by its digest.
    assert sorted({*said} - {*own}) == ["fleet.package.fetch"]
    assert "engine.{{name()}}.command.*" not in said


def test_only_an_operator_brings_or_removes_packages() -> None:
    changes = [call for call in CALLS if call.subject.startswith("fleet.package.") and call.is_command]
    assert len(changes) == 3
    assert {call.callers for call in changes} == {(Actor.OPERATOR,)}


def test_only_an_operator_may_say_everything() -> None:
    for actor in Actor:
        assert (">" in actor_permissions(actor)["pub"]["allow"]) == (actor == Actor.OPERATOR)


def test_the_gateway_asks_engines_and_supervisors_for_emergency_stops_and_for_what_came_of_them_only() -> (
    None
):
    said = actor_permissions(Actor.GATEWAY)["pub"]["allow"]
    assert "fleet.engine.start" in said
    assert [subject for subject in said if subject.startswith(("engine.", "host.", "$JS."))] == [
        "$JS.API.DIRECT.GET.EVENTS",  # what streams of events show
        "$JS.API.STREAM.INFO.EVENTS",
        "$JS.API.STREAM.MSG.GET.EVENTS",  # an engine's last words
        "engine.*.command.end_now",
        "engine.emergency_stop",
        "engine.inspect",
        "engine.lift_stop",
        "host.*.engine.emergency_stop",
        "host.*.engine.inspect",
        "host.*.engine.lift_stop",
    ]


def test_lossy_feeds_are_in_no_stream() -> None:
    lossy = {wildcard(feed.subject) for feed in FEEDS if feed.durability == Durability.LOSSY}
    assert not lossy & {subject for stream in STREAMS for subject in stream.subjects}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"config":{"engine_type":"LIVE\\u0000"}}', "config.engine_type"),
        (b'{"config":{"trading_mode":7}}', "config.trading_mode"),
        (b'{"config":{"max_memory":"100m"}}', "config.max_memory"),
        (b'{"config":{"max_memory":"2gb"}}', "config.max_memory"),
        (b'{"config":{"max_cpu":"-1"}}', "config.max_cpu"),
        (b'{"config":{"max_order_rate":0}}', "config.max_order_rate"),
        (b'{"config":{"max_order_rate":1.5}}', "config.max_order_rate"),
        (b'{"config":{"max_position_size":1e400}}', "config.max_position_size"),
        (
            b'{"config":{"strategies":[{"template":"a","strategy_path":"a:B","config_path":"a:C"}]}}',
            "config.strategies[0]",
        ),
        (b'{"config":{"venues":[{"name":"sim","adapter":"x"}]}}', "config.venues[0].name"),
        (b'{"confirm_live_trading":"yes"}', "confirm_live_trading"),
        (b'{"config":{"data_catalog_path":"app/data"}}', "config.data_catalog_path"),
    ],
)
def test_a_bad_value_is_refused_naming_its_field(body: bytes, field: str) -> None:
    with pytest.raises(FaultError) as caught:
        decode(body, StartEngine)
    assert caught.value.fault.code == FaultCode.INVALID
    assert [error.field for error in caught.value.fault.errors] == [field]


@pytest.mark.parametrize("written", ["LIVE", "Live", " live ", "lIvE"])
def test_live_is_live_however_it_is_written(written: str) -> None:
    config = decode(msgspec.json.encode({"engine_type": written, "trading_mode": written}), EngineConfig)
    assert config.trades_money


def test_a_body_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(FaultError) as caught:
        decode(b" " * (MAX_BODY_BYTES + 1), StartEngine)
    assert caught.value.fault.code == FaultCode.TOO_LARGE
