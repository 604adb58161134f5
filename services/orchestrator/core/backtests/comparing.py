"""Backtests side by side: in which parameters they differ, and whether a run again gave the same."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from schemas.backtest import BacktestConfig, BacktestVerdict, ClosedTrade, Difference, Outcome

MAX_DIFFERENCES: Final = 20
_ABSENT: Final = None
_VERSIONS: Final = ("nautilus_version", "flotilla_version", "image", "python", "seed")


def parameters(configs: Sequence[BacktestConfig]) -> dict[str, tuple[Any, ...]]:
    """What differs between the configs, by path, one value per config in order; null where one does not say."""
    flat = [dict(_leaves("", msgspec.to_builtins(config))) for config in configs]
    paths = {path: None for each in flat for path in each}
    found = {path: tuple(each.get(path, _ABSENT) for each in flat) for path in paths}
    return {path: values for path, values in found.items() if any(value != values[0] for value in values)}


def verdict(backtest_id: str, verify_id: str, first: Outcome, second: Outcome) -> BacktestVerdict:
    """Fills one by one, then trades, metrics, and what both depended on: the same figures of other data or code are not equal."""
    found: list[Difference] = []
    found += _of_lists("fills", first.result.fills, second.result.fills)
    found += _of_lists("trades", _nameless(first.result.trades), _nameless(second.result.trades))
    for name in ("metrics", "balances", "fees", "events"):
        found += _of_values(name, getattr(first.result, name), getattr(second.result, name))
    found += _of_manifests(first, second)
    return BacktestVerdict(
        backtest_id=backtest_id,
        verify_id=verify_id,
        is_equal=not found,
        differences=tuple(found[:MAX_DIFFERENCES]),
        fills_compared=min(len(first.result.fills), len(second.result.fills)),
    )


def _nameless(trades: Sequence[ClosedTrade]) -> list[ClosedTrade]:
    """NautilusTrader gives positions that opened again a random name each time."""
    return [msgspec.structs.replace(trade, trade_id="") for trade in trades]


def _of_manifests(first: Outcome, second: Outcome) -> Iterator[Difference]:
    one, other = first.manifest, second.manifest
    yield from _of_values("plan", one.plan, other.plan)
    yield from _of_lists("files", one.files, other.files)
    yield from _of_values("strategy_sources", one.strategy_sources, other.strategy_sources)
    for name in _VERSIONS:
        yield from _of_values(name, getattr(one, name), getattr(other, name))


def _of_lists(name: str, first: Sequence[Any], second: Sequence[Any]) -> Iterator[Difference]:
    """The first entry that differs; then how many there are, if that does."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            yield from _of_values(f"{name}[{index}]", one, other)
            break
    if len(first) != len(second):
        yield Difference(where=f"{name}.length", first=len(first), second=len(second))


def _of_values(where: str, first: Any, second: Any) -> Iterator[Difference]:
    ones = dict(_leaves(where, msgspec.to_builtins(first)))
    others = dict(_leaves(where, msgspec.to_builtins(second)))
    for path in {**ones, **others}:
        one, other = ones.get(path, _ABSENT), others.get(path, _ABSENT)
        if one != other:
            yield Difference(where=path, first=one, second=other)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list | tuple) and value and not all(isinstance(each, str) for each in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, list(value) if isinstance(value, tuple) else value
