"""The options that describe a study, and the configuration that they come to."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click
import msgspec

from flotilla.schemas.backtest import BacktestConfig, StudyConfig, StudyKind, WindowKind
from flotilla.schemas.decoding import convert

F = TypeVar("F", bound=Callable[..., Any])

_AXIS: Final = "NAME=VALUE,VALUE… or NAME=LOW:HIGH[:STEP]"
_OPTIONS: Final = (
    click.option(
        "--kind", type=click.Choice([str(one) for one in StudyKind]), default="grid", show_default=True
    ),
    click.option(
        "--axis",
        "axes",
        multiple=True,
        required=True,
        metavar="NAME=…",
        help=f"A strategy parameter and its values, {_AXIS}; may be repeated.",
    ),
    click.option("--best-by", metavar="METRIC", help="What the best has most of.  [default: sharpe_ratio]"),
    click.option("--lowest", is_flag=True, help="The best has least of it."),
    click.option("--samples", type=int, metavar="NUMBER", help="Of a random study.  [default: 50]"),
    click.option("--folds", type=int, metavar="NUMBER", help="Windows of a walk forward.  [default: 4]"),
    click.option(
        "--train-share", type=float, metavar="SHARE", help="Of each window, in sample.  [default: 0.7]"
    ),
    click.option(
        "--windows",
        type=click.Choice([str(one) for one in WindowKind]),
        help="How a walk forward's windows lie: apart, or what is tried follows what was tried before, after as long in sample (rolling) or all before it (anchored).  [default: apart]",
    ),
    click.option(
        "--in-sample",
        "in_sample_days",
        type=float,
        metavar="DAYS",
        help="Length of windows that roll or are anchored, instead of --folds and --train-share.",
    ),
    click.option(
        "--out-of-sample", "out_of_sample_days", type=float, metavar="DAYS", help="Length of what is tried."
    ),
    click.option(
        "--step",
        "step_days",
        type=float,
        metavar="DAYS",
        help="From one window to the next.  [default: --out-of-sample]",
    ),
    click.option("--stop-after", type=int, metavar="NUMBER", help="End once so many have ended."),
    click.option("--choice-seed", type=int, metavar="NUMBER", help="Of random choices.  [default: 0]"),
)


def study_options(command: F) -> F:
    """Adds the options that describe a study, in the order in which they stand above."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def study_config(
    base: BacktestConfig, *, axes: Iterable[str], choice_seed: int | None, **plain: Any
) -> StudyConfig:
    """The configuration. Raises FaultError `invalid` naming the field, click.UsageError for an axis that cannot be read."""
    given = {key: value for key, value in plain.items() if value is not None}
    if choice_seed is not None:
        given["seed"] = choice_seed
    made = {**given, "base": msgspec.to_builtins(base), "axes": _axes(axes)}
    config: StudyConfig = convert(made, StudyConfig, "config")
    return config


def _axes(options: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, given in map(axis, options):
        if name in found:
            raise click.UsageError(f"--axis {name} is given twice: write its values as {_AXIS}")
        found[name] = given
    return found


def axis(option: str) -> tuple[str, dict[str, Any]]:
    """A parameter and its values: `fast=5,10,20`, or with numbers on both sides of a colon `slow=20:60:10`."""
    name, equals, text = option.partition("=")
    if not (name and equals and text):
        raise click.UsageError(f"--axis {option!r}: write it as {_AXIS}")
    bounds = [_value(part) for part in text.split(":")]
    if len(bounds) in (2, 3) and all(isinstance(one, int | float) for one in bounds):
        return name, dict(zip(("low", "high", "step"), bounds, strict=False))
    return name, {"values": [_value(part) for part in text.split(",")]}


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
