"""What runs beside strategies, and models of venues, as NautilusTrader imports them: of packages, of allowed modules, and its own."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.catalog import CatalogEntry, is_of_class
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import ComponentKind, is_draft
from flotilla.schemas.simulation import ComponentChoice, CustomDataChoice
from flotilla.services.orchestrator.templates.core.parameters import Known, check_all
from flotilla.services.orchestrator.templates.core.strategies import Rendered, instruments
from flotilla.services.orchestrator.templates.core.templates import OfferedComponent, TemplateSet

NAUTILUS: Final = (
    "nautilus_trader.backtest.config",
    "nautilus_trader.backtest.modules",
    "nautilus_trader.common.config",
    "nautilus_trader.examples.algorithms",
    "nautilus_trader.execution.config",
)
"""NautilusTrader's own modules that components and their config classes may come from, beside those of strategies."""
_OF_EVERY: Final = ("component_id", "exec_algorithm_id", "log_events", "log_commands")
"""What every actor, module or algorithm has in its config beside its own parameters; the engine reads it."""
_KEYS: Final = {
    ComponentKind.ACTOR: "actor_path",
    ComponentKind.DATA: "data_path",
    ComponentKind.SIMULATION_MODULE: "actor_path",
    ComponentKind.EXEC_ALGORITHM: "exec_algorithm_path",
    ComponentKind.FILL_MODEL: "fill_model_path",
    ComponentKind.FEE_MODEL: "fee_model_path",
    ComponentKind.LATENCY_MODEL: "latency_model_path",
}


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What runs beside the strategies of an engine or a trial."""

    actors: tuple[Rendered, ...]
    exec_algorithms: tuple[Rendered, ...]

    @property
    def everything(self) -> tuple[Rendered, ...]:
        """Both."""
        return (*self.actors, *self.exec_algorithms)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of NautilusTrader's kernel config, without those that would be empty."""
        listed = {"actors": self.actors, "exec_algorithms": self.exec_algorithms}
        return {name: [each.config for each in found] for name, found in listed.items() if found}


def beside(
    actors: Sequence[ComponentChoice],
    exec_algorithms: Sequence[ComponentChoice],
    template_set: TemplateSet,
    known: Known | None,
) -> tuple[Beside, list[FieldError]]:
    """What is beside the strategies, and what is wrong with it. `known` is null for an engine with venues."""
    found, errors = components(actors, ComponentKind.ACTOR, "config.actors", template_set, known)
    algorithms, wrong = components(
        exec_algorithms, ComponentKind.EXEC_ALGORITHM, "config.exec_algorithms", template_set, known
    )
    return Beside(actors=tuple(found), exec_algorithms=tuple(algorithms)), [*errors, *wrong]


def components(
    choices: Sequence[ComponentChoice],
    kind: ComponentKind,
    at: str,
    template_set: TemplateSet,
    known: Known | None,
) -> tuple[list[Rendered], list[FieldError]]:
    """The importable configs of several of a kind, and what is wrong with them, named below `at`."""
    made, errors = [], []
    for index, choice in enumerate(choices):
        one, wrong = component(choice, kind, f"{at}[{index}]", template_set, known)
        made += [one] if one else []
        errors += wrong
    return made, errors


def component(
    choice: ComponentChoice, kind: ComponentKind, at: str, template_set: TemplateSet, known: Known | None
) -> tuple[Rendered | None, list[FieldError]]:
    """The importable config of one, or everything that is wrong with it."""
    if (offered := _offered(choice.path, template_set)) is not None:
        return _of_package(choice, offered, kind, at, known)
    errors = [
        FieldError(f"{at}.{field}", problem)
        for field in ("path", "config_path")
        if (path := getattr(choice, field)) is not None
        and (problem := _outside(path, template_set)) is not None
    ]
    if kind is ComponentKind.MARGIN_MODEL and choice.config_path is not None:
        text = "a margin model has no config class: it gets `config` as it is, in a MarginModelConfig"
        errors.append(FieldError(f"{at}.config_path", text))
    config_path = choice.config_path or f"{choice.path}Config"
    return (None, errors) if errors else (_rendered(kind, choice.path, config_path, choice.config), [])


def pinned_component[C: ComponentChoice | CustomDataChoice](choice: C, template_set: TemplateSet) -> C:
    """The choice with the version of its package, where it is of one, so that it means the same once there is a newer one."""
    offered = _offered(choice.path, template_set) if "@" not in choice.path else None
    if offered is None:
        return choice
    name, _, found = choice.path.partition(":")
    return msgspec.structs.replace(choice, path=f"{name}@{offered.package.version}:{found}")


def known_by(entries: Sequence[CatalogEntry], template_set: TemplateSet) -> tuple[CatalogEntry, ...]:
    """The same, those of classes that are not NautilusTrader's with the packages' classes that read them."""
    classes = [
        name
        for name, each in sorted(template_set.components.items())
        if each.found.kind is ComponentKind.DATA and "@" in name and not is_draft(each.package.version)
    ]
    return tuple(
        msgspec.structs.replace(
            one,
            known_by=tuple(name for name in classes if is_of_class(one.data_type, name.rpartition(":")[2])),
        )
        if one.is_custom
        else one
        for one in entries
    )


def _of_package(
    choice: ComponentChoice, offered: OfferedComponent, kind: ComponentKind, at: str, known: Known | None
) -> tuple[Rendered | None, list[FieldError]]:
    found = offered.found
    if found.kind is not kind:
        return None, [
            FieldError(
                f"{at}.path", f"{choice.path} is no {_words(kind)}, but of the kind {_words(found.kind)}"
            )
        ]
    if choice.config_path not in (None, found.config_path):
        return None, [FieldError(f"{at}.config_path", "is the package's own: leave it out")]
    if kind is ComponentKind.MARGIN_MODEL:
        made = _rendered(kind, found.path, "", choice.config)
        return msgspec.structs.replace(made, package=offered.package), []
    of_every = {name: value for name, value in choice.config.items() if name in _OF_EVERY}
    given = {name: value for name, value in choice.config.items() if name not in _OF_EVERY}
    checked, errors = check_all(found.parameters, given, known, f"{at}.config")
    if errors:
        return None, errors
    made = _rendered(kind, found.path, found.config_path or "", {**of_every, **checked})
    named = tuple(instruments(found.parameters, checked))
    return msgspec.structs.replace(made, instruments=named, package=offered.package), []


def _rendered(kind: ComponentKind, path: str, config_path: str, config: Mapping[str, Any]) -> Rendered:
    if kind is ComponentKind.MARGIN_MODEL:
        return Rendered({"model_type": path, "config": dict(config)}, ())
    return Rendered({_KEYS[kind]: path, "config_path": config_path, "config": dict(config)}, ())


def _offered(path: str, template_set: TemplateSet) -> OfferedComponent | None:
    """The package's, unless the name before the colon is a module that may be used: what is configured goes on meaning that."""
    return template_set.components.get(path) if _is_outside(path, template_set) else None


def _is_outside(path: str, template_set: TemplateSet) -> bool:
    module = path.partition(":")[0]
    is_nautilus = any(module == own or module.startswith(f"{own}.") for own in NAUTILUS)
    return not is_nautilus and template_set.outside(path) is not None


def _outside(path: str, template_set: TemplateSet) -> str | None:
    """What is wrong with a class that no package offers."""
    if not _is_outside(path, template_set):
        return None
    package, _, wanted = path.partition(":")
    there = [name for name in template_set.components if name.partition(":")[0] == package]
    if there:
        return (
            f"package {package} has no {wanted} beside its strategies; there are {', '.join(sorted(there))}"
        )
    if "@" in package:
        return f"there is no package {package} with anything beside strategies"
    return f"{template_set.outside(path)}; and no package of this name has anything beside strategies"


def _words(kind: ComponentKind) -> str:
    return str(kind).replace("_", " ")
