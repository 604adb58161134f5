"""The parameters of a study's backtests: every combination of its axes, or random ones. The same study gives the same ones."""

import math
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import product
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import Axis, StudyConfig, StudyKind
from flotilla.schemas.catalog import Parameter
from flotilla.schemas.fault import FieldError

MAX_TRIALS: Final = 10_000
"""Of one study."""
_TRIES: Final = 20
_DIGITS: Final = 8

type Types = Mapping[str, Parameter]
"""The parameters of the strategy's template; empty for a class."""


def choices(
    config: StudyConfig, types: Types, folds: int = 1
) -> tuple[list[dict[str, Any]], list[FieldError]]:
    """One set of parameters per backtest (of a walk forward: per backtest of each of its `folds`), or what is wrong with the axes."""
    if config.kind is StudyKind.RANDOM:
        return _sampled(config, types), []
    errors = [
        FieldError(f"config.axes.{name}", "needs `step` or `values`: every combination is tried")
        for name, axis in config.axes.items()
        if not axis.values and axis.step is None
    ]
    if errors:
        return [], errors
    count = asked(config)
    if count * folds > MAX_TRIALS:
        return [], [
            FieldError("config.axes", f"make {count * folds} backtests; at most {MAX_TRIALS} are run")
        ]
    names = sorted(config.axes)
    values = [list(_steps(config.axes[name], types.get(name))) for name in names]
    return [dict(zip(names, each, strict=True)) for each in product(*values)], []


def asked(config: StudyConfig) -> int:
    """How many sets of parameters the axes ask for."""
    if config.kind is StudyKind.RANDOM:
        return config.samples
    return math.prod(_size(axis) for axis in config.axes.values())


def _sampled(config: StudyConfig, types: Types) -> list[dict[str, Any]]:
    """Distinct ones; fewer than asked for where there are no more."""
    chance = random.Random(config.seed)  # noqa: S311  nothing is to be kept secret
    found: dict[bytes, dict[str, Any]] = {}
    for _ in range(config.samples * _TRIES):
        if len(found) == config.samples:
            break
        drawn = {name: _drawn(config.axes[name], types.get(name), chance) for name in sorted(config.axes)}
        found.setdefault(msgspec.json.encode(drawn, order="deterministic"), drawn)
    return list(found.values())


def _drawn(axis: Axis, parameter: Parameter | None, chance: random.Random) -> Any:
    if axis.values:
        return chance.choice(axis.values)
    if axis.step is not None:
        return _typed(_at(axis, chance.randrange(_size(axis))), axis, parameter)
    low, high = _ends(axis)
    if _is_whole(axis, parameter):
        return chance.randint(math.ceil(low), math.floor(high))
    return _typed(Decimal(str(round(chance.uniform(low, high), _DIGITS))), axis, parameter)


def _steps(axis: Axis, parameter: Parameter | None) -> Iterator[Any]:
    if axis.values:
        yield from axis.values
        return
    for index in range(_size(axis)):
        yield _typed(_at(axis, index), axis, parameter)


def _size(axis: Axis) -> int:
    if axis.values:
        return len(axis.values)
    low, high = _ends(axis)
    # Decimals, because 0.3 / 0.1 is less than 3.
    return int((Decimal(str(high)) - Decimal(str(low))) / Decimal(str(axis.step))) + 1


def _at(axis: Axis, index: int) -> Decimal:
    return Decimal(str(axis.low)) + index * Decimal(str(axis.step))


def _ends(axis: Axis) -> tuple[float, float]:
    return float(axis.low or 0.0), float(axis.high or 0.0)


def _typed(value: Decimal, axis: Axis, parameter: Parameter | None) -> Any:
    """The value as the parameter takes it; without a template, whole numbers where the whole axis is of such."""
    if parameter is not None and parameter.type == "decimal":
        return f"{value.normalize():f}"
    return int(value) if _is_whole(axis, parameter) and value == int(value) else float(value)


def _is_whole(axis: Axis, parameter: Parameter | None) -> bool:
    if parameter is not None:
        return parameter.type == "integer"
    return all(end is None or float(end).is_integer() for end in (axis.low, axis.high, axis.step))
