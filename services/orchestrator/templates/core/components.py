"""What runs beside strategies: actors, execution algorithms and simulation modules, as NautilusTrader imports them."""

from collections.abc import Sequence
from typing import Any, Final

from flotilla.schemas.fault import FieldError
from flotilla.schemas.simulation import ComponentChoice
from flotilla.services.orchestrator.templates.core.templates import TemplateSet

NAUTILUS: Final = (
    "nautilus_trader.backtest.config",
    "nautilus_trader.backtest.modules",
    "nautilus_trader.common.config",
    "nautilus_trader.examples.algorithms",
    "nautilus_trader.execution.config",
)
"""NautilusTrader's own modules that components and their config classes may come from, beside those of strategies."""
ACTOR: Final = "actor_path"
ALGORITHM: Final = "exec_algorithm_path"


def components(
    choices: Sequence[ComponentChoice], key: str, at: str, template_set: TemplateSet
) -> tuple[list[dict[str, Any]], list[FieldError]]:
    """The importable configs of components whose class stands under `key`, or what is wrong with them, named below `at`."""
    made = [_importable(choice, key) for choice in choices]
    errors = [
        FieldError(f"{at}[{index}].{field}", problem)
        for index, choice in enumerate(choices)
        for field in ("path", "config_path")
        if (path := getattr(choice, field)) is not None
        and (problem := _outside(path, template_set)) is not None
    ]
    return made, errors


def beside(
    actors: Sequence[ComponentChoice], exec_algorithms: Sequence[ComponentChoice], template_set: TemplateSet
) -> tuple[dict[str, Any], list[FieldError]]:
    """The fields of NautilusTrader's kernel config for what runs beside strategies, without those that would be empty."""
    found, errors = components(actors, ACTOR, "config.actors", template_set)
    algorithms, wrong = components(exec_algorithms, ALGORITHM, "config.exec_algorithms", template_set)
    listed = {"actors": found, "exec_algorithms": algorithms}
    return {name: each for name, each in listed.items() if each}, [*errors, *wrong]


def _importable(choice: ComponentChoice, key: str) -> dict[str, Any]:
    config_path = choice.config_path or f"{choice.path}Config"
    return {key: choice.path, "config_path": config_path, "config": dict(choice.config)}


def _outside(path: str, template_set: TemplateSet) -> str | None:
    module = path.partition(":")[0]
    if any(module == own or module.startswith(f"{own}.") for own in NAUTILUS):
        return None
    return template_set.outside(path)
