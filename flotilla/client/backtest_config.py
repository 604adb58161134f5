"""What was chosen of a backtest, made whole with what the fleet knows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import TICKS, BacktestConfig
from flotilla.schemas.catalog import CatalogEntry, TemplateView, folder_name, market_data
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ids import BarType, StrategyName


async def whole_config(fleet: Flotilla, given: dict[str, Any]) -> BacktestConfig:
    """The configuration, with what was left out taken from the strategy's template and the catalog.

    Raises FaultError `invalid` naming the field.
    """
    if not given.get("instruments"):
        convert(given.get("bar_types", ()), tuple[BarType, ...], "config.bar_types")
        given = with_instruments(given, await _templates(fleet, given))
    if not (given.get("venues") and given.get("start_date") and given.get("end_date")):
        entries = (await fleet.catalog()).entries
        given = with_range(given, entries)
        if not (given.get("start_date") and given.get("end_date")):
            raise invalid(FieldError("config.instruments", _no_dates(given, entries)))
    config: BacktestConfig = convert(given, BacktestConfig, "config")
    return config


async def _templates(fleet: Flotilla, given: Mapping[str, Any]) -> dict[str, TemplateView]:
    """The template of each strategy under its name. Raises FaultError `invalid` where there is none."""
    found: dict[str, TemplateView] = {}
    for field, strategy in _templates_named(given):
        name: str = convert(strategy, StrategyName, field)
        templates = (await fleet.templates(name=name)).templates
        if not templates:
            text = f"there is no template {name}: `template ls` and `package ls NAME` list what there is"
            raise invalid(FieldError(field, text))
        found[name] = templates[0]
    return found


def _templates_named(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The field that names a template, and the name."""
    if strategy := given.get("strategy"):
        yield "config.strategy", strategy
    listed = given.get("strategies")
    for index, one in enumerate(listed if isinstance(listed, list | tuple) else ()):
        if template := _dict(one).get("template"):
            yield f"config.strategies[{index}].template", template


def with_instruments(given: Mapping[str, Any], templates: Mapping[str, TemplateView]) -> dict[str, Any]:
    """Instruments: those of the bar types given, else those that the strategy's parameters or their defaults name."""
    bar_types = list(given.get("bar_types", ()))
    found: list[Any] = [instrument_of(one) for one in bar_types]
    for name, parameters in () if found else _strategies(given):
        found += _named(templates.get(name), parameters)
    instruments = list(dict.fromkeys(one for one in found if isinstance(one, str)))
    return {**given, "instruments": instruments} if instruments else dict(given)


def _strategies(given: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The template of each strategy, and what it is given. What is not as it must be is told later, by the fleet."""
    listed = given.get("strategies")
    if isinstance(listed, list | tuple) and listed:
        return [
            (str(one.get("template")), {**_dict(one.get("parameters")), **_dict(one.get("config"))})
            for one in map(_dict, listed)
        ]
    return [(str(given.get("strategy")), given.get("strategy_config", {}))]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _named(template: TemplateView | None, parameters: Mapping[str, Any]) -> list[Any]:
    """The instruments that parameters, or their defaults, name."""
    values = {**parameters}
    for name, parameter in template.parameters.items() if template else ():
        values.setdefault(name, parameter.default)
    kinds = {name: parameter.type for name, parameter in template.parameters.items()} if template else {}
    named = [values[name] for name, kind in kinds.items() if kind == "instrument"]
    bars = [values[name] for name, kind in kinds.items() if kind == "bar_type"]
    named += [] if named else [instrument_of(one) for one in bars if isinstance(one, str)]
    return [*named, values.get("instrument_id")]


def with_range(given: Mapping[str, Any], entries: Iterable[CatalogEntry]) -> dict[str, Any]:
    """Dates and venues: where the data of the instruments begin and end, and the venues in their names."""
    instruments = [str(one) for one in given.get("instruments", ())]
    folders = {folder_name(one) for one in instruments}
    held = [one for one in market_data(entries) if folder_name(one.instrument_id) in folders]
    bars = {folder_name(str(one)) for one in given.get("bar_types", ())}
    kinds = {*map(str, given.get("data_types", ())), *(TICKS if given.get("tick_data") else ())}
    held = [one for one in held if folder_name(one.identifier) in bars or one.data_type in kinds] or held
    made = dict(given)
    if held:
        made.setdefault("start_date", min(one.start for one in held).date().isoformat())
        made.setdefault("end_date", max(one.end for one in held).date().isoformat())
    if venues := list(dict.fromkeys(one.rpartition(".")[2] for one in instruments if "." in one)):
        made.setdefault("venues", venues)
    return made


def _no_dates(given: Mapping[str, Any], entries: Iterable[CatalogEntry]) -> str:
    """Dates are taken from the data, where there are any."""
    there = ", ".join(sorted({one.instrument_id for one in market_data(entries)})) or "nothing"
    if named := [str(one) for one in given.get("instruments", ())]:
        return f"{', '.join(named)} not in the data catalog; it holds {there}"
    return f"must be given; the data catalog holds {there}"


def instrument_of(bar_type: str) -> str:
    """The id in a bar type's name; of what is none, some text."""
    return bar_type.partition("@")[0].rsplit("-", 4)[0]
