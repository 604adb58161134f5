"""`flotilla emergency-stop`: straight to the supervisors, and on their own host around them and the bus where they are away."""

import asyncio
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.fleet_stop import OwnHost, stop_around
from flotilla.bus.receipts import are_confirmed
from flotilla.cli.completing import engine_names
from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla, bus_settings, introduce
from flotilla.schemas.environment import NATS_URL, STATE
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import EmergencyStop, FleetStopped
from flotilla.show.output import console
from flotilla.show.receipts import flags_left, stopped_report
from flotilla.stack.own_host import own_host
from flotilla.state.exits import Exit
from flotilla.state.settings import find_connection

log = logging.getLogger(__name__)

_CONNECT_S: Final = 3.0
_CLOSE_S: Final = 1.0
_START_S: Final = 1.0
"""What starting this program takes on a machine that is well."""


@click.command("emergency-stop")
@click.argument("name", metavar="[ENGINE]", required=False, shell_complete=engine_names)
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
    engine confirmed that it is flat, and is gone; with 8 otherwise. Backtests and their workers go on: they trade nothing.
    On the engines' host it also works while supervisor or bus are away: it then tells engines by SIGTERM, and says so.

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
    request = EmergencyStop(
        instance_id=name, deadline_s=deadline, reason=reason, request_id=options.request_id
    )
    return _stop(options, request)


def _stop(options: Options, request: EmergencyStop) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    of_whom = request.instance_id or "every engine"
    with console(stderr=True).status(f"stopping {of_whom}, at most {request.deadline_s:g} s …"):
        done = asyncio.run(_stopped(options, request, _own_host(options)))
    if not (done.flags or done.receipts or done.unreached):
        raise fault(FaultCode.UNAVAILABLE, "no supervisor is in sight: nothing was stopped")
    options.output.document(done, lambda: stopped_report(done, options.program))
    return Exit.OK if are_confirmed(done) else Exit.OUTCOME_UNKNOWN


async def _stopped(options: Options, request: EmergencyStop, own: OwnHost | None) -> FleetStopped:
    """Over the bus; where that is away, and this is an engine's host, around it."""
    now = asyncio.get_running_loop().time
    # Where starting took long, as on a machine in trouble, that is part of the deadline too.
    until = now() + request.deadline_s - max(0.0, _age_s() - _START_S)
    try:
        bus = await _connected(options)
    except FaultError as error:
        if own is None or error.fault.code != FaultCode.UNAVAILABLE:
            raise
        log.warning("%s: going around the bus on host %s", error.fault.message, own.host)
        left = msgspec.structs.replace(request, deadline_s=max(1.0, until - now()))
        return await stop_around(own, left)
    introduce(bus, "cli")
    try:
        return await Flotilla(bus).emergency_stop(
            request.instance_id,
            deadline_s=max(1.0, until - now()),
            reason=request.reason,
            request_id=request.request_id,
            own=own,
        )
    finally:
        # Not drained: a server that hangs is not waited for any longer.
        with suppress(TimeoutError):
            await asyncio.wait_for(bus.close(), _CLOSE_S)


async def _connected(options: Options) -> Bus:
    """Raises FaultError `unavailable` in time, also where a server takes connections and says nothing."""
    found = find_connection(options.state)
    try:
        async with asyncio.timeout(_CONNECT_S + _CLOSE_S):
            return await connect(bus_settings(found), wait_s=_CONNECT_S)
    except TimeoutError:
        raise fault(FaultCode.UNAVAILABLE, f"the bus at {found.nats_url} does not answer") from None


def _age_s() -> float:
    """Seconds since this process began."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def _own_host(options: Options) -> OwnHost | None:
    """This machine's, unless the environment names a bus elsewhere: what runs here is none of that fleet's then."""
    is_elsewhere = NATS_URL.given() is not None and STATE.given() is None
    return None if options.state is None and is_elsewhere else own_host(options.folder.root)


@with_fleet
async def _lift(options: Options, fleet: Flotilla, name: str | None) -> int:
    left = await fleet.lift_stop(name, request_id=options.request_id)
    options.output.document(left, lambda: flags_left(left))
    if left.unreached:
        return Exit.OUTCOME_UNKNOWN
    # The stop of all engines keeps the one that is named from starting as well.
    is_stopped = any(flag.instance_id in (None, name) for flag in left.flags)
    return Exit.CONFLICT if name and is_stopped else Exit.OK
