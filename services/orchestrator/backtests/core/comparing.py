"""Backtests side by side: in which parameters they differ, and whether a run again gave the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from flotilla.schemas.backtest import (
    BacktestConfig,
    BacktestVerdict,
    ClosedTrade,
    Difference,
    Manifest,
    Outcome,
    TrialPlan,
    TrialResult,
)

MAX_DIFFERENCES: Final = 40
MAX_CAUSES: Final = 20
"""Of what both depended on: what came of it is to be named too."""
_ABSENT: Final = None
_RELEASE: Final = ("nautilus_version", "flotilla_version", "image", "python")
_VERSIONS: Final = (*_RELEASE, "seed")


def parameters(configs: Sequence[BacktestConfig]) -> dict[str, tuple[Any, ...]]:
    """What differs between the configs, by path, one value per config in order; null where one does not say."""
    flat = [dict(_leaves("", msgspec.to_builtins(config))) for config in configs]
    paths = {path: None for each in flat for path in each}
    found = {path: tuple(each.get(path, _ABSENT) for each in flat) for path in paths}
    return {path: values for path, values in found.items() if any(value != values[0] for value in values)}


def verdict(
    backtest_id: str, verify_id: str, first: Outcome, second: Outcome, *, asked: TrialPlan | None = None
) -> BacktestVerdict:
    """What both depended on, then what came of it: the same figures of other data or code of its user's are not equal.

    What is ours may change with each release: while that is all, and it gives the same, the two are equal, and it is named.
    `asked` is the plan that the first one was asked to run; a manifest with another one was changed since. Figures that were defined
    otherwise are not compared: they would differ for everybody, and say nothing of the run.
    """
    one, other = _fixed(first), _fixed(second)
    versions = (first.result.figures_version, second.result.figures_version)
    is_same = versions[0] == versions[1]
    found = list(_of_values("plan", asked, first.manifest.plan)) if asked else []
    found += _of_manifests(first.manifest, second.manifest)
    causes, found = found, found[:MAX_CAUSES]
    found += _of_lists("fills", one.fills, other.fills)
    found += _of_lists("trades", _nameless(one.trades), _nameless(other.trades))
    found += _of_lists("orders", one.orders, other.orders)
    if is_same:
        found += _of_lists("equity_curve", one.equity_curve, other.equity_curve)
    for name in (*(("metrics", "summary") if is_same else ()), "statistics", "balances", "fees", "events"):
        found += _of_values(name, getattr(one, name), getattr(other, name))
    is_equal = len(found) == len(causes[:MAX_CAUSES]) and all(map(_is_ours, causes))
    return BacktestVerdict(
        backtest_id=backtest_id,
        verify_id=verify_id,
        is_equal=is_equal,
        differences=() if is_equal else tuple(found[:MAX_DIFFERENCES]),
        fills_compared=min(len(first.result.fills), len(second.result.fills)),
        figures_versions=None if is_same else versions,
        changed_without_effect=tuple(causes[:MAX_CAUSES]) if is_equal else (),
        comments_only=tuple(_comments_only(first.manifest, second.manifest)),
    )


def _comments_only(one: Manifest, other: Manifest) -> Iterator[str]:
    """Modules whose source is another, and whose code is the same, as far as both runs could tell."""
    for name, source in one.strategy_sources.items():
        code = one.strategy_code.get(name)
        if (
            source != other.strategy_sources.get(name, source)
            and code
            and code == other.strategy_code.get(name)
        ):
            yield name


def _is_ours(difference: Difference) -> bool:
    """True for what comes with a release: versions, the image, and the code of our own strategies."""
    return difference.where in _RELEASE or difference.where.startswith("strategy_sources[engine_sidecar.")


def _fixed(outcome: Outcome) -> TrialResult:
    """The result without what is random at a venue that gives random ids, and without what results had not always."""
    result = outcome.result
    beside = {"information_ratio": None, "alpha": None, "beta": None}
    result = replace(result, metrics=replace(result.metrics, **beside))
    if result.summary is not None:
        result = replace(
            result, summary=replace(result.summary, unanswered_requests=0, answered_requests=None)
        )
    if not any(venue.get("use_random_ids") for venue in outcome.manifest.plan.venues):
        return result
    return replace(
        result,
        fills=tuple(replace(each, venue_order_id=None, position_id=None) for each in result.fills),
        orders=tuple(replace(each, venue_order_id=None) for each in result.orders),
        summary=result.summary and replace(result.summary, open_positions=()),
    )


def _nameless(trades: Sequence[ClosedTrade]) -> list[ClosedTrade]:
    """NautilusTrader gives positions that opened again a random name each time."""
    return [replace(trade, trade_id="") for trade in trades]


def _of_manifests(one: Manifest, other: Manifest) -> Iterator[Difference]:
    yield from _of_values("plan", one.plan, other.plan)
    yield from _of_names("strategy_sources", one.strategy_sources, other.strategy_sources)
    yield from _of_names("files", _digests(one), _digests(other))
    for name in _VERSIONS:
        yield from _of_values(name, getattr(one, name), getattr(other, name))


def _digests(manifest: Manifest) -> dict[str, str]:
    return {file.path: file.sha256 for file in manifest.files}


def _of_names(where: str, first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    """Of files and modules, SHA-256 by name: `files[data/…/a.parquet]`."""
    for name in sorted({**first, **second}):
        if first.get(name) != second.get(name):
            yield Difference(where=f"{where}[{name}]", first=first.get(name), second=second.get(name))


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
