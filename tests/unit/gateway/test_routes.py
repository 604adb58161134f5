"""A row of the table of routes takes the types of query, body and reply from its handler's signature."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.routes.route import Route, changing, reading
from flotilla.services.gateway.web.answer import Answer
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import NoQuery
from flotilla.services.gateway.web.scope import About

if TYPE_CHECKING:
    from flotilla.schemas.health import Health


class Berth(msgspec.Struct, frozen=True, kw_only=True):
    """What a made-up route answers."""

    ship: str


class Page[T](msgspec.Struct, frozen=True, kw_only=True):
    """A generic reply."""

    entries: tuple[T, ...]


class Pier(msgspec.Struct, frozen=True, kw_only=True):
    """A query."""

    pier: int = 1


class Moor(msgspec.Struct, frozen=True, kw_only=True):
    """A body with something that has to be said."""

    ship: str
    hours: int = 1


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """A body of which all has a default."""

    hours: int = 0


async def moor(gateway: Gateway, ask: Ask[Pier, Moor]) -> Berth:
    raise NotImplementedError


async def leave(gateway: Gateway, ask: Ask[NoQuery, Leave]) -> Answer[Berth]:
    raise NotImplementedError


async def list_berths(gateway: Gateway, _: Ask[NoQuery, None]) -> Page[Berth]:
    raise NotImplementedError


async def draw(gateway: Gateway, _: Ask[NoQuery, None]) -> web.StreamResponse:
    raise NotImplementedError


def route(handler: Any) -> Route:
    return reading("made_up", "/made/up", handler, "Made up.", tag="made up", about=About.SHARED)


def operation(row: Route) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the document says of a route, and the schemas that it refers to."""
    whole = document((row,), "1")
    return whole["paths"][row.path][row.method.lower()], whole["components"]["schemas"]


def test_the_document_of_a_made_up_route_has_what_its_handler_takes_and_returns() -> None:
    told, schemas = operation(
        changing("moor", "/berths", moor, "Moor a ship.", tag="berths", about=About.SHARED)
    )
    (pier,) = [one for one in told["parameters"] if one["in"] == "query"]
    assert pier == {
        "name": "pier",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "default": 1},
    }
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Moor"}}}
    assert told["requestBody"] == {"required": True, "content": body}
    reply = {"application/json": {"schema": {"$ref": "#/components/schemas/Berth"}}}
    assert told["responses"]["200"]["content"] == reply
    assert schemas["Moor"]["required"] == ["ship"]
    assert schemas["Berth"]["properties"] == {"ship": {"type": "string"}}


def test_a_body_may_be_left_out_when_all_of_it_has_a_default() -> None:
    told, _ = operation(changing("leave", "/berths", leave, "Leave.", tag="berths", about=About.SHARED))
    assert told["requestBody"]["required"] is False


def test_a_route_whose_handler_takes_no_body_has_none() -> None:
    told, _ = operation(route(draw))
    assert "requestBody" not in told
    assert told["parameters"] == []


def test_a_reply_with_a_status_of_its_own_and_a_generic_one_have_their_schemas() -> None:
    assert route(leave).signature.reply is Berth
    assert route(list_berths).signature.reply == Page[Berth]
    told, schemas = operation(route(list_berths))
    schema = told["responses"]["200"]["content"]["application/json"]["schema"]
    entries = schemas[schema["$ref"].removeprefix("#/components/schemas/")]["properties"]["entries"]
    assert entries["items"] == {"$ref": "#/components/schemas/Berth"}


def test_a_page_or_a_stream_has_no_schema() -> None:
    told, _ = operation(route(draw))
    assert told["responses"]["200"]["content"] == {"application/json": {}}


async def untyped(gateway, ask):  # type: ignore[no-untyped-def]
    raise NotImplementedError


async def unresolved(gateway: Gateway, ask: Ask[NoQuery, None]) -> "Health":
    raise NotImplementedError


async def without_types(gateway: Gateway, ask: Ask) -> Berth:  # type: ignore[type-arg]
    raise NotImplementedError


async def with_two_queries(gateway: Gateway, ask: Ask[Pier | NoQuery, None]) -> Berth:
    raise NotImplementedError


async def with_any_query(gateway: Gateway, ask: Ask[Any, None]) -> Berth:
    raise NotImplementedError


async def with_half_a_body(gateway: Gateway, ask: Ask[NoQuery, Moor | None]) -> Berth:
    raise NotImplementedError


async def without_a_reply(gateway: Gateway, ask: Ask[NoQuery, None]):  # type: ignore[no-untyped-def]
    raise NotImplementedError


async def returning_nothing(gateway: Gateway, ask: Ask[NoQuery, None]) -> None:
    raise NotImplementedError


async def returning_a_dict(gateway: Gateway, ask: Ask[NoQuery, None]) -> Answer[dict[str, Any]]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (untyped, "needs one parameter of type Ask"),
        (unresolved, "cannot be read: name 'Health' is not defined"),
        (without_types, "needs one parameter of type Ask"),
        (with_two_queries, r"its query .*Pier \| .*NoQuery is no msgspec.Struct"),
        (with_any_query, "its query Any is no msgspec.Struct"),
        (with_half_a_body, r"its body .*Moor \| None is no msgspec.Struct, and not None"),
        (without_a_reply, "does not say what it returns"),
        (returning_nothing, "returns NoneType: no msgspec.Struct"),
        (returning_a_dict, "returns .*dict.*: no msgspec.Struct"),
    ],
)
def test_a_row_whose_handler_has_no_such_signature_is_refused_by_the_handlers_name(
    handler: Any, why: str
) -> None:
    name = f"{handler.__module__}.{handler.__qualname__}"
    with pytest.raises(TypeError, match=f"handler {name}: .*{why}"):
        route(handler)
