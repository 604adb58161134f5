"""Finds what is in a package, describes and builds each. Run it in a process that may be lost: it imports people's code."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.checking.component_check import components_of
from flotilla.engine_sidecar.checking.examining import (
    Found,
    classes_of,
    config_class_of,
    examined,
)
from flotilla.engine_sidecar.checking.free_texts import raised, shown
from flotilla.engine_sidecar.checking.isolated_check import begins_with
from flotilla.engine_sidecar.strategies.building import build_strategy
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import FoundStrategy, PackageFindings
from flotilla.schemas.package_archive import modules_of

MOST_STRATEGIES: Final = 32
MOST_COMPONENTS: Final = 64
_KEPT_FROM: Final = (
    "a check permits no socket, process or thread, and of files only the package's own and what Python needs"
)


def findings(files: Mapping[str, bytes]) -> PackageFindings:
    """What is in the package, whose modules can be imported here by now; or everything that is wrong with it."""
    modules: list[ModuleType] = []
    for name in modules_of(files):
        begins_with(f"the import of {name}")
        module = _imported(name)
        if isinstance(module, FieldError):
            return PackageFindings(problems=(module,))
        modules.append(module)
    begins_with("describing and building what is in it")
    strategies = [examined(kind, StrategyConfig, _build) for kind in _strategies(modules)]
    components = components_of(modules)
    outcomes = [*strategies, *components.outcomes]
    if problems := [problem for outcome in outcomes for problem in outcome.problems]:
        return PackageFindings(problems=tuple(problems))
    found = tuple(_strategy(outcome.found) for outcome in strategies if outcome.found)
    notes = tuple(outcome.note for outcome in outcomes if outcome.note)
    if text := _wrong_number(len(found), len(components.found)):
        return _refused("package", "; ".join((text, *notes)))
    return PackageFindings(strategies=found, components=components.found, notes=notes)


def _wrong_number(strategies: int, components: int) -> str | None:
    if not strategies and not components:
        return (
            "there is no strategy in it, a class with nautilus_trader's Strategy as its base, and nothing else that an engine or "
            "a backtest can be given"
        )
    if strategies > MOST_STRATEGIES:
        return f"it has {strategies} strategies, and a package at most {MOST_STRATEGIES}"
    if components > MOST_COMPONENTS:
        return (
            f"it has {components} classes to run beside strategies, and a package at most {MOST_COMPONENTS}"
        )
    return None


def _imported(name: str) -> ModuleType | FieldError:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything when it is imported
        text = f"it cannot be imported: {raised(error)}{_line(error, name)}{_kept_from(error)}"
    except SystemExit as error:
        ends = f"it ends its process when it is imported: sys.exit({shown(str(error))}){_line(error, name)}"
        text = f'{ends}; put what a script does under `if __name__ == "__main__":`'
    return FieldError(name, text)


def _kept_from(error: BaseException) -> str:
    """What the check does not let a package do, where it may have been that which raised: its words alone look like a fault of the host."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, PermissionError) or "can't start new thread" in str(at):
            return f"; {_KEPT_FROM}"
        at = at.__cause__ or at.__context__
    return ""


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
    """Strategy classes, but for bases that have no config."""
    found = classes_of(modules, Strategy)
    bases = {base for kind in found for base in kind.__mro__[1:]}
    return [kind for kind in found if not (kind in bases and config_class_of(kind, StrategyConfig) is None)]


def _build(found: Found, config: dict[str, Any]) -> object:
    plan = {"strategy_path": found.path, "config_path": found.config_path, "config": config}
    return build_strategy(plan, lambda *_: None)


def _strategy(found: Found) -> FoundStrategy:
    return FoundStrategy(
        strategy_path=found.path,
        config_path=found.config_path,
        description=found.description,
        parameters=found.parameters,
    )
