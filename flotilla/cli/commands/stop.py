"""`flotilla engine stop` and `flotilla engine restart`."""

import click
from rich.console import Group

from flotilla.cli.commands.stop_several import (
    HowToStop,
    refuse_failure,
    stop_all,
    stop_named,
    stopped_lines,
)
from flotilla.cli.commands.waiting import once_up, wait_for
from flotilla.cli.completing import engine_names
from flotilla.cli.live_starts import confirmed, yes_option
from flotilla.cli.options import Options, common, labels, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.engine import EngineAccepted, EngineView
from flotilla.schemas.states import StopPolicy

_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, metavar="S", help="To wait."
)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=engine_names)
@click.option("--all", "everything", is_flag=True, help="Every engine that is active.")
@labels("Every active engine that carries this label; may be repeated: then all of them.")
@click.option(
    "--policy",
    type=click.Choice([str(one) for one in StopPolicy]),
    help="About orders and positions.  [default: the template's]",
)
@click.option("--force", is_flag=True, help="Kill it at once; orders and positions are left.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the engine has stopped.")
@_TIMEOUT
@click.option("--yes", is_flag=True, help="Do not ask, with --all or --label.")
@request_id
@common
@pass_options
def stop(
    options: Options,
    /,
    *,
    names: tuple[str, ...],
    everything: bool,
    labels: dict[str, str],
    policy: str | None,
    force: bool,
    wait: bool,
    timeout: float,
    yes: bool,
) -> int | None:
    """Stop the engines NAME, or the only one that is active. Stopping a stopped one is fine.

    Several are stopped at once. What comes of each is said, also where another's stop fails; the exit code is that of the first that failed.

    \b
    flotilla engine stop pairs-1 pairs-2 --policy flatten
    flotilla engine stop --label desk=rates
    """
    if bool(names) + everything + bool(labels) > 1:
        raise click.UsageError("give engines, --all or --label")
    chosen = StopPolicy(policy) if policy else None
    how = HowToStop(policy=chosen, force=force, wait_s=timeout if wait else None)
    if everything or labels:
        return _stop_all(options, labels, how, yes=yes)
    if len(names) > 1:
        return _stop_named(options, tuple(dict.fromkeys(names)), how)
    return _stop(options, names[0] if names else None, how)


_stop_all, _stop_named = with_fleet(stop_all), with_fleet(stop_named)


@with_fleet
async def _stop(options: Options, fleet: Flotilla, name: str | None, how: HowToStop) -> None:
    accepted = await fleet.stop_engine(
        name, force=how.force, policy=how.policy, request_id=options.request_id
    )
    engine = None
    if how.wait_s is not None and accepted.session_id is not None:
        engine = await wait_for(fleet, accepted, ENDED, timeout_s=how.wait_s)
        refuse_failure(engine)
    options.output.document({"accepted": accepted, "engine": engine}, lambda: _told(accepted, engine))


@click.command()
@click.argument("name", required=False, shell_complete=engine_names)
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


def _told(accepted: EngineAccepted, engine: EngineView | None) -> Group:
    return Group(*stopped_lines(accepted, engine))
