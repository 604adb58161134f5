"""Writes what the contract says into schemas/generated: JSON Schemas, an AsyncAPI 3 document, a table and a picture for people.

`python -m flotilla.schemas.export` writes, `--check` only compares and exits 1 on a difference, so that a change of the wire is seen in
review.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.schemas.alerts import ALERTS, AlertKind, RaisedBy
from flotilla.schemas.contract import CALLS, FEEDS, Call, Durability, Feed, on_host
from flotilla.schemas.contract import Actor as _Actor
from flotilla.schemas.environment import VARIABLES
from flotilla.schemas.picture import picture
from flotilla.schemas.variable import Variable

FOLDER: Final = Path(__file__).parent / "generated"
_REF: Final = "#/components/schemas/{name}"


def json_schemas() -> dict[str, Any]:
    """Every payload of the contract as one JSON Schema document with a definition per type."""
    types = [kind for call in CALLS for kind in (call.request, call.reply)] + [feed.payload for feed in FEEDS]
    _, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Flotilla",
        "$defs": _portable(definitions),
    }


def asyncapi() -> dict[str, Any]:
    """The contract as an AsyncAPI 3.0 document: a channel per subject, an operation per call and feed, seen from its owner."""
    types = [kind for call in CALLS for kind in (call.request, call.reply)] + [feed.payload for feed in FEEDS]
    refs, definitions = msgspec.json.schema_components(types, ref_template=_REF)
    names = dict(zip(map(_type_name, types), refs, strict=True))
    messages = {
        _message(kind): {"name": _message(kind), "payload": names[_type_name(kind)]} for kind in types
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for call in CALLS:
        for name, address in _addresses(call):
            channels[name] = _channel(address, call.request)
            channels[f"{name}.reply"] = {
                "address": None,
                "messages": {_message(call.reply): _ref("messages", call.reply)},
            }
            operations[name] = _call_operation(name, call)
    for feed in FEEDS:
        name = _channel_name(feed.subject)
        channels[name] = _channel(feed.subject, feed.payload)
        operations[name] = _feed_operation(name, feed)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flotilla",
            "version": "1.0.0",
            "description": "A fleet of NautilusTrader engines on NATS.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _portable(definitions)},
    }


def subjects_table() -> str:
    """A Markdown table of every subject."""
    rows = ["# Subjects", "", "Generated from `schemas/contract.py`.", "", "## Calls", ""]
    rows += ["| Subject | Request | Reply | Answered by | Asked by | For |", "|---|---|---|---|---|---|"]
    for call in CALLS:
        callers = ", ".join(call.callers)
        rows.append(
            f"| `{call.subject}` | {_message(call.request)} | {_message(call.reply)} | {call.owner} | {callers} | {call.summary} |"
        )
    rows += [
        "",
        "A supervisor's calls are also answered on `host.<host>.…`, by that host only.",
        "",
        "## Feeds",
        "",
    ]
    rows += ["| Subject | Payload | Published by | Kept | For |", "|---|---|---|---|---|"]
    for feed in FEEDS:
        kept = "no" if feed.durability == Durability.LOSSY else f"stream {feed.durability}"
        rows.append(
            f"| `{feed.subject}` | {_message(feed.payload)} | {feed.owner} | {kept} | {feed.summary} |"
        )
    return "\n".join(rows) + "\n"


_FEED_OF: Final = {RaisedBy.ENGINE: "alert", RaisedBy.FLEET: "fleet_alert"}


def alerts_table() -> str:
    """A Markdown table of every alert."""
    rows = ["# Alerts", "", "Generated from `schemas/alerts.py`.", ""]
    rows += ["| Code | Severity | Feed | Meaning | What to do | Closed by |", "|---|---|---|---|---|---|"]
    rows += [_alert_row(kind) for _, kind in sorted(ALERTS.items())]
    return "\n".join(rows) + "\n"


def _alert_row(kind: AlertKind) -> str:
    grave = f"; critical when {kind.critical_when}" if kind.critical_when else ""
    closers = ", ".join(f"`{each.code}`" for each in (kind.closed_by, kind.closed_by_end) if each)
    cells = (
        f"`{kind.code}`",
        f"{kind.severity}{grave}",
        _FEED_OF[kind.raised_by],
        kind.meaning,
        kind.remedy,
        closers,
    )
    return f"| {' | '.join(cells)} |"


def environment_table() -> str:
    """A Markdown table of every variable that is read."""
    rows = ["# Environment", "", "Generated from `schemas/environment.py`.", ""]
    rows += ["| Variable | Read by | Type, unit | Without it | Meaning |", "|---|---|---|---|---|"]
    rows += [_variable_row(each) for each in sorted(VARIABLES, key=lambda each: each.name)]
    return "\n".join(rows) + "\n"


def _variable_row(row: Variable[Any]) -> str:
    default = f"`{row.default}`" if row.default else row.without
    return f"| `{row.name}` | {', '.join(row.readers)} | {row.kind.text} | {default} | {row.meaning} |"


def documents() -> dict[str, str]:
    """File name → text of everything that is generated."""
    return {
        "schemas.json": _pretty(json_schemas()),
        "asyncapi.json": _pretty(asyncapi()),
        "subjects.md": subjects_table(),
        "contract.svg": picture(),
        "alerts.md": alerts_table(),
        "environment.md": environment_table(),
    }


def drift(folder: Path) -> list[str]:
    """The names of files in `folder` that differ from what the contract says now, or are missing."""
    return [
        name
        for name, text in documents().items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


def main(arguments: list[str]) -> int:
    """Writes or checks; 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m flotilla.schemas.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    if parser.parse_args(arguments).check:
        for name in (differing := drift(FOLDER)):
            sys.stderr.write(
                f"schemas/generated/{name} is out of date: run `python -m flotilla.schemas.export` and commit\n"
            )
        return 1 if differing else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text)
    return 0


def _addresses(call: Call[Any, Any]) -> list[tuple[str, str]]:
    plain = [(_channel_name(call.subject), call.subject)]
    if call.owner != _Actor.SUPERVISOR or call.subject.startswith("service."):
        return plain
    return [*plain, (_channel_name(on_host(call)), on_host(call))]


def _channel(address: str, payload: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = {part[1:-1]: {} for part in address.split(".") if part.startswith("<")}
    channel: dict[str, Any] = {
        "address": address.replace("<", "{").replace(">", "}"),
        "messages": {_message(payload): _ref("messages", payload)},
    }
    return {**channel, "parameters": parameters} if parameters else channel


def _call_operation(name: str, call: Call[Any, Any]) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": call.summary,
        "tags": [{"name": str(call.owner)}],
        "bindings": {"nats": {"queue": str(call.owner)}},
        "reply": {"channel": {"$ref": f"#/channels/{name}.reply"}},
    }


def _feed_operation(name: str, feed: Feed[Any]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": feed.summary,
        "tags": [{"name": str(feed.owner)}, {"name": str(feed.durability)}],
    }


def _channel_name(subject: str) -> str:
    return subject.replace("<", "").replace(">", "")


def _message(kind: Any) -> str:
    return _type_name(kind).replace("[", "_").replace("]", "")


def _type_name(kind: Any) -> str:
    arguments = getattr(kind, "__args__", ())
    name = getattr(kind, "__origin__", kind).__name__
    return f"{name}[{arguments[0].__name__}]" if arguments else str(name)


def _ref(section: str, kind: Any) -> dict[str, str]:
    return {"$ref": f"#/components/{section}/{_message(kind)}"}


def _portable(value: Any) -> Any:
    """JSON Schema patterns are ECMA regular expressions, which write \\A and \\Z as ^ and $.

    Its `discriminator` is OpenAPI's: JSON Schema has none and AsyncAPI another. The tag of each alternative says the same.
    """
    if isinstance(value, dict):
        return {
            key: _pattern(each) if key == "pattern" and isinstance(each, str) else _portable(each)
            for key, each in value.items()
            if not (key == "discriminator" and isinstance(each, dict) and "propertyName" in each)
        }
    return [_portable(each) for each in value] if isinstance(value, list) else value


def _pattern(python: str) -> str:
    return python.replace(r"\A", "^").replace(r"\Z", "$").replace("(?i:", "(?:")


def _pretty(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
