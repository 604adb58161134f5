"""The simulated venues of a backtest, as the JSON of NautilusTrader's BacktestVenueConfig."""

from decimal import Decimal
from typing import Any, Final

from flotilla.schemas.backtest import QUOTE_CURRENCY, BacktestConfig, FillModelChoice
from flotilla.schemas.fault import FieldError

_CONFIGS: Final = "nautilus_trader.backtest.config"
_MODELS: Final = "nautilus_trader.backtest.models"


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
