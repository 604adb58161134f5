"""The OpenAPI 3.1 document, made from the table of routes and the types that the handlers use."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.fault import STATUS, FaultCode
from flotilla.schemas.ids import REQUEST_ID_PATTERN
from flotilla.services.gateway.routes.route import Route
from flotilla.services.gateway.web.auth import API_KEY
from flotilla.services.gateway.web.failure import Failure
from flotilla.services.gateway.web.queries import PATH_TYPES

_REF: Final = "#/components/schemas/{name}"
_PLACEHOLDER: Final = re.compile(r"{(\w+)}")
_ANY_CASE: Final = re.compile(r"\(\?i:([a-z|]+)\)")
_MEANING: Final = {
    400: "Malformed: not JSON, empty, nested too deep; or live trading without its confirmation.",
    401: "No bearer token, or one that is not known.",
    403: "The token's role is too low; or a page of another site asks.",
    404: "Not known.",
    409: "Illegal now, or several engines are active and none was named.",
    413: "The body is over 256 KiB; or a file, or all that wait with it, are larger than they may be.",
    415: "The body says that it is something else than JSON in UTF-8.",
    422: "A value is invalid; `errors` names each field.",
    429: "Too many at once, too often, or too often without a good token; see Retry-After.",
    500: "A failure of ours; `error_id` finds it in the log.",
    503: "A dependency does not answer and nothing was done; see Retry-After.",
    504: "Sent, and the outcome is not known: it may or may not have been carried out. Repeat it with the same request id.",
}
_INTRODUCTION: Final = """\
Starts, stops and watches NautilusTrader engines.

Every call except the service's own needs `Authorization: Bearer <token>`. An observer sees what engines
are and do, a viewer reads all but the audit, a trader also starts, stops, restarts and backtests, an admin may do
everything: clean up, remove an engine, lift an emergency stop. `flotilla access add` makes tokens. A token with labels
sees and commands only engines that carry them: `x-about` says what that means for a call; `fleet` is not for it. Keys of a body may be snake_case or camelCase. The same request id twice gives the same
answer and has one effect.

Who names `application/problem+json` in `Accept` gets failures in that form, with the same fields beside those of RFC 9457. With
`Accept: application/json;integers=string` integers beyond 2^53, as UNIX nanoseconds are, come as strings in replies.

A stream is of server-sent events: `event` is the kind, `data` its JSON. `event: gap` says that events are missing at this
place, `missed` how many (null when nobody knows); read the engine's events for them. `event: end` is the last one of a stream
whose token is no longer good; `reason` says why. An observer's stream has no backtests."""


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Flotilla", "version": version, "description": _INTRODUCTION},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": API_KEY},
            },
        },
    }


class _Schemas:
    """The JSON Schema of every type that the routes name, with what they share under `components`."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types = [Failure, *PATH_TYPES.values()]
        for route in routes:
            types += [
                one
                for one in (
                    route.signature.reply,
                    route.signature.body,
                    *route.failures.values(),
                    *route.messages,
                )
                if one is not None
            ]
            types += [field.type for field in msgspec.structs.fields(route.signature.query)]
        self._types = types
        found, components = msgspec.json.schema_components(types, ref_template=_REF)
        self._found = [_portable(schema) for schema in found]
        self.components = {name: _portable(schema) for name, schema in sorted(components.items())}

    def of(self, one: Any) -> dict[str, Any]:
        """The schema of a type, or a reference to it."""
        schema: dict[str, Any] = self._found[self._types.index(one)]
        return schema


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path(route, schemas), *_query(route, schemas), *_headers(route)],
        "responses": _responses(route, schemas),
    }
    if (body := route.signature.body) is not None:
        content = {"application/json": {"schema": schemas.of(body)}}
        operation["requestBody"] = {"required": not route.signature.is_body_optional, "content": content}
    if route.takes is not None:
        content = {route.takes: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.role is not None:
        operation["security"] = [{"token": []}, {"key": []}, *([{}] if route.is_open else [])]
        operation["x-role"] = str(route.role)
        operation["x-about"] = str(route.about)
    return operation


def _path(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas.of(PATH_TYPES[name])}
        for name in _PLACEHOLDER.findall(route.path)
    ]


def _query(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    parameters = []
    for field in msgspec.structs.fields(route.signature.query):
        schema = dict(_not_null(schemas.of(field.type)))
        if isinstance(field.default, bool | int | float | str):
            schema["default"] = field.default
        parameter = {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}
        if schema.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be null is one that may be left out."""
    options: list[dict[str, Any]] = schema.get("anyOf", [])
    wanted = [option for option in options if option.get("type") != "null"]
    return wanted[0] if len(wanted) == 1 else schema


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.method == "GET":
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The request id, echoed as X-Request-Id; X-Request-Id is taken too.",
            "schema": {"type": "string", "pattern": _ecma(REQUEST_ID_PATTERN)},
        }
    ]


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    reply = route.signature.reply
    schema = {"schema": schemas.of(reply)} if reply is not None else {}
    if route.messages:
        schema = {"schema": {"anyOf": [schemas.of(message) for message in route.messages]}}
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": {route.media: schema}}}
    if route.is_socket:
        done = "Switched to a WebSocket, whose messages are text: each one of these."
        responses = {"101": {"description": done, "content": {route.media: schema}}}
    if route.name == "readyz":
        responses["503"] = {"description": "Not ready.", "content": {route.media: schema}}
    if route.has_etag:
        responses["304"] = {"description": "As it was: the `ETag` is the one in `If-None-Match`."}
    for status in sorted(_failures(route)):
        failure = {"application/json": {"schema": _failure(route, status, schemas)}}
        responses[str(status)] = {"description": _MEANING[status], "content": failure}
    return responses


def _failure(route: Route, status: int, schemas: _Schemas) -> dict[str, Any]:
    common = schemas.of(Failure)
    own = route.failures.get(status, Failure)
    return common if own is Failure else {"anyOf": [schemas.of(own), common]}


def _failures(route: Route) -> set[int]:
    if route.role is None:
        # A query or a request id that cannot be one is refused everywhere.
        takes_body = {400, 413, 415, STATUS[FaultCode.BUSY]} if route.signature.body is not None else set()
        return {403, 422, 500} | takes_body | set(route.failures)
    statuses = {401, 403, 422, STATUS[FaultCode.BUSY], 500, 503} | set(route.failures)
    if route.signature.body is not None:
        statuses |= {415}
    if _PLACEHOLDER.search(route.path) or "instance_id" in route.signature.query.__struct_fields__:
        statuses |= {404}
    if route.is_socket:
        statuses |= {400}
    if "instance_id" in route.signature.query.__struct_fields__ and route.media == "application/json":
        statuses |= {409}
    if route.method != "GET":
        statuses |= {400, 404, 409, 413, 504}
    return statuses - {404} if route.media == "text/event-stream" else statuses


def _portable(schema: Any) -> Any:
    """What every reader of schemas takes: patterns of ECMA-262, which has neither \\A nor \\Z, nor groups in any case.

    Generators of clients know no schema `false` (that a tuple ends, `maxItems` says too), and no list of anything but
    with `items`.
    """
    match schema:
        case {"items": False, "prefixItems": _, "maxItems": _}:
            return _portable({key: value for key, value in schema.items() if key != "items"})
        case {"type": "array"} if not schema.keys() & {"items", "prefixItems"}:
            return _portable({**schema, "items": {}})
        case dict():
            return {
                key: _ecma(value) if key == "pattern" and isinstance(value, str) else _portable(value)
                for key, value in schema.items()
            }
        case list():
            return [_portable(item) for item in schema]
    return schema


def _ecma(pattern: str) -> str:
    spelt = _ANY_CASE.sub(lambda group: f"(?:{_in_any_case(group[1])})", pattern)
    return spelt.replace(r"\A", "^").replace(r"\Z", "$")


def _in_any_case(words: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in words)
