"""The options that describe a backtest, and what they come to together with what the fleet knows."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from flotilla.cli.drafts import uploaded
from flotilla.cli.engine_options import pairs
from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.decoding import decode
from flotilla.schemas.package import split_name

F = TypeVar("F", bound=Callable[..., Any])

_NAMES: Final = {
    "start": "start_date",
    "end": "end_date",
    "balance": "initial_balance",
    "currency": "base_currency",
    "timeout": "timeout_s",
}
_LISTS: Final = {"instrument": "instruments", "bar_type": "bar_types", "venue": "venues"}
_FILL_MODEL: Final = ("prob_fill_on_limit", "prob_slippage")
_OPTIONS: Final = (
    click.option(
        "--strategy",
        metavar="NAME",
        help="A strategy template; of a package one version too, such as mine@2.",
    ),
    click.option(
        "--file",
        type=click.Path(path_type=Path, exists=True),
        metavar="PATH",
        help="Your own strategy, a folder or .py file, as it is now, without push.",
    ),
    click.option(
        "--strategy-class", metavar="MODULE:CLASS", help="A class from a module that the fleet allows."
    ),
    click.option("--config-class", metavar="MODULE:CLASS", help="[default: the same with Config behind]"),
    click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy."),
    click.option(
        "--instrument",
        multiple=True,
        metavar="SYMBOL.VENUE",
        help="[default: those of the bar types, else the template's]",
    ),
    click.option("--bar-type", multiple=True, metavar="TYPE", help="[default: what the strategy needs]"),
    click.option("--ticks", "tick_data", is_flag=True, help="Quotes and trades of the instruments too."),
    click.option("--start", metavar="DATE", help="[default: where the data begin]"),
    click.option("--end", metavar="DATE", help="Included.  [default: where the data end]"),
    click.option("--balance", type=float, metavar="AMOUNT", help="[default: 1000000]"),
    click.option("--currency", metavar="CODE", help="[default: what the instruments are quoted in]"),
    click.option("--timezone", metavar="ZONE", help="Where days end, such as Asia/Tokyo.  [default: UTC]"),
    click.option("--venue", multiple=True, metavar="NAME", help="[default: those of the instruments]"),
    click.option("--account-type", type=click.Choice(["MARGIN", "CASH"]), help="[default: MARGIN]"),
    click.option("--oms-type", type=click.Choice(["NETTING", "HEDGING"]), help="[default: NETTING]"),
    click.option("--leverage", type=float, metavar="FACTOR", help="[default: 1]"),
    click.option("--latency-ms", type=float, metavar="MS", help="From strategy to venue.  [default: 0]"),
    click.option(
        "--commission", type=float, metavar="AMOUNT", help="Per order, instead of the instrument's fees."
    ),
    click.option(
        "--prob-fill-on-limit", type=float, metavar="P", help="That a touched limit fills.  [default: 1]"
    ),
    click.option("--prob-slippage", type=float, metavar="P", help="Of one tick.  [default: 0]"),
    click.option("--seed", type=int, metavar="NUMBER", help="Of every chance in the run.  [default: 0]"),
    click.option("--timeout", type=float, metavar="S", help="End it as failed after so long."),
    click.option(
        "--config",
        "config_file",
        type=click.File("rb"),
        metavar="FILE",
        help="A BacktestConfig in JSON, `-` for stdin; the options above are put over it.",
    ),
)


def backtest_options(command: F) -> F:
    """Adds the options that describe a backtest, in the order in which they stand above."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_config(
    *, config_file: Any, param: Iterable[str], file: Path | None = None, **plain: Any
) -> dict[str, Any]:
    """What was chosen so far, of the fields of BacktestConfig; the options are put over the file.

    Raises FaultError for a file that is no JSON object, click.UsageError for options that do not go together.
    """
    given: dict[str, Any] = decode(config_file.read(), dict[str, Any]) if config_file else {}
    chosen = {
        key: value for key, value in plain.items() if not (value is None or value is False or value == ())
    }
    if chosen.keys() >= {"strategy", "strategy_class"}:
        raise click.UsageError("give either --strategy or --strategy-class")
    if chosen.keys() & {"strategy", "strategy_class"}:
        given = {key: value for key, value in given.items() if key not in {"strategy", "strategy_class"}}
    model = {name: chosen.pop(name) for name in _FILL_MODEL if name in chosen}
    for key, value in chosen.items():
        given[_LISTS.get(key, _NAMES.get(key, key))] = value
    if model:
        given["fill_model"] = {**given.get("fill_model", {}), **model}
    if parameters := pairs(param, "--param"):
        given["strategy_config"] = {**given.get("strategy_config", {}), **parameters}
    if file is not None and "strategy_class" in chosen:
        raise click.UsageError("give either --file or --strategy-class")
    if file is not None:
        given.pop("strategy_class", None)
    elif not given.keys() & {"strategy", "strategy_class"}:
        raise click.UsageError(
            "give --strategy NAME, --file PATH, --strategy-class MODULE:CLASS or --config FILE"
        )
    return given


async def with_file(
    options: Options, fleet: Flotilla, given: dict[str, Any], file: Path | None
) -> dict[str, Any]:
    """What was chosen, with the strategy of `--file`, where that was given, uploaded as it is now."""
    if file is None:
        return given
    return {**given, "strategy": await uploaded(options, fleet, file, given.get("strategy"), "--file")}


def stem(given: dict[str, Any], file: Path | None, otherwise: str) -> str:
    """What a new id begins with."""
    if file is not None:
        return re.sub(r"[^A-Za-z0-9_-]+", "_", file.resolve().stem)[:60] or otherwise
    return split_name(str(given.get("strategy") or otherwise))[0]
