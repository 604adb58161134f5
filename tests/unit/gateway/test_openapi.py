"""The OpenAPI document, and the page made of it."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest

from flotilla.schemas.access import Role
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultError
from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.docs.page import render
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.services.gateway.web.queries import StartBody
from tests.access import OBSERVED

DOCUMENT = document(ROUTES, "1.2.3")


def everything(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from everything(inner)


def test_every_route_stands_in_the_document_once() -> None:
    described = {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert set(described) == {(route.method, route.path) for route in ROUTES}
    assert len({operation["operationId"] for operation in described.values()}) == len(ROUTES)
    for route in ROUTES:
        operation = described[route.method, route.path]
        assert operation.get("x-role") == (str(route.role) if route.role else None)
        assert ("security" in operation) == (route.role is not None)
        has_body = route.signature.body is not None or route.takes is not None
        assert ("requestBody" in operation) == has_body


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    referred = {node["$ref"] for node in everything(DOCUMENT) if "$ref" in node}
    assert referred <= known
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/api/v1/nautilus/engines", {200, 401, 403, 422, 429, 500, 503}),
        ("get", "/api/v1/nautilus/engines/{instance_id}", {200, 401, 403, 404, 422, 429, 500, 503}),
        (
            "get",
            "/api/v1/nautilus/engines/{instance_id}/strategies",
            {200, 401, 403, 404, 409, 422, 429, 500, 503},
        ),
        ("get", "/api/v1/nautilus/engine/logs", {200, 401, 403, 404, 409, 422, 429, 500, 503}),
        ("get", "/api/v1/nautilus/stream", {200, 401, 403, 422, 429, 500, 503}),
        (
            "get",
            "/api/v1/nautilus/backtests/{backtest_id}/results/{part}",
            {200, 304, 401, 403, 404, 409, 422, 429, 500, 503},
        ),
        (
            "post",
            "/api/v1/nautilus/engine/start",
            {200, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503, 504},
        ),
        ("get", "/healthz", {200, 403, 422, 500}),
        ("get", "/readyz", {200, 403, 422, 500, 503}),
    ],
)
def test_the_statuses_of_a_route_are_documented(method: str, path: str, statuses: set[int]) -> None:
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert {int(status) for status in responses} == statuses
    described = [response for status, response in responses.items() if status != "304"]
    assert all(response["description"] and response["content"] for response in described)


def schemas_in(node: Any) -> Iterator[Any]:
    """Every schema below: the values of the keys that hold one."""
    for key, inner in node.items() if isinstance(node, dict) else ():
        if key in ("schema", "items") or (key == "additionalProperties" and isinstance(inner, dict)):
            yield inner
        elif key in ("properties", "schemas", "$defs"):
            yield from inner.values()
        elif key in ("anyOf", "allOf", "oneOf", "prefixItems"):
            yield from inner
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from schemas_in(inner)


def test_schemas_are_such_as_generators_of_clients_read() -> None:
    found = list(schemas_in(DOCUMENT))
    assert len(found) > 500
    assert [one for one in found if isinstance(one, bool)] == []
    lists = [one for one in found if one.get("type") == "array"]
    assert [one for one in lists if not one.keys() & {"items", "prefixItems"}] == []
    assert any("prefixItems" in one for one in lists)


def test_path_parameters_are_those_of_the_path() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


def test_patterns_are_those_of_javascript() -> None:
    patterns = [node["pattern"] for node in everything(DOCUMENT) if isinstance(node.get("pattern"), str)]
    assert patterns
    assert not [pattern for pattern in patterns if r"\A" in pattern or r"\Z" in pattern or "(?i" in pattern]


ADMINS = {
    "alert_remove_channel",
    "alert_set_channel",
    "alert_set_rule",
    "alert_test_channel",
    "audit",
    "backtest_remove_results",
    "catalog_remove",
    "catalog_remove_instrument",
    "cleanup",
    "engine_remove",
    "lift_stop",
    "engine_lift_stop",
    "package_push",
    "package_remove",
}


def test_reading_needs_a_viewer_changing_a_trader_and_what_cannot_be_undone_an_admin() -> None:
    assert {route.name for route in ROUTES if route.role == Role.ADMIN} == ADMINS
    for route in ROUTES:
        if route.path.startswith("/api/") and route.name not in ADMINS:
            is_read = route.method == "GET" or route.name in ("strategy_validate", "backtest_compare_posted")
            if route.role is not None and route.name not in OBSERVED:
                assert route.role == (Role.VIEWER if is_read else Role.TRADER), route.name
    assert {route.name for route in ROUTES if route.role == Role.OBSERVER} == OBSERVED


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"config": {}},
        {"config": {"instance_id": "a.b"}},
        {"config": {"max_order_rate": 0}},
        {"config": {"max_position_size": -1}},
        {"config": {"unheard_of": 1}},
        {"config": {"strategies": [{"template": "ema_cross"}]}},
        {"config": {"data_catalog_path": "/app/../etc"}},
        {"config": {}, "confirm_live_trading": 1},
    ],
)
def test_the_document_admits_what_the_gateway_admits(body: dict[str, Any]) -> None:
    whole = {"$ref": "#/components/schemas/StartBody", "components": DOCUMENT["components"]}
    is_described = jsonschema.Draft202012Validator(whole).is_valid(body)
    try:
        convert(body, StartBody)
    except FaultError:
        is_admitted = False
    else:
        is_admitted = True
    assert is_described == is_admitted


class Tags(HTMLParser):
    """Fails on a tag that is closed and not open, and collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [value for key, value in attrs if key == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_sound_and_its_links_lead_somewhere() -> None:
    tags = Tags()
    tags.feed(render(DOCUMENT))
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert {link[1:] for link in tags.links if link.startswith("#")} <= set(tags.ids)
    assert [link for link in tags.links if not link.startswith("#")] == ["/openapi.json"]


def test_what_stands_in_the_document_cannot_break_out_of_the_page() -> None:
    evil = "<script>alert(1)</script>"
    page = render({**DOCUMENT, "info": {"title": evil, "version": evil, "description": evil}})
    assert "<script" not in page
