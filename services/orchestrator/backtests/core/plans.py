"""From what somebody chose to the plan of a trial. Everything that is wrong is told at once."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestConfig, DataKind, TrialData, TrialPlan
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
from flotilla.services.orchestrator.backtests.core.venue_plans import venue_components, venue_errors, venues
from flotilla.services.orchestrator.templates.core.components import beside
from flotilla.services.orchestrator.templates.core.money import currency_errors, timezone_errors
from flotilla.services.orchestrator.templates.core.parameters import Known, instrument_of
from flotilla.services.orchestrator.templates.core.strategies import packages_of
from flotilla.services.orchestrator.templates.core.templates import TemplateSet

_RATE: Final = "1000000/00:00:01"
ENGINE: Final[dict[str, Any]] = {
    "trader_id": TRADER_ID,
    "logging": {"log_level": "WARNING", "log_colors": False},
    "risk_engine": {"max_order_submit_rate": _RATE, "max_order_modify_rate": _RATE},
}
"""A simulated trader is not slowed down."""
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
    of_venues, wrong_models = venue_components(config, template_set, known)
    errors = [
        *missing,
        *venue_errors(config),
        *wrong_models,
        *currency_errors(config.base_currency, config.instruments),
        *timezone_errors(config),
        *wrong,
    ]
    rendered, wrong = render_chosen(config, template_set, known, catalog_index)
    errors += [error for error in wrong if not (missing and is_inferred(error, config))]
    errors += strays(rendered, others.actors, config)
    packages, mixed = packages_of((*rendered, *others.everything, *of_venues), "config.strategies")
    errors += mixed
    importable = [one.config for one in (*rendered, *others.actors)]
    named = [name for one in importable for name in bar_types_in(one)]
    data, wrong = _data(config, named, catalog_index)
    errors += wrong
    if not errors:
        errors += catalog_index.range_errors(data, config.start_ns, config.end_ns)
    if errors:
        return None, errors
    plan = TrialPlan(
        engine={**ENGINE, **others.fields},
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
    )
    return plan, []


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
    found = [_bars(name) for name in wanted if not name.endswith(_INTERNAL)]
    # Bars that the engine makes itself are made of ticks.
    of_ticks = {instrument_of(name) for name in wanted if name.endswith(_INTERNAL)}
    if config.tick_data:
        of_ticks |= set(config.instruments)
    for instrument in sorted(of_ticks):
        ticks = catalog_index.ticks(instrument)
        if not ticks and catalog_index.has_instrument(instrument):
            errors.append(
                FieldError("config.tick_data", f"the catalog holds neither quotes nor trades of {instrument}")
            )
        found += ticks
    return unique(found or _everything(config, catalog_index)), errors


def _bar_problem(bar_type: str, config: BacktestConfig, catalog_index: CatalogIndex) -> str | None:
    if instrument_of(bar_type) not in config.instruments:
        return f"{bar_type} is of an instrument that is not in this backtest"
    if bar_type.endswith(_INTERNAL) or catalog_index.has_bars(bar_type):
        return None
    there = ", ".join(catalog_index.bar_types(instrument_of(bar_type))) or "none"
    return f"{bar_type} is not in the data catalog; of this instrument there are {there}"


def _everything(config: BacktestConfig, catalog_index: CatalogIndex) -> list[TrialData]:
    bars = [_bars(name) for each in config.instruments for name in catalog_index.bar_types(each)]
    return bars or [ticks for each in config.instruments for ticks in catalog_index.ticks(each)]


def _bars(bar_type: str) -> TrialData:
    return TrialData(kind=DataKind.BARS, identifier=bar_type)
