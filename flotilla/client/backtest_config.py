"""What was chosen of a backtest, made whole with what the fleet knows."""

from collections.abc import Iterable, Mapping
from typing import Any

from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.catalog import CatalogEntry, TemplateView, folder_name
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ids import BarType, StrategyName


async def whole_config(fleet: Flotilla, given: dict[str, Any]) -> BacktestConfig:
    """The configuration, with what was left out taken from the strategy's template and the catalog.

    Raises FaultError `invalid` naming the field.
    """
    if not given.get("instruments"):
        convert(given.get("bar_types", ()), tuple[BarType, ...], "config.bar_types")
        given = with_instruments(given, await _template(fleet, given.get("strategy")))
    if not (given.get("venues") and given.get("start_date") and given.get("end_date")):
        entries = (await fleet.catalog()).entries
        given = with_range(given, entries)
        if not (given.get("start_date") and given.get("end_date")):
            raise invalid(FieldError("config.instruments", _no_dates(given, entries)))
    config: BacktestConfig = convert(given, BacktestConfig, "config")
    return config


async def _template(fleet: Flotilla, strategy: Any) -> dict[str, TemplateView]:
    """The template of the strategy under its name. Raises FaultError `invalid` where there is none."""
    if not strategy:
        return {}
    name: str = convert(strategy, StrategyName, "config.strategy")
    templates = (await fleet.templates(name=name)).templates
    if not templates:
        text = f"there is no template {name}: `template ls` and `package ls NAME` list what there is"
        raise invalid(FieldError("config.strategy", text))
    return {name: templates[0]}


def with_instruments(given: Mapping[str, Any], templates: Mapping[str, TemplateView]) -> dict[str, Any]:
    """Instruments: those of the bar types given, else those that the strategy's parameters or their defaults name."""
    bar_types = list(given.get("bar_types", ()))
    template = templates.get(str(given.get("strategy")))
    values = {**given.get("strategy_config", {})}
    for name, parameter in template.parameters.items() if template else ():
        values.setdefault(name, parameter.default)
    kinds = {name: parameter.type for name, parameter in template.parameters.items()} if template else {}
    named = [values[name] for name, kind in kinds.items() if kind == "instrument"]
    bars = [values[name] for name, kind in kinds.items() if kind == "bar_type"]
    named += [] if named else [_instrument(one) for one in bars if isinstance(one, str)]
    found: list[Any] = [_instrument(one) for one in bar_types] or [*named, values.get("instrument_id")]
    instruments = list(dict.fromkeys(one for one in found if isinstance(one, str)))
    return {**given, "instruments": instruments} if instruments else dict(given)


def with_range(given: Mapping[str, Any], entries: Iterable[CatalogEntry]) -> dict[str, Any]:
    """Dates and venues: where the data of the instruments begin and end, and the venues in their names."""
    instruments = [str(one) for one in given.get("instruments", ())]
    folders = {folder_name(one) for one in instruments}
    held = [one for one in entries if folder_name(one.instrument_id) in folders]
    bars = {folder_name(str(one)) for one in given.get("bar_types", ())}
    held = [one for one in held if folder_name(one.identifier) in bars] or held
    made = dict(given)
    if held:
        made.setdefault("start_date", min(one.start for one in held).date().isoformat())
        made.setdefault("end_date", max(one.end for one in held).date().isoformat())
    if venues := list(dict.fromkeys(one.rpartition(".")[2] for one in instruments if "." in one)):
        made.setdefault("venues", venues)
    return made


def _no_dates(given: Mapping[str, Any], entries: Iterable[CatalogEntry]) -> str:
    """Dates are taken from the data, where there are any."""
    there = ", ".join(sorted({one.instrument_id for one in entries})) or "nothing"
    if named := [str(one) for one in given.get("instruments", ())]:
        return f"{', '.join(named)} not in the data catalog; it holds {there}"
    return f"must be given; the data catalog holds {there}"


def _instrument(bar_type: str) -> str:
    return bar_type.rsplit("-", 4)[0]
