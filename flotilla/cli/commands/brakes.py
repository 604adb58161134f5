"""`flotilla engine halt`, `reduce`, `resume`, `cancel-orders` and `flatten`: brakes short of a stop."""

import asyncio
import sys

import click
from rich.console import Group
from rich.text import Text

from flotilla.cli.completing import engine_names
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.brakes import AfterFlatten
from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.states import RunState
from flotilla.state.exits import Exit


@click.command()
@click.argument("name", shell_complete=engine_names)
@request_id
@common
@pass_options
@with_fleet
async def halt(options: Options, fleet: Flotilla, name: str) -> int:
    """Let no order of the strategies of the engine NAME pass any more, until it is resumed.

    Orders and positions that are open stay; strategies can still cancel, and neither open nor close. The engine is `impaired`
    meanwhile, also after a crash or a start: only `resume` lifts it. Exits with 8 when the engine is not known to obey yet.
    """
    return _told(options, await fleet.halt_engine(name, request_id=options.request_id))


@click.command()
@click.argument("name", shell_complete=engine_names)
@request_id
@common
@pass_options
@with_fleet
async def reduce(options: Options, fleet: Flotilla, name: str) -> int:
    """Let only orders pass that reduce a position of the engine NAME, and cancels, until it is resumed."""
    return _told(options, await fleet.reduce_engine(name, request_id=options.request_id))


@click.command()
@click.argument("name", shell_complete=engine_names)
@click.option("--yes", is_flag=True, help="Do not ask, where the engine trades money.")
@request_id
@common
@pass_options
def resume(options: Options, /, *, name: str, yes: bool) -> int | None:
    """Lift the brake of the engine NAME: its strategies trade freely again."""
    if not yes and _trades_money(options, name):
        _confirm(name)
    return _resume(options, name)


@click.command()
@click.argument("name", shell_complete=engine_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@request_id
@common
@pass_options
@with_fleet
async def accept(options: Options, fleet: Flotilla, *, name: str, yes: bool) -> int:
    """Take what the engine NAME and its venue do not agree on (state mismatch) as it is: it trades on.

    Look at the venue first. Shows what differs, and asks. To have it closed instead: `flatten`.
    """
    view = await fleet.engine(name)
    is_held = view.session is not None and view.session.state == RunState.MISMATCH
    found = "; ".join(view.problems) if is_held else None
    if found is not None and not yes:
        await asyncio.to_thread(_ask_to_accept, name, found)
    done = await fleet.accept_difference(name, shown=found, request_id=options.request_id)
    return _told(options, done)


@click.command("cancel-orders")
@click.argument("name", shell_complete=engine_names)
@request_id
@common
@pass_options
@with_fleet
async def cancel_orders(options: Options, fleet: Flotilla, name: str) -> int:
    """Cancel every order of the engine NAME; its strategies go on, and may send new ones.

    Says how many were cancelled, by what the venue confirmed, and exits with 8 when something is not confirmed.
    """
    return _told(options, await fleet.cancel_orders(name, request_id=options.request_id))


@click.command()
@click.argument("name", shell_complete=engine_names)
@click.option(
    "--then",
    type=click.Choice([str(one) for one in AfterFlatten]),
    default=str(AfterFlatten.HALT),
    show_default=True,
    help="Halt its strategies until they are resumed, or let them go on as before.",
)
@request_id
@common
@pass_options
@with_fleet
async def flatten(options: Options, fleet: Flotilla, *, name: str, then: str) -> int:
    """Cancel every order and close every position of the engine NAME, and halt it.

    Its strategies would open positions anew at once: so they are halted first, unless told otherwise. Says what the venue
    confirmed, and exits with 8 when something is not confirmed. The engine stays up; `emergency-stop` ends it too.
    """
    done = await fleet.flatten_engine(name, then=AfterFlatten(then), request_id=options.request_id)
    return _told(options, done)


@with_fleet
async def _trades_money(_: Options, fleet: Flotilla, name: str) -> bool:
    return (await fleet.engine(name)).config.trades_money


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        text = f"engine {name} trades money: give --yes to let it trade on"
        raise fault(FaultCode.CONFIRMATION_REQUIRED, text, FieldError("--yes", "must be given"))
    click.confirm(f"Let {name}, which trades money, trade on?", abort=True, err=True)


def _ask_to_accept(name: str, found: str) -> None:
    if not sys.stdin.isatty():
        text = f"{found}: give --yes to accept that"
        raise fault(FaultCode.CONFIRMATION_REQUIRED, text, FieldError("--yes", "must be given"))
    click.echo(found, err=True)
    click.confirm(f"Accept that, and let {name} trade on?", abort=True, err=True)


@with_fleet
async def _resume(options: Options, fleet: Flotilla, name: str) -> int:
    return _told(options, await fleet.resume_engine(name, request_id=options.request_id))


def _told(options: Options, done: EngineAccepted) -> int:
    options.output.document(done, lambda: Group(*_lines(options, done)))
    return Exit.OK if done.is_taken else Exit.OUTCOME_UNKNOWN


def _lines(options: Options, done: EngineAccepted) -> list[Text]:
    lines = [Text.assemble(("● ", "green" if done.is_taken else "red"), done.message)]
    lines += [Text(f"NOT CONFIRMED {what}", style="red") for what in done.not_confirmed]
    if done.brake is not None and done.brake.is_on:
        lines.append(Text(f"  next       {options.program} engine resume {done.instance_id}", style="dim"))
    return lines
