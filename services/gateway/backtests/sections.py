"""Groups of settings that a backtest's body may carry beside its config: what they mean is taken into the config, the rest is refused by name."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FieldError, invalid
from flotilla.services.gateway.backtests.queries import AskedConfig, BacktestBody
from flotilla.services.gateway.web.inputs import snake_keys, snake_name

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "data_configuration": (
        *("instruments", "venues", "start_date", "end_date", "timezone", "data_sources"),
        *("bar_types", "tick_data", "data_types", "custom_data", "warm_up", "buffer_deltas"),
    ),
    "execution_settings": (
        *("initial_balance", "base_currency", "account_type", "oms_type", "leverage", "latency_ms"),
        *("fill_model", "commission", "use_mark_prices", "venue_settings", "seed", "timeout_s"),
    ),
    "risk_settings": ("max_order_rate",),
}
"""The fields of a config that each group may have."""
_DEFAULTS: Final = {each.name: each.default for each in msgspec.structs.fields(BacktestConfig)}


def whole_config(body: BacktestBody) -> BacktestConfig:
    """The config with what its groups say. Raises FaultError that names what a group cannot have, and what is said twice, and not alike."""
    own = {name: getattr(body.config, name) for name in BacktestConfig.__struct_fields__}
    config = BacktestConfig(**own)
    problems: list[FieldError] = []
    for where, section, given in _groups(body):
        values, wrong = _known(where, section, given)
        problems += wrong
        if values:
            asked: BacktestConfig = convert({**msgspec.to_builtins(config), **values}, BacktestConfig, where)
            problems += _differing(where, config, asked, values)
            config = asked
    if problems:
        raise invalid(*problems)
    return config


def _groups(body: BacktestBody) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    holders: tuple[tuple[str, AskedConfig | BacktestBody], ...] = (("config.", body.config), ("", body))
    for at, holder in holders:
        for section in SECTIONS:
            yield f"{at}{section}", section, getattr(holder, section)


def _known(where: str, section: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    names = {key: snake_name(key) for key in given}
    told = f"is not honoured; {section} may have {', '.join(SECTIONS[section])}"
    wrong = [
        FieldError(f"{where}.{name}"[:200], told) for name in names.values() if name not in SECTIONS[section]
    ]
    return {} if wrong else dict(snake_keys(dict(given), BacktestConfig, where)), wrong


def _differing(
    where: str, config: BacktestConfig, asked: BacktestConfig, values: Mapping[str, Any]
) -> Iterator[FieldError]:
    for name in values:
        before = getattr(config, name)
        if before not in (_DEFAULTS[name], getattr(asked, name)):
            yield FieldError(f"{where}.{name}", f"differs from config.{name}, which is given too")
