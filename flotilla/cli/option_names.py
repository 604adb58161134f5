"""Faults in a backtest's or study's configuration, told by the option that gave the value, in words instead of patterns."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import click
import msgspec

from flotilla.schemas.fault import Fault, FaultError, FieldError

_RENAMED: Final = {
    "start_date": "start",
    "end_date": "end",
    "initial_balance": "balance",
    "base_currency": "currency",
    "timeout_s": "timeout",
    "tick_data": "ticks",
    "data_types": "data",
    "custom_data": "custom-data",
    "strategies": "add-strategy",
    "actors": "actor",
    "exec_algorithms": "exec-algorithm",
    "venue_settings": "venue-set",
    "instruments": "instrument",
    "bar_types": "bar-type",
    "venues": "venue",
    "in_sample_days": "in-sample",
    "out_of_sample_days": "out-of-sample",
    "step_days": "step",
}
_WITHOUT: Final = frozenset({"data_sources", "output_path", "save_results", "base"})
_FORMS: Final = {
    "instruments": "an instrument such as SPX.SIM",
    "bar_types": "a bar type such as SPX.SIM-1-DAY-LAST-EXTERNAL",
    "venues": "a venue's name such as SIM",
    "base_currency": "a currency's code such as USD",
    "timezone": "a time zone such as America/New_York",
    "strategy": "a template's name such as ema_cross",
    "strategy_class": "a path such as my_module:MyStrategy",
    "config_class": "a path such as my_module:MyConfig",
    "axes": "a parameter's name such as fast_ema_period",
    "backtest_id": "an ID: letters, digits, `_` and `-`, and not a word such as test or config",
    "study_id": "an ID: letters, digits, `_` and `-`, and not a word such as test or config",
}
_PATTERN: Final = "matching regex"


@contextmanager
def by_option(*, is_study: bool = False) -> Iterator[None]:
    """FaultErrors that are raised within name the option of each field, where the command that runs has one."""
    try:
        yield
    except FaultError as error:
        known = frozenset(
            option for each in click.get_current_context().command.params for option in each.opts
        )
        raise FaultError(renamed(error.fault, known, is_study=is_study)) from error


def renamed(problem: Fault, known: Collection[str], *, is_study: bool) -> Fault:
    """The fault with its fields as they are, and their options in its texts: those of the `known` ones."""
    if not problem.errors:
        return problem
    errors = tuple(FieldError(one.field, _message(one, known, is_study=is_study)) for one in problem.errors)
    text = "; ".join(f"{one.field}: {one.message}" for one in errors)
    return msgspec.structs.replace(problem, message=text, errors=errors)


def option_of(field: str, *, is_study: bool) -> str | None:
    """`--balance` for `config.initial_balance`, whether or not a command has it; None for what no option can give."""
    head, *names = field.split(".")
    if head != "config" or not names:
        return None
    is_own = is_study and names[0] != "base"
    names = names[names[0] == "base" :]
    name = names[0].partition("[")[0] if names else "base"
    if name in _WITHOUT:
        return None
    if name == "seed" and is_own:
        return "--choice-seed"
    if name in ("strategy_config", "axes"):
        option = "--param" if name == "strategy_config" else "--axis"
        name = ".".join(names[1:3] if names[1:2] and names[1].isdigit() else names[1:2])
        return f"{option} {name}".rstrip()
    if name == "venue_settings" and len(names) > 1:
        return f"--venue-set {'.'.join(names[1:])}"
    if name == "fill_model" and len(names) > 1:
        name = names[1]
    return f"--{_RENAMED.get(name, name).replace('_', '-')}"


def _message(error: FieldError, known: Collection[str], *, is_study: bool) -> str:
    names = [part.partition("[")[0] for part in error.field.split(".")]
    form = next((_FORMS[name] for name in names if name in _FORMS), None)
    text = f"must be {form}" if form and _PATTERN in error.message else error.message
    option = option_of(error.field, is_study=is_study)
    return f"{text} ({option})" if option and option.partition(" ")[0] in known else text
