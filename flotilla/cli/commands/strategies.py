"""`flotilla strategy ls`, `add`, `start`, `stop` and `rm`: strategies of a running engine. Changes end with its session."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.completing import engine_names, strategy_names
from flotilla.cli.engine_options import pairs, strategy_choice
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.config import StrategyChoice
from flotilla.schemas.decoding import convert
from flotilla.schemas.ids import Name
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.strategy import SignalValue, StrategyId, StrategyList
from flotilla.show.output import table
from flotilla.state.exits import Exit

F = TypeVar("F", bound=Callable[..., Any])
_POLICY = click.option(
    "--policy",
    type=click.Choice([str(one) for one in StopPolicy]),
    help="About its orders and positions.  [default: the engine's]",
)


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return str(convert(value, StrategyId, "strategy_id"))


def _which(command: F) -> F:
    """Adds ENGINE and STRATEGY, a strategy's id in the engine."""
    named = click.argument("strategy_id", metavar="STRATEGY", callback=_checked)(command)
    return click.argument("engine", shell_complete=engine_names)(named)


@click.command()
@click.argument("engine", required=False, shell_complete=engine_names)
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, engine: str | None) -> None:
    """List the strategies of the running ENGINE, or of the only one that is active."""
    found = await fleet.strategies(engine)
    options.output.document(found, lambda: _table(found))


@click.command()
@click.argument("engine", shell_complete=engine_names)
@click.argument("template", shell_complete=strategy_names)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy.")
@click.option("--start/--no-start", default=True, show_default=True, help="Let it trade at once.")
@request_id
@common
@pass_options
@with_fleet
async def add(
    options: Options, fleet: Flotilla, *, engine: str, template: str, settings: tuple[str, ...], start: bool
) -> int:
    """Add a strategy made from TEMPLATE to the running ENGINE.

    \b
    flotilla strategy add my-engine ema_cross --set trade_size=10
    """
    choice: StrategyChoice = convert(strategy_choice(template, settings), StrategyChoice, "strategy")
    return _told(
        options, await fleet.add_strategy(choice, engine, start=start, request_id=options.request_id)
    )


@click.command()
@_which
@request_id
@common
@pass_options
@with_fleet
async def start(options: Options, fleet: Flotilla, *, engine: str, strategy_id: str) -> int:
    """Let STRATEGY of the running ENGINE trade."""
    return _told(options, await fleet.start_strategy(strategy_id, engine, request_id=options.request_id))


@click.command()
@_which
@_POLICY
@request_id
@common
@pass_options
@with_fleet
async def stop(
    options: Options, fleet: Flotilla, *, engine: str, strategy_id: str, policy: str | None
) -> int:
    """Stop STRATEGY of the running ENGINE; the others trade on."""
    done = await fleet.stop_strategy(
        strategy_id, engine, policy=_policy(policy), request_id=options.request_id
    )
    return _told(options, done)


@click.command()
@_which
@_POLICY
@request_id
@common
@pass_options
@with_fleet
async def rm(options: Options, fleet: Flotilla, *, engine: str, strategy_id: str, policy: str | None) -> int:
    """Stop STRATEGY of the running ENGINE and remove it."""
    done = await fleet.remove_strategy(
        strategy_id, engine, policy=_policy(policy), request_id=options.request_id
    )
    return _told(options, done)


@click.command()
@click.argument("engine", shell_complete=engine_names)
@click.argument("name", callback=lambda _context, _parameter, value: convert(value, Name, "name"))
@click.argument("value")
@request_id
@common
@pass_options
@with_fleet
async def signal(options: Options, fleet: Flotilla, *, engine: str, name: str, value: str) -> int:
    """Send the signal NAME with VALUE, a number or a text, to the strategies of the running ENGINE.

    Its configuration must permit it (`signals`, `engine start --signal NAME`).
    """
    (given,) = pairs([f"{name}={value}"], "VALUE").values()
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    plain: int | float | str = convert(given if is_number else value, SignalValue, "value")
    return _told(options, await fleet.send_signal(name, plain, engine, request_id=options.request_id))


def _policy(text: str | None) -> StopPolicy | None:
    return StopPolicy(text) if text else None


def _told(options: Options, done: StrategyList) -> int:
    """What is not confirmed of orders and positions is not known to be done."""
    options.output.document(done, lambda: Group(*_lines(done), _table(done)))
    return Exit.OUTCOME_UNKNOWN if done.not_confirmed else Exit.OK


def _lines(done: StrategyList) -> list[Text]:
    told = [Text.assemble(("● ", "green"), done.message)] if done.message else []
    return told + [Text(f"NOT CONFIRMED {what}", style="red") for what in done.not_confirmed]


def _table(found: StrategyList) -> RenderableType:
    if not found.strategies:
        return Text(f"engine {found.instance_id} runs no strategy")
    made = table("STRATEGY", "STATE", ">ORDERS", ">POSITIONS", "CLASS")
    for one in found.strategies:
        made.add_row(
            one.strategy_id,
            Text(one.state, style="green" if one.state == "RUNNING" else "yellow"),
            str(one.orders_open),
            str(one.positions_open),
            one.strategy_class.rpartition(":")[2],
        )
    return made
