"""The OpenAPI document as one page: made on the server, without a script, a font or a picture from elsewhere."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any, Final

_LIMITS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
}


def schema_link(name: str) -> str:
    """A link to where a schema stands on the page."""
    return f'<a class="type" href="#schema-{escape(name)}">{escape(name)}</a>'


def type_words(schema: dict[str, Any]) -> str:
    """The type of a value, with links to the schemas that it is made of."""
    if "$ref" in schema:
        return schema_link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(type_words(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " · ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    return _plain_type(schema)


def remarks(schema: dict[str, Any]) -> str:
    """What a value must be beyond its type, and what it is for."""
    options = [schema, *schema.get("anyOf", [])]
    said = [escape(str(option["description"])) for option in options if "description" in option]
    for option in options:
        said += [text.format(option[key]) for key, text in _LIMITS.items() if key in option]
        if "pattern" in option:
            said.append(f"<code>{escape(option['pattern'])}</code>")
    return "<br>".join(said)


def fields_table(schema: dict[str, Any]) -> str:
    """The fields of an object, one per row; of anything else, its type."""
    if not schema.get("properties"):
        return f"<p>{type_words(schema)}</p>"
    required = schema.get("required", [])
    rows = "".join(
        row(name, field, is_required=name in required) for name, field in schema["properties"].items()
    )
    return f"<table><tr><th>Field</th><th>Type</th><th>Default</th><th>Remarks</th></tr>{rows}</table>"


def row(name: str, schema: dict[str, Any], *, is_required: bool) -> str:
    """A field or parameter as a row of a table."""
    default = "<em>required</em>" if is_required else _default(schema)
    cells = (f"<code>{escape(name)}</code>", type_words(schema), default, remarks(schema))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _default(schema: dict[str, Any]) -> str:
    match schema.get("default"):
        case None | {} | []:
            return ""
        case bool(value):
            return f"<code>{str(value).lower()}</code>"
        case value:
            return f"<code>{escape(str(value))}</code>"


def _plain_type(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(type_words(item) for item in schema['prefixItems'])}]"
        case "array":
            return f"list of {type_words(schema.get('items') or {})}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {type_words(schema['additionalProperties'])}"
        case None:
            return "anything"
        case name:
            return escape(f"{name}, {schema['format']}" if "format" in schema else str(name))


_PLACES: Final = {
    "instance_id": "trading-001",
    "name": "ema_cross",
    "strategy_id": "EMACross-000",
    "kind": "engine",
    "backtest_id": "bt-001",
    "study_id": "st-001",
    "part": "trades",
    "import_id": "my-import",
    "version": "1",
    "alert_id": "3f9c2a7b1d043f9c2a7b1d04",
    "rule": "host_lost",
}
_QUERY: Final = {
    "ids": "bt-001,bt-002",
    "identifier": "SPX.SIM-1-DAY-LAST-EXTERNAL",
    "type": "quotes",
    "instrument": "EUR/USD.SIM",
    "file": "eurusd.csv",
    "name": "mine",
}
"""Of parameters that must be given."""
_PARAMETERS: Final = '{"instrument_id": "SPX.SIM", "bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL"}'
_CONFIG: Final = (
    '{"config": {"engine_type": "sandbox", "instance_id": "trading-001", "template": "sandbox_engine"}}'
)
_BACKTEST: Final = '{"strategy": "ema_cross", "instruments": ["SPX.SIM"], "start_date": "2020-01-01", "end_date": "2020-12-31"}'
_JSON: Final = "application/json"
_BODIES: Final = {
    "MuteBody": '{"about": "trading-001", "for_s": 3600}',
    "ChannelBody": '{"secret": "desk_mail"}',
    "SignInBody": '{"code": "ABCDE-FGHIJ"}',
    "StartBody": _CONFIG,
    "ConfigBody": _CONFIG,
    "ValidateStrategy": f'{{"strategy_name": "ema_cross", "parameters": {_PARAMETERS}}}',
    "StrategyAddBody": f'{{"strategy": {{"template": "ema_cross", "parameters": {_PARAMETERS}}}}}',
    "SignalBody": '{"name": "mood", "value": 0.3}',
    "CompareBody": '{"backtest_ids": ["bt-001", "bt-002"]}',
    "BacktestBody": f'{{"backtest_id": "bt-001", "config": {_BACKTEST}}}',
    "StudyBody": f'{{"study_id": "st-001", "config": {{"base": {_BACKTEST}, "axes": {{"fast_ema_period": {{"values": [5, 10]}}}}}}}}',
}
"""An example of each body that may not be left out."""

type Operation = tuple[str, str, dict[str, Any]]


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    style = (files(__package__) / "page.css").read_text()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{style}</style></head><body>"
        f"<nav>{_navigation(document)}</nav><main>{_heading(info)}"
        f"{''.join(_section(document, tag['name']) for tag in document['tags'])}"
        f"{_schemas(document)}</main></body></html>"
    )


def _operations(document: dict[str, Any], tag: str) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _navigation(document: dict[str, Any]) -> str:
    parts = [f"<h1>{escape(document['info']['title'])}</h1>"]
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{escape(operation["operationId"])}">{_badge(method)}'
            f"<span>{escape(_short(path))}</span></a></li>"
            for method, path, operation in _operations(document, tag["name"])
        )
        parts.append(f"<h2>{escape(tag['name'])}</h2><ul>{links}</ul>")
    parts.append('<h2><a href="#schemas">schemas</a></h2>')
    return "".join(parts)


def _heading(info: dict[str, Any]) -> str:
    paragraphs = "".join(f"<p>{_prose(text)}</p>" for text in info["description"].split("\n\n"))
    return (
        f"<header><h1>{escape(info['title'])} <small>API {escape(info['version'])}</small></h1>{paragraphs}"
        '<p><a href="/openapi.json">openapi.json</a></p></header>'
    )


def _section(document: dict[str, Any], tag: str) -> str:
    cards = "".join(_card(document, *operation) for operation in _operations(document, tag))
    return f"<section><h2>{escape(tag.capitalize())}</h2>{cards}</section>"


# The id stands on the content, not on <details>: a browser opens what it has to scroll into.
def _card(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    role = operation.get("x-role", "open to all")
    return (
        f"<details><summary>{_badge(method)}"
        f"<code>{escape(path)}</code><span>{escape(operation['summary'])}</span>"
        f'<i class="role">{escape(role)}</i></summary><div id="{escape(operation["operationId"])}">'
        f"{_parameters(operation)}{_body(document, operation)}{_responses(operation)}"
        f"<h4>Try it</h4><pre>{escape(_curl(method, path, operation))}</pre></div></details>"
    )


def _parameters(operation: dict[str, Any]) -> str:
    if not operation["parameters"]:
        return ""
    rows = "".join(
        row(
            f"{parameter['name']} ({parameter['in']})",
            {"description": parameter["description"], **parameter["schema"]}
            if "description" in parameter
            else parameter["schema"],
            is_required=parameter["required"],
        )
        for parameter in operation["parameters"]
    )
    head = "<tr><th>Name</th><th>Type</th><th>Default</th><th>Remarks</th></tr>"
    return f"<h4>Parameters</h4><table>{head}{rows}</table>"


def _body(document: dict[str, Any], operation: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    body = operation["requestBody"]
    media = next(iter(body["content"]))
    if media != _JSON:
        return f"<h4>Body</h4><p>The file itself, as <code>{escape(media)}</code>.</p>"
    name = _body_name(operation)
    note = "" if body["required"] else " <small>may be left out</small>"
    return f"<h4>Body{note}</h4>{fields_table(document['components']['schemas'][name])}"


def _body_name(operation: dict[str, Any]) -> str:
    reference: str = operation["requestBody"]["content"][_JSON]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def _responses(operation: dict[str, Any]) -> str:
    rows = ""
    for status, response in operation["responses"].items():
        media, content = next(iter(response.get("content", {"": {}}).items()))
        answer = type_words(content["schema"]) if "schema" in content else escape(media)
        kind = "bad" if status.startswith(("4", "5")) else "good"
        rows += (
            f'<tr><td><b class="{kind}">{status}</b></td><td>{_prose(response["description"])}</td>'
            f"<td>{answer}</td></tr>"
        )
    return f"<h4>Answers</h4><table><tr><th>Status</th><th>When</th><th>Body</th></tr>{rows}</table>"


def _schemas(document: dict[str, Any]) -> str:
    parts = [
        f'<details><summary><code>{escape(name)}</code></summary><div id="schema-{escape(name)}">'
        f"<p>{_prose(schema.get('description', ''))}</p>{fields_table(schema)}</div></details>"
        for name, schema in document["components"]["schemas"].items()
    ]
    return f'<section id="schemas"><h2>Schemas</h2>{"".join(parts)}</section>'


def _curl(method: str, path: str, operation: dict[str, Any]) -> str:
    query = "&".join(
        f"{one['name']}={_QUERY[one['name']]}"
        for one in operation["parameters"]
        if one["in"] == "query" and one["required"]
    )
    url = f"http://localhost:8001{path.format_map(_PLACES)}"
    url = f"'{url}?{query}'" if query else url
    parts = [
        "curl",
        *(["-N"] if operation["tags"] == ["stream"] else []),
        *(["-X", method] if method != "GET" else []),
    ]
    if "x-role" in operation:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    lines = [" ".join([*parts, url])]
    if operation.get("requestBody", {}).get("required"):
        media = next(iter(operation["requestBody"]["content"]))
        body = f"-d '{_BODIES[_body_name(operation)]}'" if media == _JSON else "-T FILE"
        lines.append(f'-H "Content-Type: {media}" {body}')
    return " \\\n  ".join(lines)


def _badge(method: str) -> str:
    return f'<b class="method {method.lower()}">{method}</b>'


def _short(path: str) -> str:
    return (
        path.removeprefix("/api/v1/nautilus")
        .replace("{instance_id}", "{id}")
        .replace("{strategy_id}", "{id}")
        .replace("{backtest_id}", "{id}")
        .replace("{study_id}", "{id}")
    )


def _prose(text: str) -> str:
    """Escaped, with `code` between back quotes."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
