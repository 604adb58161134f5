"""`flotilla emergency-stop`: straight to the supervisors, so that it works without orchestrator, gateway and database."""

import sys

import click

from flotilla.client import Flotilla
from flotilla.exits import Exit
from flotilla.options import Options, common, pass_options, request_id
from flotilla.output import console
from flotilla.receipts import flags_left, is_confirmed, stopped_report
from flotilla.session import with_fleet
from schemas.fault import FaultCode, fault


@click.command("emergency-stop")
@click.argument("name", metavar="[ENGINE]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every engine, as without ENGINE.")
@click.option(
    "--deadline",
    type=click.FloatRange(1, 120),
    default=20.0,
    show_default=True,
    metavar="S",
    help="What still runs then is killed.",
)
@click.option("--reason", default="", metavar="TEXT", help="Kept with the stop flag.")
@click.option("--lift", is_flag=True, help="Let engines start again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@request_id
@common
@pass_options
def emergency_stop(
    options: Options,
    /,
    *,
    name: str | None,
    everything: bool,
    deadline: float,
    reason: str,
    lift: bool,
    yes: bool,
) -> int | None:
    """Make ENGINE, or all engines, flat and gone now, and keep them from starting until that is lifted.

    Orders are cancelled, positions closed; what has not ended by the deadline is killed. Exits with 0 only when every
    engine confirmed that it is flat, and is gone; with 8 otherwise.

    \b
    flotilla emergency-stop --all --yes --reason "venue is halted"
    flotilla emergency-stop --lift
    """
    if name and everything:
        raise click.UsageError("give either ENGINE or --all")
    if lift:
        return _lift(options, name)
    if name is None and not yes and sys.stdin.isatty():
        click.confirm("Stop ALL engines now, and keep them stopped?", abort=True, err=True)
    return _stop(options, name, deadline, reason)


@with_fleet
async def _stop(options: Options, fleet: Flotilla, name: str | None, deadline_s: float, reason: str) -> int:
    with console(stderr=True).status(f"stopping {name or 'every engine'}, at most {deadline_s:g} s …"):
        done = await fleet.emergency_stop(
            name, deadline_s=deadline_s, reason=reason, request_id=options.request_id
        )
    if not (done.flags or done.receipts or done.unreached):
        raise fault(FaultCode.UNAVAILABLE, "no supervisor is in sight: nothing was stopped")
    options.output.document(done, lambda: stopped_report(done, options.program))
    return Exit.OK if is_confirmed(done) else Exit.OUTCOME_UNKNOWN


@with_fleet
async def _lift(options: Options, fleet: Flotilla, name: str | None) -> int:
    left = await fleet.lift_stop(name, request_id=options.request_id)
    options.output.document(left, lambda: flags_left(left))
    if left.unreached:
        return Exit.OUTCOME_UNKNOWN
    # The stop of all engines keeps the one that is named from starting as well.
    is_stopped = any(flag.instance_id in (None, name) for flag in left.flags)
    return Exit.CONFLICT if name and is_stopped else Exit.OK
