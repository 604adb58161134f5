"""Finds the strategies of a package, describes and builds each. Run it in a process that may be lost: it imports people's code."""

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.checking.describing import parameters_of
from flotilla.engine_sidecar.strategies.building import build_strategy
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import FoundStrategy, PackageFindings
from flotilla.schemas.package_archive import modules_of

MOST_STRATEGIES: Final = 32
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


def findings(files: Mapping[str, bytes]) -> PackageFindings:
    """What is in the package, whose modules can be imported here by now; or everything that is wrong with it."""
    modules: list[ModuleType] = []
    for name in modules_of(files):
        module = _imported(name)
        if isinstance(module, FieldError):
            return PackageFindings(problems=(module,))
        modules.append(module)
    classes = _strategies(modules)
    if not classes:
        return _refused(
            "package", "there is no strategy in it: a class with nautilus_trader's Strategy as its base"
        )
    if len(classes) > MOST_STRATEGIES:
        return _refused(
            "package", f"it has {len(classes)} strategies, and a package at most {MOST_STRATEGIES}"
        )
    found, problems, notes = [], [], []
    for each in classes:
        strategy, wrong, note = _judged(each)
        problems += wrong
        found += [strategy] if strategy else []
        notes += [note] if note else []
    if problems:
        return PackageFindings(problems=tuple(problems))
    return PackageFindings(strategies=tuple(found), notes=tuple(notes))


def _imported(name: str) -> ModuleType | FieldError:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
        text = f"it cannot be imported: {type(error).__name__}: {error}{_line(error, name)}"
    except SystemExit as error:
        ends = f"it ends its process when it is imported: sys.exit({error}){_line(error, name)}"
        text = f'{ends}; put what a script does under `if __name__ == "__main__":`'
    return FieldError(name, text)


def _refused(field: str, message: str) -> PackageFindings:
    return PackageFindings(problems=(FieldError(field, message),))


def _line(error: BaseException, name: str) -> str:
    """Where in the package it was raised."""
    trace, number, file = error.__traceback__, 0, ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if str(module).partition(".")[0] == name.partition(".")[0]:
            number, file = trace.tb_lineno, str(module)
        trace = trace.tb_next
    return f" ({file}, line {number})" if number else ""


def _strategies(modules: list[ModuleType]) -> list[type]:
    """Strategy classes that the modules define, but for those with `_` before their names, and bases that have no config."""
    names = {module.__name__ for module in modules}
    found = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Strategy) and kind.__module__ in names and not kind.__name__.startswith("_")
    }
    bases = {base for kind in found for base in kind.__mro__[1:]}
    kept = [
        kind
        for kind in found
        if not inspect.isabstract(kind) and not (kind in bases and _config_class(kind) is None)
    ]
    return sorted(kept, key=_path)


def _judged(kind: type) -> tuple[FoundStrategy | None, list[FieldError], str]:
    try:
        return _examined(kind)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - annotations and attributes of a class are people's own code
        text = f"it cannot be examined: {type(error).__name__}: {error}"
        return None, [FieldError(_path(kind), text)], ""


def _examined(kind: type) -> tuple[FoundStrategy | None, list[FieldError], str]:
    """The strategy, or what is wrong with it, and what could not be made sure of."""
    place, config_class = _path(kind), _config_class(kind)
    if config_class is None:
        text = f"there is no config class for it: name one {kind.__name__}Config, with StrategyConfig as its base"
        return None, [FieldError(place, text)], ""
    if not (isinstance(config_class, type) and issubclass(config_class, StrategyConfig)):
        text = f"its config class {config_class.__name__} does not have StrategyConfig as its base"
        return None, [FieldError(place, text)], ""
    parameters, wrong = parameters_of(config_class)
    problems = [FieldError(f"{_path(config_class)}.{name}", text) for name, text in wrong.items()]
    if problems:
        return None, problems, ""
    strategy = FoundStrategy(
        strategy_path=place,
        config_path=_path(config_class),
        description=_first_line(kind),
        parameters=parameters,
    )
    error = _building(strategy)
    if error is None:
        return strategy, [], ""
    if unsure := _guessed(parameters):
        return strategy, [], f"{place} was not built with made-up values of {', '.join(unsure)}: {error}"
    return None, [FieldError(place, f"it cannot be built: {error}")], ""


def _building(strategy: FoundStrategy) -> str | None:
    """What the strategy raises when it is built with its defaults, and a sample of each parameter that has none."""
    plan = {
        "strategy_path": strategy.strategy_path,
        "config_path": strategy.config_path,
        "config": dict(_sampled(strategy.parameters)),
    }
    try:
        build_strategy(plan, lambda *_: None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a constructor may raise anything
        return f"{type(error).__name__}: {error}"
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


def _config_class(kind: type) -> Any:
    """`MyStrategyConfig` beside `MyStrategy`, else what its constructor says that `config` is."""
    module = sys.modules[kind.__module__]
    if (named := getattr(module, f"{kind.__name__}Config", None)) is not None:
        return named
    try:
        hints = typing.get_type_hints(inspect.getattr_static(kind, "__init__"))
    except (NameError, TypeError, AttributeError):
        return None
    found = hints.get("config")
    if not isinstance(found, type) or found is StrategyConfig:
        return None
    return found


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__name__}"


def _first_line(kind: type) -> str:
    text = (kind.__dict__.get("__doc__") or "").strip()
    return text.partition("\n")[0].strip()[:200]
