"""Makes the configs of data and execution clients: NautilusTrader's own classes, unknown fields refused, secrets added.

NautilusTrader would make them itself from JSON, but not those that JSON cannot express, and with errors that name no field.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from nautilus_trader.common.config import msgspec_decoding_hook, resolve_path
from nautilus_trader.live.config import LiveDataClientConfig, LiveExecClientConfig

from flotilla.schemas.secrets import fields_of_side

# NautilusTrader hands these to Rust as they are, which ends the process on any other word.
_WORDS: Final = {
    "oms_type": ("NETTING", "HEDGING"),
    "account_type": ("CASH", "MARGIN", "BETTING"),
    "book_type": ("L1_MBP", "L2_MBP", "L3_MBO"),
}
type Clients = Mapping[str, Mapping[str, Any]]


def config_class(client: Mapping[str, Any], parent: type) -> Any:
    """The config class that a client's `path` names; raises TypeError unless it is a `parent`."""
    found = imported(client.get("path"))
    if not isinstance(found, type) or not issubclass(found, parent):
        raise TypeError(f"{client.get('path')!r} is no {parent.__name__}")
    return found


def imported(path: object) -> Any:
    """What `module:Class` names; raises ValueError in words."""
    if not isinstance(path, str) or path.count(":") != 1:
        raise ValueError(f"must be named as `module:Class`, not {path!r}")
    try:
        return resolve_path(path)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path!r}: {error}") from error


def with_secret(
    name: str, data: Clients, execution: Clients, secret: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a secret for the client's data config, and those for its execution config.

    Each config takes the fields it knows of those for both, and those of its own object. Raises ValueError for a field that neither
    knows, nor the execution config of the same adapter where execution is simulated.
    """
    classes = [
        config_class(clients[name], parent) if name in clients else None
        for clients, parent in ((data, LiveDataClientConfig), (execution, LiveExecClientConfig))
    ]
    in_data, in_execution, unused = (
        frozenset(() if kind is None else kind.__struct_fields__) for kind in (*classes, _sibling(classes[0]))
    )
    of_data, of_execution = fields_of_side(secret, "data"), fields_of_side(secret, "execution")
    unknown = {
        field
        for field in of_data
        if field not in in_data | (in_execution | unused if field in secret else set())
    }
    unknown |= {
        field
        for field in of_execution
        if field not in in_execution | unused | (in_data if field in secret else set())
    }
    if unknown:
        named = ", ".join(f"`{field}`" for field in sorted(unknown))
        raise ValueError(f"no config of client {name} has a field {named}")
    return (
        {field: value for field, value in of_data.items() if field in in_data},
        {field: value for field, value in of_execution.items() if field in in_execution},
    )


def _sibling(data_class: Any) -> Any:
    """The execution config class beside a data config class, by the name that all adapters of NautilusTrader give it."""
    if data_class is None:
        return None
    name = data_class.__name__.replace("DataClientConfig", "ExecClientConfig")
    return getattr(sys.modules[data_class.__module__], name, None)


def decoded(kind: Any, fields: Mapping[str, Any]) -> Any:
    """The config of class `kind` with `fields` as JSON has them; raises ValueError for what the class does not take."""
    try:
        decoder = msgspec.json.Decoder(kind, dec_hook=_decode)
    except TypeError:
        return _checked(_constructed(kind, fields))
    return _checked(decoder.decode(msgspec.json.encode(fields)))


def field_value(kind: Any, value: Any) -> Any:
    """A value as a field of type `kind` takes it from JSON; raises ValueError. A type unknown to msgspec takes an integer."""
    try:
        decoder = msgspec.json.Decoder(kind, dec_hook=_decode)
    except TypeError:
        decoder = msgspec.json.Decoder(int)
    return decoder.decode(msgspec.json.encode(value))


def _decode(kind: Any, value: Any) -> Any:
    """NautilusTrader's own hook, whose errors for enums are no ValueErrors and so tell no field."""
    try:
        return msgspec_decoding_hook(kind, value)
    except (AttributeError, KeyError):
        choices = ", ".join(name for name in dir(kind) if name.isupper())
        raise ValueError(f"must be one of {choices}, not {value!r}") from None


def _constructed(kind: Any, fields: Mapping[str, Any]) -> Any:
    """For a class with a field of a type that msgspec does not know: it alone is taken as an integer."""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in known:
            raise ValueError(f"Object contains unknown field `{name}`")
        try:
            made[name] = field_value(known[name].type, value)
        except ValueError as error:
            raise ValueError(f"{error} (`{name}`)") from error
    return kind(**made)


def _checked(config: Any) -> Any:
    for field, allowed in _WORDS.items():
        value = getattr(config, field, None)
        if isinstance(value, str) and type(value) is str and value not in allowed:
            raise ValueError(f"`{field}` must be one of {', '.join(allowed)}, not {value!r}")
    return config
