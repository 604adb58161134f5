"""The options that describe a backtest, and what they come to together with what the fleet knows."""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from flotilla.cli.drafts import uploaded, wheels_folder, with_draft
from flotilla.cli.engine_options import CLASS, beside, pairs
from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import DataKind
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
_BESIDE: Final = ("actors", "exec_algorithms", "venue_settings", "custom_data")
_COMPONENT: Final = "NAME|MODULE:CLASS[,KEY=VALUE…]"
_STRATEGIES: Final = ("strategy", "strategy_class", "strategies")
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
    wheels_folder,
    click.option(
        "--strategy-class", metavar="MODULE:CLASS", help="A class from a module that the fleet allows."
    ),
    click.option("--config-class", metavar="MODULE:CLASS", help="[default: the same with Config behind]"),
    click.option(
        "--param", "--set", "param", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy."
    ),
    click.option(
        "--add-strategy",
        multiple=True,
        metavar=_COMPONENT,
        help="One of several strategies, a template or a class, with its parameters; instead of --strategy; may be repeated.",
    ),
    click.option(
        "--actor", multiple=True, metavar=CLASS, help="An actor beside the strategies; may be repeated."
    ),
    click.option(
        "--exec-algorithm",
        multiple=True,
        metavar=CLASS,
        help="An execution algorithm, such as nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm; may be repeated.",
    ),
    click.option(
        "--instrument",
        multiple=True,
        metavar="SYMBOL.VENUE",
        help="[default: those of the bar types, else the template's]",
    ),
    click.option("--bar-type", multiple=True, metavar="TYPE", help="[default: what the strategy needs]"),
    click.option("--ticks", "tick_data", is_flag=True, help="Quotes and trades of the instruments too."),
    click.option(
        "--data",
        "data_types",
        multiple=True,
        type=click.Choice([str(kind) for kind in DataKind]),
        help="A kind of data that is read of the instruments; may be repeated.",
    ),
    click.option(
        "--custom-data",
        multiple=True,
        metavar="PACKAGE:CLASS[,client_id=NAME]",
        help="Rows of a class of data of your own that the catalog has of the instruments, or of none; may be repeated.",
    ),
    click.option(
        "--buffer-deltas", is_flag=True, help="Strategies get changes of an order book event by event."
    ),
    click.option("--use-mark-prices", is_flag=True, help="Value positions at mark prices."),
    click.option("--start", metavar="DATE", help="[default: where the data begin]"),
    click.option("--end", metavar="DATE", help="Included.  [default: where the data end]"),
    click.option("--balance", type=float, metavar="AMOUNT", help="[default: 1000000]"),
    click.option("--currency", metavar="CODE", help="[default: what the instruments are quoted in]"),
    click.option("--timezone", metavar="ZONE", help="Where days end, such as Asia/Tokyo.  [default: UTC]"),
    click.option("--venue", multiple=True, metavar="NAME", help="[default: those of the instruments]"),
    click.option(
        "--venue-set",
        multiple=True,
        metavar="VENUE.FIELD=VALUE",
        help='A setting of one venue, such as \'SIM.starting_balances=["1 BTC", "50000 USDT"]\'; may be repeated.',
    ),
    click.option(
        "--warm-up", is_flag=True, help="Answer what strategies request of the past from the catalog."
    ),
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
    *,
    config_file: Any,
    param: Iterable[str],
    add_strategy: Iterable[str] = (),
    actor: Iterable[str] = (),
    exec_algorithm: Iterable[str] = (),
    custom_data: Iterable[str] = (),
    venue_set: Iterable[str] = (),
    file: Path | None = None,
    wheels: Path | None = None,
    **plain: Any,
) -> dict[str, Any]:
    """What was chosen so far, of the fields of BacktestConfig; the options are put over the file.

    Raises FaultError for a file that is no JSON object, click.UsageError for options that do not go together.
    """
    given: dict[str, Any] = decode(config_file.read(), dict[str, Any]) if config_file else {}
    chosen = {
        key: value for key, value in plain.items() if not (value is None or value is False or value == ())
    }
    if strategies := [_strategy(text) for text in add_strategy]:
        chosen["strategies"] = strategies
    if len(chosen.keys() & {*_STRATEGIES}) > 1:
        raise click.UsageError("give either --strategy, --strategy-class or, for several, --add-strategy")
    if chosen.keys() & {*_STRATEGIES}:
        given = {key: value for key, value in given.items() if key not in _STRATEGIES}
    model = {name: chosen.pop(name) for name in _FILL_MODEL if name in chosen}
    for key, value in chosen.items():
        given[_LISTS.get(key, _NAMES.get(key, key))] = value
    if model:
        given["fill_model"] = {**given.get("fill_model", {}), **model}
    if parameters := pairs(param, "--param"):
        given["strategy_config"] = {**given.get("strategy_config", {}), **parameters}
    given |= beside(actor, exec_algorithm)
    if custom_data:
        given["custom_data"] = [_custom_data(each) for each in custom_data]
    if (settings := _venue_settings(venue_set, given.get("venue_settings"))) is not None:
        given["venue_settings"] = settings
    if wheels is not None and file is None:
        raise click.UsageError("--wheels goes with --file: a package that was pushed has its wheels")
    if file is not None and chosen.keys() & {"strategy_class", "strategies"}:
        raise click.UsageError("give --file, or --strategy-class, or --add-strategy")
    if file is not None:
        given.pop("strategy_class", None)
        given.pop("strategies", None)
    elif not given.keys() & {*_STRATEGIES}:
        raise click.UsageError(
            "give --strategy NAME, --file PATH, --strategy-class MODULE:CLASS, --add-strategy or --config FILE"
        )
    return given


def _strategy(option: str) -> dict[str, Any]:
    name, *more = option.split(",")
    parameters = pairs(more, "--add-strategy")
    if ":" not in name:
        return {"template": name, "parameters": parameters}
    config_path = str(parameters.pop("config_class", f"{name}Config"))
    return {"strategy_path": name, "config_path": config_path, "config": parameters}


def _custom_data(option: str) -> dict[str, Any]:
    path, *more = option.split(",")
    return {"path": path, **pairs(more, "--custom-data")}


def _venue_settings(options: Iterable[str], given: Any) -> Any:
    """Settings by venue: VENUE.FIELD=VALUE, and FIELD.PART=VALUE for one of a model. What is given is as it comes."""
    chosen = pairs(options, "--venue-set")
    if not chosen:
        return given
    found = deepcopy(given) if isinstance(given, dict) else {}
    for path, value in chosen.items():
        *places, last = path.split(".")
        if not 1 <= len(places) <= 2 or not all((*places, last)):
            raise click.UsageError(f"--venue-set {path}: write it as VENUE.FIELD=VALUE")
        settings = found
        for place in places:
            if not isinstance(settings.setdefault(place, {}), dict):
                raise click.UsageError(f"--venue-set {path}: {place} is given as a value already")
            settings = settings[place]
        settings[last] = value
    return found


async def with_file(
    options: Options, fleet: Flotilla, given: dict[str, Any], file: Path | None, wheels: Path | None
) -> dict[str, Any]:
    """What was chosen, with the strategy of `--file`, where that was given, uploaded as it is now with its wheels."""
    if file is None:
        return given
    strategy, view = await uploaded(options, fleet, file, given.get("strategy"), "--file", wheels=wheels)
    of_package: dict[str, Any] = {key: with_draft(given[key], view) for key in _BESIDE if key in given}
    return {**given, "strategy": strategy, **of_package}


def stem(given: dict[str, Any], file: Path | None, otherwise: str) -> str:
    """What a new id begins with."""
    if file is not None:
        return re.sub(r"[^A-Za-z0-9_-]+", "_", file.resolve().stem)[:60] or otherwise
    return split_name(str(given.get("strategy") or otherwise))[0]
