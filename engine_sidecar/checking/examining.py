"""One class of a package: found with its config class, described, and built once. It runs people's code, in a process that may be lost."""

import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from flotilla.engine_sidecar.checking.describing import parameters_of
from flotilla.engine_sidecar.checking.free_texts import raised
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.fault import FieldError

_BARS: Final = "SPX.SIM-1-DAY-LAST-EXTERNAL"
_SAMPLES: Final[dict[str, Any]] = {
    "instrument": "SPX.SIM",
    "bar_type": _BARS,
    "boolean": False,
    "string": "1",
    "date": "2020-01-31",
    "datetime": "2020-01-31T00:00:00Z",
    "duration": "PT1M",
    "list": [],
    "map": {},
    "any": None,
}
_CERTAIN: Final = ("instrument", "bar_type")
"""Of these any value must do for a strategy to be built."""


class Found(NamedTuple):
    """A class that can be chosen: both paths as `module:Class`, what it says of itself, and the parameters of its config class."""

    path: str
    config_path: str
    description: str
    parameters: dict[str, Parameter]


class Examined(NamedTuple):
    """What came of a class: it can be chosen, or it is refused; `note` is what could not be made sure of."""

    found: Found | None
    problems: tuple[FieldError, ...] = ()
    note: str = ""


type Build = Callable[[Found, dict[str, Any]], object]
"""Builds a class with these values of its required parameters, as it is built where it runs; raises what that raises."""


def classes_of(modules: list[ModuleType], base: type) -> list[type]:
    """The classes with this base that the modules define, but for those with `_` before their names; abstract ones are no use."""
    names = {module.__name__ for module in modules}
    found = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, base)
        and kind.__module__ in names
        and not kind.__name__.startswith("_")
        and not inspect.isabstract(kind)
    }
    return sorted(found, key=path_of)


def examined(kind: type, config_base: Any, build: Build, *, otherwise: Any = None) -> Examined:
    """The class with its config class, else with the one to take `otherwise`; described, and built once."""
    try:
        return _examined(kind, config_base, build, otherwise)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - annotations and attributes of a class are people's own code
        text = f"it cannot be examined: {raised(error)}"
        return Examined(None, (FieldError(path_of(kind), text),))


def _examined(kind: type, config_base: Any, build: Build, otherwise: Any) -> Examined:
    place, own = path_of(kind), config_class_of(kind, config_base)
    config_class = own if own is not None else otherwise
    if text := _unfit(kind, config_class, config_base):
        # What has no config class beside it may be for the package itself to build.
        is_meant = otherwise is None or _beside(kind) is not None
        if not is_meant:
            return Examined(None, note=f"{place} cannot be chosen: {text}")
        return Examined(None, (FieldError(place, text),))
    parameters, wrong = parameters_of(config_class, config_base)
    if wrong:
        config_path = path_of(config_class)
        return Examined(
            None, tuple(FieldError(f"{config_path}.{name}", text) for name, text in wrong.items())
        )
    found = Found(place, path_of(config_class), first_line(kind), parameters)
    return _built(found, build, has_own=own is not None)


def _built(found: Found, build: Build, *, has_own: bool) -> Examined:
    error, place = _building(found, build), found.path
    if error is None:
        return Examined(found)
    if not has_own:
        return Examined(None, note=f"{place} cannot be chosen, for want of a config class: {error}")
    if unsure := _guessed(found.parameters):
        note = f"{place} was not built with made-up values of {', '.join(unsure)}: {error}"
        return Examined(found, note=note)
    return Examined(None, (FieldError(place, f"it cannot be built: {error}"),))


def _unfit(kind: type, config_class: Any, config_base: Any) -> str | None:
    if config_class is None:
        return f"there is no config class for it: name one {kind.__name__}Config, with {config_base.__name__} as its base"
    if isinstance(config_class, type) and issubclass(config_class, config_base):
        return None
    return f"its config class {config_class.__name__} does not have {config_base.__name__} as its base"


def config_class_of(kind: type, config_base: Any) -> Any:
    """`MyStrategyConfig` beside `MyStrategy`, else what its constructor says that `config` is; None where that is the base itself."""
    if (named := _beside(kind)) is not None:
        return named
    try:
        hints = typing.get_type_hints(inspect.getattr_static(kind, "__init__"))
    except (NameError, TypeError, AttributeError):
        return None
    found = hints.get("config")
    if not isinstance(found, type) or found is config_base:
        return None
    return found


def _beside(kind: type) -> Any:
    return getattr(sys.modules[kind.__module__], f"{kind.__name__}Config", None)


def path_of(kind: type) -> str:
    """`module:Class`."""
    return f"{kind.__module__}:{kind.__name__}"


def first_line(kind: type) -> str:
    """Of the class's own docstring."""
    text = (kind.__dict__.get("__doc__") or "").strip()
    return text.partition("\n")[0].strip()[:200]


def _building(found: Found, build: Build) -> str | None:
    """What is raised when it is built with its defaults, and a sample of each parameter that has none."""
    try:
        build(found, dict(_sampled(found.parameters)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a constructor may raise anything
        return raised(error)
    return None


def _sampled(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Any]]:
    return ((name, _sample(each)) for name, each in parameters.items() if each.required)


def _sample(parameter: Parameter) -> Any:
    match parameter.type:
        case "integer" | "number" | "decimal":
            least = next((each for each in (parameter.min, parameter.above) if each is not None), 0)
            value = int(least) + 1
            return str(value) if parameter.type == "decimal" else value
        case "enum":
            return parameter.codes.get(parameter.choices[0], parameter.choices[0])
        case "object":
            return dict(_sampled(parameter.fields))
    return _SAMPLES[parameter.type]


def _guessed(parameters: Mapping[str, Parameter]) -> list[str]:
    return [name for name, each in parameters.items() if each.required and each.type not in _CERTAIN]
