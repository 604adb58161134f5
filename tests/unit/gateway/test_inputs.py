"""What a request may say: typed values, or one fault that names every parameter, header and field that is wrong."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from flotilla.schemas.data import ReadChart
from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.web.inputs import read_body, read_path, read_query, read_request_id


class Query(msgspec.Struct, frozen=True, kw_only=True):
    engine_id: str
    limit: Annotated[int, Meta(ge=1, le=9)] = 3
    is_active: bool = False
    kinds: tuple[str, ...] = ()


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    instance_id: str | None = None
    max_cpu: float = 1.0
    free: dict[str, Any] = {}


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    config: Inner = Inner()
    instance_id: str | None = None


def refused(call: Any, *arguments: Any, **more: Any) -> tuple[int, list[str]]:
    """Status and fields at fault."""
    with pytest.raises(FaultError) as caught:
        call(*arguments, **more)
    return caught.value.fault.status, [error.field for error in caught.value.fault.errors]


def body(raw: bytes, *, is_optional: bool = True, fill: dict[str, str] | None = None) -> Body:
    return read_body(raw, Body, is_optional=is_optional, fill=fill or {})


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"X-Request-Id": "r-2"}, "r-2"),
        ({"Idempotency-Key": "r-1"}, "r-1"),
        ({"X-Request-Id": "r-2", "Idempotency-Key": "r-1"}, "r-1"),
    ],
)
def test_the_first_header_with_a_request_id_counts(headers: dict[str, str], found: str | None) -> None:
    assert read_request_id(headers) == found


@pytest.mark.parametrize("text", ["", " ", "a b", "a\n", "ü", "x" * 300, "../x"])
def test_a_request_id_that_is_none_names_its_header(text: str) -> None:
    assert refused(read_request_id, {"X-Request-Id": text}) == (422, ["X-Request-Id"])
    assert refused(read_request_id, {"X-Request-Id": "fine", "Idempotency-Key": text}) == (
        422,
        ["Idempotency-Key"],
    )


def test_ids_of_a_path_are_checked_by_their_kind() -> None:
    assert read_path({"instance_id": "e-1", "kind": "engine"}) == {"instance_id": "e-1", "kind": "engine"}
    assert refused(read_path, {"instance_id": "a.b"}) == (422, ["instance_id"])
    assert refused(read_path, {"kind": "venue"}) == (422, ["kind"])
    assert read_path({}) == {}


def test_a_query_is_read_by_type() -> None:
    found = read_query([("engine_id", "e"), ("limit", "9"), ("is_active", "true"), ("kinds", "a,b")], Query)
    assert found == Query(engine_id="e", limit=9, is_active=True, kinds=("a", "b"))
    assert read_query([("engineId", "e"), ("isActive", "1")], Query) == Query(engine_id="e", is_active=True)
    assert read_query([("engine_id", "")], Query) == Query(engine_id="")


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ([], ["engine_id"]),
        ([("limit", "1")], ["engine_id"]),
        ([("engine_id", "e"), ("limit", "0")], ["limit"]),
        ([("engine_id", "e"), ("limit", "10")], ["limit"]),
        ([("engine_id", "e"), ("limit", "1.5")], ["limit"]),
        ([("engine_id", "e"), ("limit", "")], ["limit"]),
        ([("engine_id", "e"), ("limit", "9" * 5000)], ["limit"]),
        ([("engine_id", "e"), ("is_active", "maybe")], ["is_active"]),
        ([("engine_id", "e"), ("bogus", "1")], ["bogus"]),
        ([("engine_id", "e"), ("engine_id", "e")], ["engine_id"]),
        ([("engine_id", "e"), ("engineId", "e")], ["engine_id"]),
        ([("engine_id", "e"), ("b" * 300, "1")], ["b" * 100]),
        ([("bogus", "1"), ("limit", "x")], ["bogus", "limit", "engine_id"]),
    ],
)
def test_everything_that_is_wrong_with_a_query_is_named(
    given: list[tuple[str, str]], fields: list[str]
) -> None:
    assert refused(read_query, given, Query) == (422, fields)


def test_a_query_of_another_form_is_told_what_its_type_means() -> None:
    with pytest.raises(FaultError) as refused_:
        read_query([("identifier", "SPX.SIM"), ("to", "nope")], ReadChart)
    (error,) = refused_.value.fault.errors
    assert (error.field, error.message) == (
        "to",
        "not understood; wanted: A date, or a moment, in UTC unless it names another offset.",
    )


def test_a_body_that_may_be_left_out_may_be_empty_and_another_may_not() -> None:
    assert body(b"") == Body()
    with pytest.raises(FaultError, match="body is empty; a JSON object is needed"):
        body(b"", is_optional=False)
    assert refused(body, b"  ") == (400, [])
    assert refused(body, b"{}{}") == (400, [])
    assert body(b"{}", is_optional=False) == Body()


def test_keys_may_be_camel_case_and_those_of_a_free_object_stay() -> None:
    found = body(b'{"config":{"maxCpu":2.5,"free":{"someThing":{"innerThing":1}}}}')
    assert found.config.max_cpu == 2.5
    assert found.config.free == {"someThing": {"innerThing": 1}}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"config":{"maxCpu":1,"max_cpu":2}}', "config.max_cpu"),
        (b'{"config":{"maxCpu":"many"}}', "config.max_cpu"),
        (b'{"config":{"maxCpu":1e999}}', "config.max_cpu"),
        (b'{"config":{"free":{"someThing":[1e999]}}}', "config.free.someThing[0]"),
        (b'{"config":{"free":{"a":' + b"1" * 5000 + b"}}}", "config.free.a"),
        (b'{"config":{"bogus":1}}', "config.bogus"),
        (b'{"config":7}', "config"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"9" * 5000, "body"),
    ],
)
def test_the_field_at_fault_is_named_as_ours(raw: bytes, field: str) -> None:
    assert refused(body, raw) == (422, [field])


def test_what_stands_in_the_url_too_is_put_in_and_may_not_differ() -> None:
    fill = {"instance_id": "e1"}
    assert body(b"", fill=fill).instance_id == "e1"
    assert body(b'{"instance_id":null}', fill=fill).instance_id == "e1"
    assert body(b'{"instanceId":"e1"}', fill=fill).instance_id == "e1"
    assert refused(body, b'{"instance_id":"e2"}', fill=fill) == (422, ["instance_id"])


def test_it_is_put_in_below_what_is_there_and_nothing_is_made_for_it() -> None:
    fill = {"config.instance_id": "e1"}
    assert body(b'{"config":{}}', fill=fill).config.instance_id == "e1"
    assert body(b"{}", fill=fill) == Body()
    assert refused(body, b'{"config":{"instanceId":"e2"}}', fill=fill) == (422, ["config.instance_id"])
    assert refused(body, b'{"config":[]}', fill=fill) == (422, ["config"])
    assert refused(body, b"[]", fill=fill) == (422, ["body"])
