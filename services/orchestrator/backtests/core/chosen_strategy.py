"""Which strategy a backtest runs, and with what: a template with checked parameters, or a class from an allowed module."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import BAR_TYPE_PATTERN, INSTRUMENT_PATTERN
from flotilla.schemas.simulation import OWN_MODELS, ComponentChoice, CustomDataChoice
from flotilla.services.orchestrator.backtests.core.catalog_index import CatalogIndex
from flotilla.services.orchestrator.templates.core.components import pinned_component
from flotilla.services.orchestrator.templates.core.parameters import Known, Value, instrument_of
from flotilla.services.orchestrator.templates.core.strategies import (
    Rendered,
    render_all,
    render_template,
)
from flotilla.services.orchestrator.templates.core.templates import (
    StrategyTemplate,
    TemplateSet,
    package_of,
    pinned,
    unknown_template,
)

TRADER_ID: Final = "BACKTEST-001"
_BAR_TYPE: Final = re.compile(BAR_TYPE_PATTERN)
_INSTRUMENT: Final = re.compile(INSTRUMENT_PATTERN)
PARAMETERS: Final = "config.strategy_config"
"""Where the parameters of a strategy stand."""
_VALUES: Final[Mapping[str, Value]] = {
    "instance_id": "backtest",
    "trader_id": TRADER_ID,
    "log_level": "WARNING",
    "max_order_rate": None,
    "max_position_size": None,
}


def templates_of(
    config: BacktestConfig, template_set: TemplateSet
) -> dict[str, tuple[StrategyTemplate | None, Mapping[str, Any]]]:
    """The template of each strategy and what it is given, by what stands before its parameters in the name of an axis."""
    if not config.strategies:
        return {"": (template_of(config, template_set), config.strategy_config)}
    return {
        f"{index}.": (template_set.strategies.get(one.template or ""), one.given)
        for index, one in enumerate(config.strategies)
    }


def template_of(config: BacktestConfig, template_set: TemplateSet) -> StrategyTemplate | None:
    """The template that the config means: by its name, or by the bare name of its class. None for an importable class."""
    if config.strategy is not None:
        return template_set.strategies.get(config.strategy)
    found = (template_set.strategies[name] for name in sorted(template_set.strategies))
    return next(
        (each for each in found if each.strategy_class == config.strategy_class and package_of(each) is None),
        None,
    )


def with_version(config: BacktestConfig, template_set: TemplateSet) -> BacktestConfig:
    """The config, each strategy, and what runs beside it, named with the version that it means now, where it is of a package."""
    config = _with_versions_beside(config, template_set)
    if config.strategy is not None:
        return msgspec.structs.replace(config, strategy=pinned(config.strategy, template_set))
    strategies = tuple(
        msgspec.structs.replace(one, template=pinned(one.template, template_set)) if one.template else one
        for one in config.strategies
    )
    return msgspec.structs.replace(config, strategies=strategies)


def _with_versions_beside(config: BacktestConfig, template_set: TemplateSet) -> BacktestConfig:
    def pin[C: ComponentChoice | CustomDataChoice](choices: Sequence[C]) -> tuple[C, ...]:
        return tuple(pinned_component(each, template_set) for each in choices)

    settings = {
        venue: msgspec.structs.replace(
            each,
            modules=pin(each.modules),
            **{field: pin((own,))[0] for field in OWN_MODELS if (own := getattr(each, field)) is not None},
        )
        for venue, each in config.venue_settings.items()
    }
    return msgspec.structs.replace(
        config,
        actors=pin(config.actors),
        exec_algorithms=pin(config.exec_algorithms),
        custom_data=pin(config.custom_data),
        venue_settings=settings,
    )


def render_chosen(
    config: BacktestConfig,
    template_set: TemplateSet,
    known: Known,
    catalog_index: CatalogIndex,
) -> tuple[list[Rendered], list[FieldError]]:
    """The strategies as NautilusTrader imports them, or all that is wrong with them."""
    if config.strategies:
        choices = [_whole(choice, config, template_set, catalog_index) for choice in config.strategies]
        return render_all(choices, template_set, known, _VALUES)
    rendered, errors = _render_one(config, template_set, known, catalog_index)
    return [rendered] if rendered else [], errors


def _whole(
    choice: StrategyChoice, config: BacktestConfig, template_set: TemplateSet, catalog_index: CatalogIndex
) -> StrategyChoice:
    template = template_set.strategies.get(choice.template or "")
    if template is None:
        return choice
    given = with_defaults(template, choice.parameters, config, catalog_index)
    return msgspec.structs.replace(choice, parameters=given)


def _render_one(
    config: BacktestConfig, template_set: TemplateSet, known: Known, catalog_index: CatalogIndex
) -> tuple[Rendered | None, list[FieldError]]:
    template = template_of(config, template_set)
    if template is None and config.strategy is not None:
        return None, [
            unknown_template(
                "config.strategy",
                config.strategy,
                template_set.strategies,
                faults=template_set.faults_of("strategy"),
            )
        ]
    if template is None:
        return _importable(config, template_set)
    given = with_defaults(template, config.strategy_config, config, catalog_index)
    rendered, errors = render_template(template, given, known, _VALUES, "config")
    moved = [
        FieldError(each.field.replace("config.parameters", PARAMETERS, 1), each.message) for each in errors
    ]
    return rendered, moved


def is_inferred(error: FieldError, config: BacktestConfig) -> bool:
    """True for a parameter that nobody gave: it was made of the instruments, and what is wrong with those is told already."""
    head, _, name = error.field.rpartition(".")
    given = {PARAMETERS: config.strategy_config}
    given |= {
        f"config.strategies[{index}].parameters": one.parameters
        for index, one in enumerate(config.strategies)
    }
    return head in given and given[head].get(name) is None


def with_defaults(
    template: StrategyTemplate,
    parameters: Mapping[str, Any],
    config: BacktestConfig,
    catalog_index: CatalogIndex,
) -> dict[str, Any]:
    """The parameters given; an instrument or bar type that was not, and whose default is not traded here, is the run's first."""
    given = dict(parameters)
    for name, parameter in template.parameters.items():
        if given.get(name) is None and (value := _first(parameter, config, catalog_index)) is not None:
            given[name] = value
    return given


def bar_types_in(importable: Mapping[str, Any]) -> list[str]:
    """The bar types that the config of a strategy or actor names."""
    return [text for text in _texts(importable["config"]) if _BAR_TYPE.match(text)]


def strays(
    rendered: Sequence[Rendered], actors: Sequence[Rendered], config: BacktestConfig
) -> list[FieldError]:
    """The instruments that strategies and actors name and the run does not have."""
    places = [
        f"config.strategies[{index}]" if config.strategies else PARAMETERS for index in range(len(rendered))
    ]
    places += [f"config.actors[{index}]" for index in range(len(actors))]
    everything = [*rendered, *actors]
    return [
        FieldError(at, f"names {text}, which is not among the instruments of this backtest")
        for at, one in zip(places, everything, strict=True)
        for instrument, text in sorted(_named(one).items())
        if instrument not in config.instruments
    ]


def _named(rendered: Rendered) -> dict[str, str]:
    """The instruments that a config names, and the text that does."""
    named = {instrument_of(name): name for name in bar_types_in(rendered.config)}
    named |= {name: name for name in rendered.instruments}
    own = rendered.config["config"].get("instrument_id")
    if isinstance(own, str) and _INSTRUMENT.match(own):
        named.setdefault(own, own)
    return named


def _first(parameter: Parameter, config: BacktestConfig, catalog_index: CatalogIndex) -> str | None:
    default = parameter.default if isinstance(parameter.default, str) else ""
    first = config.instruments[0]
    if parameter.type == "instrument":
        return None if default in config.instruments else first
    if parameter.type != "bar_type" or instrument_of(default) in config.instruments:
        return None
    return next(iter((*config.bar_types, *catalog_index.bar_types(first))), None)


def _importable(
    config: BacktestConfig, template_set: TemplateSet
) -> tuple[Rendered | None, list[FieldError]]:
    errors: list[FieldError] = []
    strategy_path = _path("strategy_class", config.strategy_class or "", template_set, errors)
    config_path = strategy_path + "Config"
    if config.config_class is not None:
        config_path = _path("config_class", config.config_class, template_set, errors)
    if errors:
        return None, errors
    importable = {
        "strategy_path": strategy_path,
        "config_path": config_path,
        "config": dict(config.strategy_config),
    }
    return Rendered(importable, ()), []


def _path(field: str, text: str, template_set: TemplateSet, errors: list[FieldError]) -> str:
    """`module:Class`, from that or from `module.Class`."""
    module, _, name = text.partition(":") if ":" in text else text.rpartition(".")
    if not module:
        known = sorted(each.strategy_class for each in template_set.strategies.values())
        errors.append(
            FieldError(f"config.{field}", f"{name} is no template's class; there are {', '.join(known)}")
        )
    elif (problem := template_set.outside(module)) is not None:
        errors.append(FieldError(f"config.{field}", problem))
    return f"{module}:{name}"


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for item in body.values():
            yield from _texts(item)
    elif isinstance(body, list | tuple):
        for item in body:
            yield from _texts(item)
