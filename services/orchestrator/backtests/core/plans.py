"""From what somebody chose to the plan of a trial. Everything that is wrong is told at once."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import (
    QUOTE_CURRENCY,
    BacktestConfig,
    DataKind,
    FillModelChoice,
    TrialData,
    TrialPlan,
)
from flotilla.schemas.catalog import CatalogEntry
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.backtests.core.catalog_index import CatalogIndex, unique
from flotilla.services.orchestrator.backtests.core.chosen_strategy import (
    PARAMETERS,
    TRADER_ID,
    bar_types_in,
    render_chosen,
    strays,
)
from flotilla.services.orchestrator.templates.core.money import currency_errors, timezone_errors
from flotilla.services.orchestrator.templates.core.parameters import Known, instrument_of
from flotilla.services.orchestrator.templates.core.strategies import Rendered
from flotilla.services.orchestrator.templates.core.templates import TemplateSet

_CONFIGS: Final = "nautilus_trader.backtest.config"
_MODELS: Final = "nautilus_trader.backtest.models"
_RATE: Final = "1000000/00:00:01"
ENGINE: Final[dict[str, Any]] = {
    "trader_id": TRADER_ID,
    "logging": {"log_level": "WARNING", "log_colors": False},
    "risk_engine": {"max_order_submit_rate": _RATE, "max_order_modify_rate": _RATE},
}
"""A simulated trader is not slowed down."""
_INTERNAL: Final = "-INTERNAL"


def venues(config: BacktestConfig) -> tuple[dict[str, Any], ...]:
    """Each venue with the same account, fills, latency and fees.

    What instruments are settled in only NautilusTrader knows, from the catalog: money without a base currency is named when the trial is run.
    """
    currency = config.base_currency or QUOTE_CURRENCY
    shared: dict[str, Any] = {
        "oms_type": config.oms_type,
        "account_type": config.account_type,
        "base_currency": config.base_currency,
        "starting_balances": [_money(config.initial_balance, currency)],
    }
    if config.account_type == "MARGIN":
        shared["default_leverage"] = config.leverage
    if config.fill_model != FillModelChoice():
        shared["fill_model"] = _fill_model(config)
    if config.latency_ms > 0:
        latency = {"base_latency_nanos": round(config.latency_ms * 1e6)}
        shared["latency_model"] = _model("latency_model", "LatencyModel", "LatencyModelConfig", latency)
    if config.commission is not None:
        fee = {"commission": _money(config.commission, currency)}
        shared["fee_model"] = _model("fee_model", "FixedFeeModel", "FixedFeeModelConfig", fee)
    return tuple({"name": name, **shared} for name in config.venues)


def venue_errors(config: BacktestConfig) -> list[FieldError]:
    """What is wrong with the venues: instruments that none of them lists, names twice, a leverage that changes nothing."""
    missing = sorted({_venue(name) for name in config.instruments} - set(config.venues))
    errors = [
        FieldError("config.venues", f"{venue} is missing: instruments of this backtest trade there")
        for venue in missing
    ]
    if len(set(config.venues)) < len(config.venues):
        errors.append(FieldError("config.venues", "names a venue twice"))
    if config.leverage != 1.0 and config.account_type == "CASH":
        errors.append(FieldError("config.leverage", "counts with MARGIN accounts only"))
    return errors


def _fill_model(config: BacktestConfig) -> dict[str, Any]:
    chosen = {
        "prob_fill_on_limit": config.fill_model.prob_fill_on_limit,
        "prob_slippage": config.fill_model.prob_slippage,
        "random_seed": config.seed,
    }
    return _model("fill_model", "FillModel", "FillModelConfig", chosen)


def _model(key: str, model: str, config_class: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{key}_path": f"{_MODELS}:{model}",
        "config_path": f"{_CONFIGS}:{config_class}",
        "config": config,
    }


def _money(amount: float, currency: str) -> str:
    return f"{Decimal(str(amount)):f} {currency}"


def _venue(instrument: str) -> str:
    return instrument.rpartition(".")[2]


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is made of beside the choice: templates, with the modules strategies may come from, and the catalog's listing."""

    template_set: TemplateSet
    entries: tuple[CatalogEntry, ...]


def plan_of(config: BacktestConfig, sources: Sources) -> tuple[TrialPlan | None, list[FieldError]]:
    """The plan, or every field at fault."""
    catalog_index = CatalogIndex(sources.entries)
    missing = _missing(config, catalog_index)
    errors = [
        *missing,
        *venue_errors(config),
        *currency_errors(config.base_currency, config.instruments),
        *timezone_errors(config),
    ]
    rendered, wrong = render_chosen(config, sources.template_set, Known.of(sources.entries), catalog_index)
    errors += [error for error in wrong if not (missing and _is_inferred(error, config))]
    if rendered is not None:
        errors += strays(rendered, config)
    data, wrong = _data(config, bar_types_in(rendered) if rendered else [], catalog_index)
    errors += wrong
    if not errors:
        errors += catalog_index.range_errors(data, config.start_ns, config.end_ns)
    if errors or rendered is None:
        return None, errors
    return _plan(config, rendered, data), []


def _is_inferred(error: FieldError, config: BacktestConfig) -> bool:
    """True for a parameter that nobody gave: it was made of the instruments, and what is wrong with those is told already."""
    head, _, name = error.field.rpartition(".")
    return head == PARAMETERS and config.strategy_config.get(name) is None


def _plan(config: BacktestConfig, rendered: Rendered, data: Sequence[TrialData]) -> TrialPlan:
    return TrialPlan(
        engine=ENGINE,
        venues=venues(config),
        data=tuple(data),
        instruments=tuple(sorted(set(config.instruments))),
        strategies=(rendered.config,),
        start_ns=config.start_ns,
        end_ns=config.end_ns,
        timezone=config.timezone or "UTC",
        packages=(rendered.package,) if rendered.package else (),
    )


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
