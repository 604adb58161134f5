"""The options that describe an engine, and the configuration that they come to."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import click
import msgspec

from flotilla.cli import limit_options
from flotilla.cli.completing import strategy_names
from flotilla.cli.options import labels as label_option
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.states import DeadManPolicy, EngineType, TradingMode

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_NAMES: Final = {"mode": "trading_mode", "memory": "max_memory", "cpus": "max_cpu"}
CLASS: Final = "MODULE|PACKAGE:CLASS[,KEY=VALUE…]"
_VENUE: Final = "NAME=ADAPTER[,KEY=VALUE…]"
_OPTIONS: Final = (
    click.option("--template", help="Engine template.  [default: that of the type and mode]"),
    click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter of the engine template."),
    click.option(
        "--strategy",
        shell_complete=strategy_names,
        help="Strategy template; without it, those that the engine template names.",
    ),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy."
    ),
    click.option("--actor", multiple=True, metavar=CLASS, help="An actor beside them; may be repeated."),
    click.option(
        "--exec-algorithm", multiple=True, metavar=CLASS, help="An execution algorithm; may be repeated."
    ),
    click.option(
        "--signal",
        "signals",
        multiple=True,
        metavar="NAME",
        help="A signal that may be sent to it from outside; may be repeated.",
    ),
    click.option(
        "--type",
        "engine_type",
        type=click.Choice([str(one) for one in EngineType]),
        help="[default: sandbox; paper with venues]",
    ),
    click.option("--mode", type=click.Choice([str(one) for one in TradingMode]), help="[default: paper]"),
    click.option(
        "--venue",
        "venue_options",
        multiple=True,
        metavar=_VENUE,
        help="A venue to connect, such as BINANCE=binance,secret=binance_main; account, secret, or a field of the "
        "adapter's config; may be repeated.",
    ),
    click.option("--venues-file", type=click.File("rb"), metavar="FILE", help="Venues as a JSON array."),
    click.option("--memory", metavar="SIZE", help="Memory limit, such as 2g."),
    click.option("--cpus", metavar="NUMBER", help="CPU limit, such as 1.5."),
    click.option("--max-order-rate", type=int, metavar="NUMBER", help="Orders per minute, at most."),
    click.option("--max-position-size", type=float, metavar="AMOUNT", help="Of one order, at most."),
    *limit_options.OPTIONS,
    click.option(
        "--dead-man",
        type=click.Choice([str(one) for one in DeadManPolicy]),
        help="What it does by itself when no orchestrator is heard any more.  [default: that of the template]",
    ),
    click.option(
        "--dead-man-after",
        type=float,
        metavar="SECONDS",
        help="How long none is heard until it does, 5 to 86400.",
    ),
    label_option("A label such as desk=rates, to find it by; may be repeated."),
    click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False)),
    click.option(
        "--config",
        "config_file",
        type=click.File("rb"),
        metavar="FILE",
        help="An EngineConfig in JSON, `-` for stdin; the options above are put over it.",
    ),
)


def engine_options(command: F) -> F:
    """Adds the options that describe an engine, in the order in which they stand above."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def engine_config(
    *,
    name: str,
    config_file: Any,
    param: Iterable[str],
    strategy: str | None,
    settings: Iterable[str],
    venue_options: Iterable[str] = (),
    venues_file: Any = None,
    actor: Iterable[str] = (),
    exec_algorithm: Iterable[str] = (),
    loss_limit: Iterable[str] = (),
    trading_window: Iterable[str] = (),
    equity_currency: str | None = None,
    rollover: str | None = None,
    timezone: str | None = None,
    labels: Mapping[str, str] | None = None,
    dead_man: str | None = None,
    dead_man_after: float | None = None,
    ground: EngineConfig | None = None,
    **plain: Any,
) -> EngineConfig:
    """The configuration that the options describe: over the file, else over `ground`, else over a sandbox on paper.

    Raises FaultError `invalid` naming the field, click.UsageError for options that do not go together.
    """
    given: dict[str, Any] = decode(config_file.read(), dict[str, Any]) if config_file else {}
    if not config_file and ground is not None:
        given = msgspec.to_builtins(ground)
    over = {_NAMES.get(key, key): value for key, value in plain.items() if value not in (None, ())}
    if connected := _venues(venue_options, venues_file):
        over["venues"] = connected
    over |= beside(actor, exec_algorithm)
    over |= limit_options.limit_fields(
        loss_limit, trading_window, equity_currency=equity_currency, rollover=rollover, timezone=timezone
    )
    default = {"engine_type": "paper" if over.get("venues") or given.get("venues") else "sandbox"}
    config = {**default, **given, **over, "instance_id": name}
    chosen = {"policy": dead_man, "after_s": dead_man_after}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    for field, added in (
        ("parameters", pairs(param, "--param")),
        ("labels", labels),
        ("dead_man", chosen),
    ):
        known = config.get(field)
        if added and (known is None or isinstance(known, dict)):
            config[field] = {**(known or {}), **added}
    if strategy:
        config["strategies"] = [strategy_choice(strategy, settings)]
    elif pairs(settings, "--set"):
        raise click.UsageError("--set needs --strategy")
    return convert(config, EngineConfig, "config")


def strategy_choice(template: str, settings: Iterable[str]) -> dict[str, Any]:
    """A strategy by its template and KEY=VALUE options."""
    return {"template": template, "parameters": pairs(settings, "--set")}


def pairs(given: Iterable[str], option: str) -> dict[str, Any]:
    """KEY=VALUE options. A value that is JSON (`10`, `true`, `null`, `[1, 2]`) is taken as that, anything else as text."""
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise click.UsageError(f"{option} {pair!r}: write it as KEY=VALUE")
        try:
            found[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[key] = value
    return found


def beside(actor: Iterable[str], exec_algorithm: Iterable[str]) -> dict[str, Any]:
    """The fields of a configuration for what runs beside strategies, as far as it was given."""
    found = {
        "actors": [_component(each, "--actor") for each in actor],
        "exec_algorithms": [_component(each, "--exec-algorithm") for each in exec_algorithm],
    }
    return {name: listed for name, listed in found.items() if listed}


def _component(option: str, name: str) -> dict[str, Any]:
    """An actor or execution algorithm: `MODULE:CLASS`, of a package `mine:CLASS` or `mine@2:CLASS`, then its config; `config_class` names
    the class of that.
    """
    path, *more = option.split(",")
    config = pairs(more, name)
    own = {"config_path": str(config.pop("config_class"))} if "config_class" in config else {}
    return {"path": path, **own, "config": config}


def _venues(options: Iterable[str], file: Any) -> list[Any]:
    connected: list[Any] = decode(file.read(), list[Any]) if file else []
    return connected + [_venue(option) for option in options]


def _venue(option: str) -> dict[str, Any]:
    first, *more = option.split(",")
    name, equals, adapter = first.partition("=")
    if not (name and equals and adapter):
        raise click.UsageError(f"--venue {option!r}: write it as {_VENUE}")
    config = pairs(more, "--venue")
    own: dict[str, Any] = {key: str(config.pop(key)) for key in ("account", "secret") if key in config}
    return {"name": name, "adapter": adapter, "config": config, **own}
