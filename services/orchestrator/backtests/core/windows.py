"""The windows of a walk forward: where each chooses, and where it tries its choice, which is always after it."""

import math
from itertools import pairwise
from typing import Final, NamedTuple

from flotilla.schemas.backtest import StudyConfig, StudyKind, WindowKind
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.backtests.core.model import Window

MAX_WINDOWS: Final = 500
_LEAST_NS: Final = 1_000_000_000
_TICK_NS: Final = 1_000
"""The least that an ISO date of ours tells apart."""
_DAY_NS: Final = 86_400_000_000_000


class _Lengths(NamedTuple):
    """Whole seconds, in nanoseconds."""

    inside: int
    outside: int
    step: int


def settled_windows(config: StudyConfig) -> tuple[tuple[Window, ...], list[FieldError]]:
    """The windows of a study, none of one that is no walk forward; or what is wrong with them."""
    if config.kind is not StudyKind.WALK_FORWARD:
        return (), []
    if config.windows is not WindowKind.APART and (errors := _wrong(config)):
        return (), errors
    found = windows(config)
    spans = [span for each in found for span in (each.train, each.test)]
    if not spans or any(end - start < _LEAST_NS - _TICK_NS for start, end in spans):
        return (), [FieldError("config.folds", "are too many for the range of dates")]
    return found, []


def windows(config: StudyConfig) -> tuple[Window, ...]:
    """One after the other over the whole range; what is tried never overlaps, and begins where its choice has ended."""
    return _apart(config) if config.windows is WindowKind.APART else _moving(config)


def _apart(config: StudyConfig) -> tuple[Window, ...]:
    start, whole = config.base.start_ns, config.base.end_ns - config.base.start_ns + 1
    edges = [start + _whole_seconds(whole * index // config.folds) for index in range(config.folds + 1)]
    found = []
    for first, after in pairwise(edges):
        middle = first + _whole_seconds(int((after - first) * config.train_share))
        found.append(Window(train=(first, middle - _TICK_NS), test=(middle, after - _TICK_NS)))
    return tuple(found)


def _moving(config: StudyConfig) -> tuple[Window, ...]:
    """Rolling or anchored ones. What is left at the end is tried as well, unless it is shorter than a second."""
    start, end, lengths = config.base.start_ns, config.base.end_ns + 1, _lengths(config)
    found = []
    for middle in range(start + lengths.inside, end - _LEAST_NS + 1, max(1, lengths.step)):
        first = start if config.windows is WindowKind.ANCHORED else middle - lengths.inside
        after = min(middle + lengths.outside, end)
        found.append(Window(train=(first, middle - _TICK_NS), test=(middle, after - _TICK_NS)))
    return tuple(found)


def _lengths(config: StudyConfig) -> _Lengths:
    """Those that are given, else such that `folds` pieces out of sample end with the range, one being `1 - train_share` of its window."""
    if config.in_sample_days is not None and config.out_of_sample_days is not None:
        days = (config.in_sample_days, config.out_of_sample_days, config.step_days)
        inside, outside, step = (_whole_seconds(round((each or 0) * _DAY_NS)) for each in days)
        return _Lengths(inside, outside, step or outside)
    whole = config.base.end_ns - config.base.start_ns + 1
    share = config.train_share / (1 - config.train_share)
    outside = _whole_seconds(int(whole / (config.folds + share)))
    return _Lengths(_whole_seconds(whole - config.folds * outside), outside, outside)


def _wrong(config: StudyConfig) -> list[FieldError]:
    """What is wrong with the lengths, before there are as many windows as they make."""
    lengths, whole = _lengths(config), config.base.end_ns - config.base.start_ns + 1
    fields = ("config.in_sample_days", "config.out_of_sample_days", "config.step_days")
    if config.in_sample_days is None:
        return []
    if short := [field for field, each in zip(fields, lengths, strict=True) if each < _LEAST_NS]:
        return [FieldError(short[0], "must be a second or more")]
    if lengths.inside > whole - _LEAST_NS:
        return [FieldError(fields[0], "leaves nothing of the range of dates for trying a choice")]
    count = math.ceil((whole - lengths.inside) / lengths.step)
    if count > MAX_WINDOWS:
        return [FieldError(fields[1], f"makes {count:,} windows of the range; at most {MAX_WINDOWS} are run")]
    return []


def _whole_seconds(ns: int) -> int:
    return ns // 1_000_000_000 * 1_000_000_000
