"""Each venue of a backtest as NautilusTrader's BacktestVenueConfig has it: what the run says of all, and what is different at one."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from flotilla.schemas.backtest import ORDER_BOOKS, QUOTE_CURRENCY, BacktestConfig, FillModelChoice, TrialData
from flotilla.schemas.catalog import folder_name
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import ComponentKind
from flotilla.schemas.simulation import (
    NO_CURRENCY,
    PLAIN,
    VenueFees,
    VenueFillModel,
    VenueLatency,
    VenueSettings,
)
from flotilla.services.orchestrator.templates.core.components import component, components
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.strategies import Rendered
from flotilla.services.orchestrator.templates.core.templates import TemplateSet

_CONFIGS: Final = "nautilus_trader.backtest.config"
_MODELS: Final = "nautilus_trader.backtest.models"
_DEFAULTS: Final = VenueSettings()
_NS_OF_MS: Final = 1e6
_OWN: Final = {
    "own_fill_model": ("fill_model", ComponentKind.FILL_MODEL),
    "own_latency": ("latency_model", ComponentKind.LATENCY_MODEL),
    "own_fees": ("fee_model", ComponentKind.FEE_MODEL),
    "own_margin_model": ("margin_model", ComponentKind.MARGIN_MODEL),
}
"""By setting: the field of NautilusTrader's config for a venue, and what it takes."""
_INSTEAD_OF: Final = {"own_fill_model": "fill_model", "own_latency": "latency", "own_fees": "fees"}


def venues(config: BacktestConfig, template_set: TemplateSet, known: Known) -> tuple[dict[str, Any], ...]:
    """The venues, with what NautilusTrader does anyhow left out.

    What instruments are settled in only NautilusTrader knows, from the catalog: money without a base currency is named when the trial is run.
    """
    return tuple(
        _venue(name, config, config.venue_settings.get(name, _DEFAULTS))
        | _components(name, config.venue_settings.get(name, _DEFAULTS), template_set, known)[0]
        for name in config.venues
    )


def _venue(name: str, config: BacktestConfig, settings: VenueSettings) -> dict[str, Any]:
    account_type = settings.account_type or config.account_type
    made: dict[str, Any] = {
        "name": name,
        "oms_type": settings.oms_type or config.oms_type,
        "account_type": account_type,
        **_money(config, settings),
    }
    if account_type == "MARGIN":
        made["default_leverage"] = settings.default_leverage or config.leverage
    if settings.leverages:
        made["leverages"] = dict(settings.leverages)
    if settings.margin_model != _DEFAULTS.margin_model:
        made["margin_model"] = {"model_type": settings.margin_model}
    made |= _models(config, settings)
    plain = {key: getattr(settings, key) for key in PLAIN}
    return made | {key: value for key, value in plain.items() if value != getattr(_DEFAULTS, key)}


def venue_components(
    config: BacktestConfig, template_set: TemplateSet, known: Known
) -> tuple[list[Rendered], list[FieldError]]:
    """The simulation modules and own models of all venues, and what is wrong with them."""
    found: list[Rendered] = []
    errors: list[FieldError] = []
    for name, settings in config.venue_settings.items():
        _, rendered, wrong = _components(name, settings, template_set, known)
        found += rendered
        errors += wrong
    return found, errors


def _components(
    name: str, settings: VenueSettings, template_set: TemplateSet, known: Known
) -> tuple[dict[str, Any], list[Rendered], list[FieldError]]:
    """The fields of the venue's config that are modules and own models, those in a list, and what is wrong."""
    at = f"config.venue_settings.{name}"
    kind = ComponentKind.SIMULATION_MODULE
    found, errors = components(settings.modules, kind, f"{at}.modules", template_set, known)
    fields: dict[str, Any] = {"modules": [each.config for each in found]} if found else {}
    for setting, (field, kind) in _OWN.items():
        choice = getattr(settings, setting)
        if choice is None:
            continue
        one, wrong = component(choice, kind, f"{at}.{setting}", template_set, known)
        errors += wrong
        if one is not None:
            fields[field] = one.config
            found.append(one)
    return fields, found, errors


def _money(config: BacktestConfig, settings: VenueSettings) -> dict[str, Any]:
    base, balances = _base_currency(config, settings), list(settings.starting_balances)
    if not balances:
        balances = [_amount(config.initial_balance, base or QUOTE_CURRENCY)]
    return {"base_currency": base, "starting_balances": balances}


def _base_currency(config: BacktestConfig, settings: VenueSettings) -> str | None:
    """What the account is kept in; null when that is every currency, or what instruments are settled in."""
    if settings.base_currency is not None:
        return None if settings.base_currency == NO_CURRENCY else settings.base_currency
    if settings.starting_balances:
        codes = _codes(settings)
        return codes[0] if len(codes) == 1 else None
    return config.base_currency


def _codes(settings: VenueSettings) -> list[str]:
    return [money.partition(" ")[2] for money in settings.starting_balances]


def _models(config: BacktestConfig, settings: VenueSettings) -> dict[str, Any]:
    """Of fills, latency and fees: the venue's own, else the run's."""
    of_run, found = config.fill_model, {}
    fills = settings.fill_model or VenueFillModel(
        prob_fill_on_limit=of_run.prob_fill_on_limit, prob_slippage=of_run.prob_slippage
    )
    if settings.fill_model is not None or of_run != FillModelChoice():
        found["fill_model"] = _fill_model(fills, config.seed)
    latency = settings.latency or VenueLatency(base_ms=config.latency_ms)
    if latency != VenueLatency():
        found["latency_model"] = _latency_model(latency)
    if settings.fees is not None:
        found["fee_model"] = _fee_model(settings.fees)
    elif config.commission is not None:
        currency = _base_currency(config, settings) or config.base_currency or QUOTE_CURRENCY
        fee = {"commission": _amount(config.commission, currency)}
        found["fee_model"] = _model("fee_model", "FixedFeeModel", "FixedFeeModelConfig", fee)
    return found


def _fill_model(chosen: VenueFillModel, seed: int) -> dict[str, Any]:
    config = {
        "prob_fill_on_limit": chosen.prob_fill_on_limit,
        "prob_slippage": chosen.prob_slippage,
        "random_seed": seed,
    }
    return _model("fill_model", chosen.name, "FillModelConfig", config)


def _latency_model(chosen: VenueLatency) -> dict[str, Any]:
    parts = {name: getattr(chosen, f"{name}_ms") for name in ("base", "insert", "update", "cancel")}
    config = {
        f"{name}_latency_nanos": round(ms * _NS_OF_MS) for name, ms in parts.items() if ms or name == "base"
    }
    return _model("latency_model", "LatencyModel", "LatencyModelConfig", config)


def _fee_model(chosen: VenueFees) -> dict[str, Any]:
    if chosen.kind == "maker_taker":
        return _model("fee_model", "MakerTakerFeeModel", "MakerTakerFeeModelConfig", {})
    if chosen.kind == "per_contract":
        config: dict[str, Any] = {"commission": chosen.commission}
        return _model("fee_model", "PerContractFeeModel", "PerContractFeeModelConfig", config)
    config = {"commission": chosen.commission, "charge_commission_once": chosen.charge_once}
    return _model("fee_model", "FixedFeeModel", "FixedFeeModelConfig", config)


def _model(key: str, model: str, config_class: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{key}_path": f"{_MODELS}:{model}",
        "config_path": f"{_CONFIGS}:{config_class}",
        "config": config,
    }


def _amount(amount: float, currency: str) -> str:
    return f"{Decimal(str(amount)):f} {currency}"


def venue_errors(config: BacktestConfig) -> list[FieldError]:
    """What is wrong with the venues: instruments that none of them lists, names twice, and settings that do not go together."""
    missing = sorted({_venue_of(name) for name in config.instruments} - set(config.venues))
    errors = [
        FieldError("config.venues", f"{venue} is missing: instruments of this backtest trade there")
        for venue in missing
    ]
    if len(set(config.venues)) < len(config.venues):
        errors.append(FieldError("config.venues", "names a venue twice"))
    types = {config.venue_settings.get(name, _DEFAULTS).account_type for name in config.venues}
    if config.leverage != 1.0 and "MARGIN" not in {each or config.account_type for each in types}:
        errors.append(FieldError("config.leverage", "counts with MARGIN accounts only"))
    errors += [error for name in config.venues for error in _cash_pairs(name, config)]
    for name, settings in config.venue_settings.items():
        at = f"config.venue_settings.{name}"
        if name not in config.venues:
            errors.append(FieldError(at, f"{name} is not among the venues of this backtest"))
            continue
        errors += [FieldError(f"{at}.{field}", text) for field, text in _conflicts(name, config, settings)]
    return errors


def book_errors(config: BacktestConfig, data: Sequence[TrialData]) -> list[FieldError]:
    """A venue whose book has more than one level, without the data that it is made of: NautilusTrader would not begin such a run."""
    has_book = {folder_name(one.identifier) for one in data if one.kind in ORDER_BOOKS}
    errors = []
    for name, settings in config.venue_settings.items():
        without = [
            each
            for each in config.instruments
            if _venue_of(each) == name and folder_name(each) not in has_book
        ]
        if settings.book_type != _DEFAULTS.book_type and without:
            text = (
                f"{settings.book_type} needs the order book of {', '.join(without)}: "
                f"{' or '.join(sorted(ORDER_BOOKS))} among `data_types`, and in the catalog"
            )
            errors.append(FieldError(f"config.venue_settings.{name}.book_type", text))
    return errors


def _cash_pairs(name: str, config: BacktestConfig) -> Iterator[FieldError]:
    """NautilusTrader adds no currency pair to a CASH account of one currency, as far as symbols tell which is a pair."""
    settings = config.venue_settings.get(name, _DEFAULTS)
    if (settings.account_type or config.account_type) != "CASH" or _keeps_several(settings):
        return
    pair = next((each for each in config.instruments if "/" in each and _venue_of(each) == name), None)
    if pair is not None:
        field = f"venue_settings.{name}.starting_balances" if settings.account_type else "account_type"
        text = f"a CASH account of one currency cannot trade {pair}: give `venue_settings.{name}.starting_balances` with an amount of each"
        yield FieldError(f"config.{field}", text)


def _keeps_several(settings: VenueSettings) -> bool:
    return settings.base_currency == NO_CURRENCY or (
        settings.base_currency is None and len(settings.starting_balances) > 1
    )


def _conflicts(name: str, config: BacktestConfig, settings: VenueSettings) -> Iterator[tuple[str, str]]:
    """What does not go together at one venue, by field."""
    yield from _of_account(settings.account_type or config.account_type, settings)
    yield from _of_money(settings)
    yield from _of_market(settings)
    yield from _of_models(settings)
    for field in ("leverages", "settlement_prices"):
        named: Mapping[str, float] = getattr(settings, field)
        for instrument in named:
            if instrument not in config.instruments:
                yield field, f"{instrument} is not among the instruments of this backtest"
            elif _venue_of(instrument) != name:
                yield field, f"{instrument} does not trade at {name}"


def _of_account(account_type: str, settings: VenueSettings) -> Iterator[tuple[str, str]]:
    if account_type == "CASH":
        for field in ("default_leverage", "leverages"):
            if getattr(settings, field):
                yield field, "counts with a MARGIN account only, and this one is CASH"
        if settings.margin_model != _DEFAULTS.margin_model:
            yield "margin_model", "counts with a MARGIN account only, and this one is CASH"
        if settings.own_margin_model is not None:
            yield "own_margin_model", "counts with a MARGIN account only, and this one is CASH"
    elif settings.allow_cash_borrowing:
        yield "allow_cash_borrowing", "counts with a CASH account only, and this one is MARGIN"


def _of_money(settings: VenueSettings) -> Iterator[tuple[str, str]]:
    codes = _codes(settings)
    if len(set(codes)) < len(codes):
        yield "starting_balances", "names a currency twice"
    if settings.base_currency == NO_CURRENCY and not codes:
        yield "starting_balances", "must be given where base_currency is none: one amount of each currency"
    elif settings.base_currency not in (None, NO_CURRENCY) and codes not in ([], [settings.base_currency]):
        text = f"must be one amount of {settings.base_currency}, the base currency; give none to keep several"
        yield "starting_balances", text
    if codes and not any(Decimal(money.partition(" ")[0]) for money in settings.starting_balances):
        yield "starting_balances", "must not all be 0"


def _of_models(settings: VenueSettings) -> Iterator[tuple[str, str]]:
    for own, field in _INSTEAD_OF.items():
        if getattr(settings, own) is not None and getattr(settings, field) is not None:
            yield own, f"stands in the place of `{field}`: give one of them"
    if settings.own_margin_model is not None and settings.margin_model != _DEFAULTS.margin_model:
        yield "own_margin_model", "stands in the place of `margin_model`: give one of them"


def _of_market(settings: VenueSettings) -> Iterator[tuple[str, str]]:
    if settings.queue_position and not settings.trade_execution:
        yield "queue_position", "needs trade_execution"
    if settings.bar_adaptive_high_low_ordering and not settings.bar_execution:
        yield "bar_adaptive_high_low_ordering", "needs bar_execution"
    if settings.fees is not None and settings.fees.commission is not None:
        amount = Decimal(settings.fees.commission.partition(" ")[0])
        if not amount and settings.fees.kind == "fixed":
            yield "fees.commission", "must be more than 0: leave `fees` out for the instrument's own"


def _venue_of(instrument: str) -> str:
    return instrument.rpartition(".")[2]
