"""`flotilla engine start`."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Group
from rich.text import Text

from flotilla.cli.commands.waiting import once_up, wait_for
from flotilla.cli.completing import engine_names
from flotilla.cli.drafts import uploaded, wheels_folder, with_draft
from flotilla.cli.engine_options import engine_config, engine_options
from flotilla.cli.live_starts import confirmed, yes_option
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.contract import ENGINE_START
from flotilla.schemas.decoding import convert
from flotilla.schemas.engine import EngineAccepted, EngineView, StartEngine

_ANY: Final = "draft"
"""Stands for the strategy of --dev while the other options are checked."""


@click.command()
@click.argument("name", shell_complete=engine_names)
@engine_options
@click.option(
    "--stored", is_flag=True, help="With the configuration that `engine configure` stored; no other option."
)
@click.option(
    "--dev",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="Your own strategy, a folder or .py file, as it is now, without push.",
)
@wheels_folder
@click.option("--confirm-live-trading", is_flag=True, help="Needed for engines that trade money.")
@yes_option
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the engine trades.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, metavar="S")
@request_id
@common
@pass_options
def start(
    options: Options,
    /,
    *,
    stored: bool,
    dev: Path | None,
    wheels: Path | None,
    confirm_live_trading: bool,
    yes: bool,
    wait: bool,
    timeout: float,
    **chosen: Any,
) -> None:
    """Start the engine NAME.

    One that trades money is shown with the digest and the changes of its packages first, and asked about, unless it has traded with
    the same before.

    \b
    flotilla engine start my-first --strategy ema_cross --set trade_size=100
    """
    if stored and (dev or any(value for key, value in chosen.items() if key != "name")):
        raise click.UsageError("--stored goes with no other option that describes the engine")
    if wheels is not None and dev is None:
        raise click.UsageError("--wheels goes with --dev: a package that was pushed has its wheels")
    # What is wrong with the command line is said before anybody is asked.
    request = StartEngine(
        config=None if stored else _config(chosen, _ANY if dev else None),
        instance_id=chosen["name"] if stored else None,
        confirm_live_trading=confirm_live_trading,
        request_id=options.request_id,
    )
    code = (dev, wheels)
    _start(options, request=request, wait_s=timeout if wait else None, code=code, chosen=chosen, yes=yes)


def _config(chosen: dict[str, Any], strategy: str | None) -> EngineConfig:
    return engine_config(**{**chosen, "strategy": strategy or chosen["strategy"]})


@with_fleet
async def _start(
    options: Options,
    fleet: Flotilla,
    *,
    request: StartEngine,
    wait_s: float | None,
    code: tuple[Path | None, Path | None],
    chosen: dict[str, Any],
    yes: bool,
) -> None:
    dev, wheels = code
    if dev is not None:
        strategy, view = await uploaded(options, fleet, dev, chosen["strategy"], "--dev", wheels=wheels)
        given = with_draft(msgspec.to_builtins(_config(chosen, strategy)), view)
        request = msgspec.structs.replace(request, config=convert(given, EngineConfig, "config"))
    if request.confirm_live_trading and (request.config is None or request.config.trades_money):
        digests = await confirmed(fleet, request.config, request.instance_id, yes=yes)
        request = msgspec.structs.replace(request, expected_digests=digests)
    accepted = await fleet.bus.call(ENGINE_START, request)
    engine = None
    if wait_s is not None:
        engine = await wait_for(fleet, accepted, once_up(accepted), timeout_s=wait_s)
    options.output.document(
        {"accepted": accepted, "engine": engine}, lambda: _told(options.program, accepted, engine)
    )


def _braked(accepted: EngineAccepted) -> str:
    return f", {accepted.brake.text} until it is resumed" if accepted.brake else ""


def _told(program: str, accepted: EngineAccepted, engine: EngineView | None) -> Group:
    session, name = engine.session if engine else None, accepted.instance_id
    if session is None:
        return Group(
            Text(accepted.message), Text(f"  next       {program} engine inspect {name}", style="dim")
        )
    chosen = engine.config.strategies if engine else None
    pinned = [each.template for each in chosen or () if each.template and "@" in each.template]
    return Group(
        Text.assemble(("● ", "green"), f"engine {name} is {session.state}{_braked(accepted)}"),
        *(Text(f"  strategy   {each}") for each in pinned),
        Text(f"  session    {session.session_id}\n  container  {session.container_name}"),
        Text(f"  next       {program} engine watch {name}", style="dim"),
    )
