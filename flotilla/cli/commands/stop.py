"""`flotilla engine stop` and `flotilla engine restart`."""

import click
from rich.console import Group
from rich.text import Text

from flotilla.cli.commands.waiting import once_up, wait_for
from flotilla.cli.live_starts import confirmed, yes_option
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.engine import EngineAccepted, EngineView
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.show.tables import not_confirmed, stop_text
from flotilla.state.errors import EngineFailedError

_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, metavar="S", help="To wait."
)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--policy",
    type=click.Choice([str(one) for one in StopPolicy]),
    help="About orders and positions.  [default: the template's]",
)
@click.option("--force", is_flag=True, help="Kill it at once; orders and positions are left.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the engine has stopped.")
@_TIMEOUT
@request_id
@common
@pass_options
@with_fleet
async def stop(
    options: Options,
    fleet: Flotilla,
    *,
    name: str | None,
    policy: str | None,
    force: bool,
    wait: bool,
    timeout: float,  # noqa: ASYNC109 - the user's, for the whole wait
) -> None:
    """Stop the engine NAME, or the only one that is active. Stopping a stopped one is fine."""
    accepted = await fleet.stop_engine(
        name, force=force, policy=StopPolicy(policy) if policy else None, request_id=options.request_id
    )
    engine = None
    if wait and accepted.session_id is not None:
        engine = await wait_for(fleet, accepted, ENDED, timeout_s=timeout)
        _refuse_failure(engine)
    options.output.document({"accepted": accepted, "engine": engine}, lambda: _told(accepted, engine))


@click.command()
@click.argument("name", required=False)
@click.option("--confirm-live-trading", is_flag=True, help="Needed for engines that trade money.")
@yes_option
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the new session trades.")
@_TIMEOUT
@request_id
@common
@pass_options
@with_fleet
async def restart(
    options: Options,
    fleet: Flotilla,
    *,
    name: str | None,
    confirm_live_trading: bool,
    yes: bool,
    wait: bool,
    timeout: float,  # noqa: ASYNC109 - the user's, for the whole wait
) -> None:
    """Stop the engine NAME if it runs, and start it again with its last configuration.

    One that trades money is asked about as by `engine start`, where its packages are others than those that it traded with.
    """
    digests = await confirmed(fleet, None, name, yes=yes) if confirm_live_trading else None
    accepted = await fleet.restart_engine(
        name,
        confirm_live_trading=confirm_live_trading,
        expected_digests=digests,
        request_id=options.request_id,
    )
    engine = None
    if wait:
        engine = await wait_for(fleet, accepted, once_up(accepted), timeout_s=timeout)
    options.output.document({"accepted": accepted, "engine": engine}, lambda: _told(accepted, engine))


def _refuse_failure(engine: EngineView) -> None:
    """A session that failed instead of stopping is a failure, unless it was killed as asked."""
    session = engine.session
    if session and session.state == RunState.FAILED and session.reason != FailureReason.OPERATOR:
        raise EngineFailedError(engine)


def _told(accepted: EngineAccepted, engine: EngineView | None) -> Group:
    session = engine.session if engine else None
    if session is None:
        return Group(Text(accepted.message))
    style = "green" if session.state == RunState.TRADING else "dim"
    lines = [Text.assemble(("● ", style), f"engine {session.instance_id} is {session.state}")]
    lines += [Text(f"  session    {session.session_id}")]
    lines += [Text(f"  detail     {session.detail}")] if session.detail else []
    lines += [Text(f"  stop       {stop_text(session.stop)}")] if session.stop else []
    return Group(*lines, *not_confirmed(session))
