"""From what somebody chose to the plan of a trial. Everything that is wrong is told at once."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import TICKS, BacktestConfig, DataKind, TrialData, TrialPlan
from flotilla.schemas.catalog import CatalogEntry
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.backtests.core.catalog_index import CatalogIndex, unique
from flotilla.services.orchestrator.backtests.core.chosen_strategy import (
    TRADER_ID,
    bar_types_in,
    is_inferred,
    render_chosen,
    strays,
)
from flotilla.services.orchestrator.backtests.core.custom_data import custom_data
from flotilla.services.orchestrator.backtests.core.venue_plans import (
    book_errors,
    venue_components,
    venue_errors,
    venues,
)
from flotilla.services.orchestrator.templates.core.components import beside
from flotilla.services.orchestrator.templates.core.money import currency_errors, timezone_errors
from flotilla.services.orchestrator.templates.core.parameters import Known, instrument_of, source_of
from flotilla.services.orchestrator.templates.core.strategies import packages_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet

_RATE: Final = "1000000/00:00:01"
ENGINE: Final[dict[str, Any]] = {
    "trader_id": TRADER_ID,
    "logging": {"log_level": "WARNING", "log_colors": False},
    "risk_engine": {"max_order_submit_rate": _RATE, "max_order_modify_rate": _RATE},
}
"""A simulated trader is not slowed down, unless somebody asks for that."""
_INTERNAL: Final = "-INTERNAL"


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is made of beside the choice: templates, with the modules strategies may come from, and the catalog's listing."""

    template_set: TemplateSet
    entries: tuple[CatalogEntry, ...]


def plan_of(config: BacktestConfig, sources: Sources) -> tuple[TrialPlan | None, list[FieldError]]:
    """The plan, or every field at fault."""
    catalog_index = CatalogIndex(sources.entries)
    missing = _missing(config, catalog_index)
    template_set, known = sources.template_set, Known.of(sources.entries)
    others, wrong = beside(config.actors, config.exec_algorithms, template_set, known)
    own, wrong_data = custom_data(config, template_set, catalog_index)
    of_venues, wrong_models = venue_components(config, template_set, known)
    errors = [
        *missing,
        *venue_errors(config),
        *wrong_models,
        *currency_errors(config.base_currency, config.instruments),
        *timezone_errors(config),
        *wrong,
        *wrong_data,
    ]
    rendered, wrong = render_chosen(config, template_set, known, catalog_index)
    errors += [error for error in wrong if not (missing and is_inferred(error, config))]
    errors += strays(rendered, others.actors, config)
    packages, mixed = packages_of(
        (*rendered, *others.everything, *of_venues, *own.classes), "config.strategies"
    )
    errors += mixed
    importable = [one.config for one in (*rendered, *others.actors)]
    named = [name for one in importable for name in bar_types_in(one)]
    data, wrong = _data(config, named, catalog_index)
    errors += [*wrong, *book_errors(config, data), *_switch_errors(config, data)]
    if not errors:
        errors += catalog_index.range_errors(data, config.start_ns, config.end_ns)
    if errors:
        return None, errors
    plan = TrialPlan(
        engine={**ENGINE, **_limits(config), **_switches(config), **others.fields},
        venues=venues(config, template_set, known),
        data=tuple(data),
        instruments=tuple(sorted(set(config.instruments))),
        strategies=tuple(one.config for one in rendered),
        start_ns=config.start_ns,
        end_ns=config.end_ns,
        timezone=config.timezone or "UTC",
        currency=config.base_currency,
        warm_up=config.warm_up,
        packages=packages,
        custom=own.data,
        benchmark=config.instruments[0],
    )
    return plan, []


def _limits(config: BacktestConfig) -> dict[str, Any]:
    if config.max_order_rate is None:
        return {}
    rate = f"{config.max_order_rate}/00:01:00"
    return {"risk_engine": {**ENGINE["risk_engine"], "max_order_submit_rate": rate}}


def _switches(config: BacktestConfig) -> dict[str, Any]:
    """Of NautilusTrader's data engine and portfolio, where they are not as they are anyhow."""
    data = {"data_engine": {"buffer_deltas": True}} if config.buffer_deltas else {}
    marks = {"portfolio": {"use_mark_prices": True}} if config.use_mark_prices else {}
    return data | marks


def _switch_errors(config: BacktestConfig, data: Sequence[TrialData]) -> list[FieldError]:
    kinds = {one.kind for one in data}
    errors = []
    if config.use_mark_prices and DataKind.MARK_PRICES not in kinds:
        errors.append(FieldError("config.use_mark_prices", "needs mark_prices among `data_types`"))
    if config.buffer_deltas and DataKind.ORDER_BOOK_DELTAS not in kinds:
        errors.append(FieldError("config.buffer_deltas", "needs order_book_deltas among `data_types`"))
    return errors


def _missing(config: BacktestConfig, catalog_index: CatalogIndex) -> list[FieldError]:
    missing = [name for name in config.instruments if not catalog_index.has_instrument(name)]
    if not missing:
        return []
    there = ", ".join(catalog_index.instruments()[:20]) or "nothing"
    return [
        FieldError("config.instruments", f"{', '.join(missing)} not in the data catalog; it holds {there}")
    ]


def _data(
    config: BacktestConfig, named: Sequence[str], catalog_index: CatalogIndex
) -> tuple[tuple[TrialData, ...], list[FieldError]]:
    """The data sets to read: those asked for and those the strategy names; without either, all bars there are, else all ticks."""
    errors = [
        FieldError(f"config.bar_types[{index}]", problem)
        for index, bar_type in enumerate(config.bar_types)
        if (problem := _bar_problem(bar_type, config, catalog_index))
    ]
    wanted = {*config.bar_types, *(name for name in named if instrument_of(name) in config.instruments)}
    found = [_bars(name) for name in map(source_of, wanted) if not name.endswith(_INTERNAL)]
    # Bars that the engine makes itself are made of ticks.
    of_ticks = {instrument_of(name) for name in map(source_of, wanted) if name.endswith(_INTERNAL)}
    if config.tick_data:
        of_ticks |= set(config.instruments)
    for instrument in sorted(of_ticks):
        ticks = catalog_index.data(instrument, TICKS)
        if not ticks and catalog_index.has_instrument(instrument):
            errors.append(
                FieldError("config.tick_data", f"the catalog holds neither quotes nor trades of {instrument}")
            )
        found += ticks
    for index, kind in enumerate(config.data_types):
        held = [data for each in config.instruments for data in catalog_index.data(each, {kind})]
        if not held:
            errors.append(FieldError(f"config.data_types[{index}]", _not_held(kind, config, catalog_index)))
        found += held
    return unique(found or _everything(config, catalog_index)), errors


def _not_held(kind: DataKind, config: BacktestConfig, catalog_index: CatalogIndex) -> str:
    there = {data.kind for each in config.instruments for data in catalog_index.data(each, {*DataKind})}
    return f"the catalog has no {kind} of these instruments; it has {', '.join(sorted(there)) or 'nothing'} of them"


def _bar_problem(bar_type: str, config: BacktestConfig, catalog_index: CatalogIndex) -> str | None:
    if instrument_of(bar_type) not in config.instruments:
        return f"{bar_type} is of an instrument that is not in this backtest"
    source = source_of(bar_type)
    if source.endswith(_INTERNAL) or catalog_index.has_bars(source):
        return None
    there = ", ".join(catalog_index.bar_types(instrument_of(bar_type))) or "none"
    return f"{source} is not in the data catalog; of this instrument there are {there}"


def _everything(config: BacktestConfig, catalog_index: CatalogIndex) -> list[TrialData]:
    bars = [_bars(name) for each in config.instruments for name in catalog_index.bar_types(each)]
    return bars or [ticks for each in config.instruments for ticks in catalog_index.data(each, TICKS)]


def _bars(bar_type: str) -> TrialData:
    return TrialData(kind=DataKind.BARS, identifier=bar_type)
