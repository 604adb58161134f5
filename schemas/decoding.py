"""From untrusted bytes to a typed value, or to a Fault that names the field."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from flotilla.schemas.choices import with_choices
from flotilla.schemas.fault import Fault, FaultCode, FaultError, FieldError, invalid
from flotilla.schemas.numbers import may_be_out_of_range, out_of_range_at

T = TypeVar("T")

UNNAMED: Final = "[...]"
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MOST: Final = 64
MAX_BODY_BYTES: Final = 256 * 1024
_AT = re.compile(r" - at (?:`key` in )?`(?P<path>[^`]*)`\Z")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]{0,100})`")
_CHECKED = re.compile(r"\A`(?P<name>\w+)` ")  # how __post_init__ of our structs names the field
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


def with_key(value: Any, text: str, complaint: Callable[[Any], str | None]) -> str:
    """The text of msgspec's error with the key in it; as it is where that cannot be told.

    The key is that of the entry for which `complaint`, which tells what is wrong with a value, says the same without the others.
    """
    before = text.rpartition("`$")[2].partition(UNNAMED)[0]
    steps = [int(index) if index else name for name, index in _STEP.findall(before)]
    for key in list(_entries(value, steps))[:_MOST]:
        if complaint(_alone(value, steps, key)) == text:
            return text.replace(UNNAMED, f".{key}", 1)
    return text


def _entries(value: Any, steps: Sequence[int | str]) -> dict[str, Any]:
    for step in steps:
        value = value[step]
    return value if isinstance(value, dict) else {}


def _alone(value: Any, steps: Sequence[int | str], key: str) -> Any:
    """The value, of whose dict only that entry is left."""
    if not steps:
        return {key: value[key]}
    copy = value.copy()
    copy[steps[0]] = _alone(value[steps[0]], steps[1:], key)
    return copy


def decode(body: bytes, into: type[T] | Any) -> T:
    """Decodes JSON strictly.

    Raises FaultError: `too_large` over 256 KiB, `malformed` for what is not JSON (empty, NaN, nested too deep, not UTF-8),
    `invalid` with the field's path for a value of the wrong type or range, and for any number that is too large to be one.
    """
    if len(body) > MAX_BODY_BYTES:
        raise FaultError(Fault(code=FaultCode.TOO_LARGE, message=f"body is over {MAX_BODY_BYTES} bytes"))
    try:
        value: T = msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise FaultError(_out_of_range(body) or _invalid(_text_of_body(body, into, error), into)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FaultError(
            Fault(code=FaultCode.MALFORMED, message=f"body is not valid JSON: {error}")
        ) from None
    except RecursionError:
        raise FaultError(Fault(code=FaultCode.MALFORMED, message="body is nested too deep")) from None
    if may_be_out_of_range(body) and (problem := _out_of_range(body)):
        raise FaultError(problem)
    return value


def _out_of_range(body: bytes) -> Fault | None:
    """The decoder does not say where such a number stands, and in a free object takes integers of any size up to a limit."""
    at = out_of_range_at(body)
    return None if at is None else invalid(FieldError(at or "body", "number out of range")).fault


def convert(value: object, into: type[T] | Any, root: str = "") -> T:
    """Like decode, for a value that is decoded already; `root` is put before the field's path."""
    try:
        converted: T = msgspec.convert(value, type=into)
    except msgspec.ValidationError as error:
        raise FaultError(_invalid(_text(value, into, error), into, root)) from None
    except RecursionError:
        raise FaultError(
            Fault(code=FaultCode.MALFORMED, message=f"{root or 'body'} is nested too deep")
        ) from None
    return converted


def _text(value: Any, into: Any, error: msgspec.ValidationError) -> str:
    text = str(error)
    if UNNAMED not in text:
        return text
    return with_key(value, text, lambda other: _complaint(other, into))


def _text_of_body(body: bytes, into: Any, error: msgspec.ValidationError) -> str:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):  # it is wrong in a way that has no keys
        return str(error)
    return _text(value, into, error)


def _complaint(value: Any, into: Any) -> str | None:
    try:
        msgspec.convert(value, type=into)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _invalid(text: str, into: Any, root: str = "") -> Fault:
    at = _AT.search(text)
    path = at["path"].removeprefix("$").removeprefix(".") if at else ""
    message = with_choices(text[: at.start()] if at else text, path, into)
    for pattern in (_UNKNOWN, _MISSING, _CHECKED):
        if named := pattern.search(message):
            path = f"{path}.{named['name']}".removeprefix(".")
    field = f"{root}.{path}".strip(".") or "body"
    return Fault(code=FaultCode.INVALID, message=f"{field}: {message}", errors=(FieldError(field, message),))
