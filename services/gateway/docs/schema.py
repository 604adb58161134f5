"""JSON Schemas for people: types in words, fields as tables."""

from html import escape
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
