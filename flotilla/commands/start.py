"""`flotilla engine start`."""

from collections.abc import Iterable
from typing import Any

import click
import msgspec
from rich.console import Group
from rich.text import Text

from flotilla.client import Flotilla
from flotilla.commands.waiting import wait_for
from flotilla.options import Options, common, pass_options, request_id
from flotilla.session import with_fleet
from schemas.config import EngineConfig
from schemas.contract import ENGINE_START
from schemas.decoding import convert, decode
from schemas.engine import EngineAccepted, EngineView, StartEngine
from schemas.states import EngineType, RunState, TradingMode


@click.command()
@click.argument("name")
@click.option("--template", help="Engine template.  [default: sandbox]")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter of the engine template.")
@click.option("--strategy", help="Strategy template; without it, those that the engine template names.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy.")
@click.option(
    "--type", "engine_type", type=click.Choice([str(one) for one in EngineType]), help="[default: sandbox]"
)
@click.option("--mode", type=click.Choice([str(one) for one in TradingMode]), help="[default: paper]")
@click.option("--memory", metavar="SIZE", help="Memory limit, such as 2g.")
@click.option("--cpus", metavar="NUMBER", help="CPU limit, such as 1.5.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False))
@click.option(
    "--config",
    "config_file",
    type=click.File("rb"),
    metavar="FILE",
    help="An EngineConfig in JSON, `-` for stdin; the options above are put over it.",
)
@click.option("--confirm-live-trading", is_flag=True, help="Needed for engines that trade money.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the engine trades.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, metavar="S")
@request_id
@common
@pass_options
def start(
    options: Options, /, *, confirm_live_trading: bool, wait: bool, timeout: float, **chosen: Any
) -> None:
    """Start the engine NAME.

    \b
    flotilla engine start my-first --strategy ema_cross --set trade_size=100
    """
    # What is wrong with the command line is said before anybody is asked.
    config = engine_config(**chosen)
    request = StartEngine(
        config=config, confirm_live_trading=confirm_live_trading, request_id=options.request_id
    )
    _start(options, request=request, wait_s=timeout if wait else None)


@with_fleet
async def _start(options: Options, fleet: Flotilla, *, request: StartEngine, wait_s: float | None) -> None:
    accepted = await fleet.bus.call(ENGINE_START, request)
    engine = None
    if wait_s is not None:
        engine = await wait_for(fleet, accepted, (RunState.TRADING,), timeout_s=wait_s)
    options.output.document(
        {"accepted": accepted, "engine": engine}, lambda: _told(options.program, accepted, engine)
    )


def engine_config(
    *,
    name: str,
    config_file: Any,
    param: Iterable[str],
    strategy: str | None,
    settings: Iterable[str],
    **plain: Any,
) -> EngineConfig:
    """The configuration that the options describe. Raises FaultError `invalid` naming the field."""
    given: dict[str, Any] = decode(config_file.read(), dict[str, Any]) if config_file else {}
    names = {"mode": "trading_mode", "memory": "max_memory", "cpus": "max_cpu"}
    over = {names.get(key, key): value for key, value in plain.items() if value is not None}
    config = {"engine_type": "sandbox", "template": "sandbox", **given, **over, "instance_id": name}
    if parameters := pairs(param, "--param"):
        config["parameters"] = {**config.get("parameters", {}), **parameters}
    if strategy:
        config["strategies"] = [{"template": strategy, "parameters": pairs(settings, "--set")}]
    elif pairs(settings, "--set"):
        raise click.UsageError("--set needs --strategy")
    return convert(config, EngineConfig, "config")


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


def _told(program: str, accepted: EngineAccepted, engine: EngineView | None) -> Group:
    session, name = engine.session if engine else None, accepted.instance_id
    if session is None:
        return Group(
            Text(accepted.message), Text(f"  next       {program} engine inspect {name}", style="dim")
        )
    return Group(
        Text.assemble(("● ", "green"), f"engine {name} is {session.state}"),
        Text(f"  session    {session.session_id}\n  container  {session.container_name}"),
        Text(f"  next       {program} engine watch {name}", style="dim"),
    )
