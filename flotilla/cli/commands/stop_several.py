"""Several engines stopped at once: those that are named, or all that go, or those of labels."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

import click
import msgspec
from rich.console import Group
from rich.text import Text

from flotilla.cli.options import Options
from flotilla.client.client import ENDED, Flotilla, engines_going
from flotilla.schemas.config import WORKER_TEMPLATE
from flotilla.schemas.engine import EngineAccepted, EngineView
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.show.error_report import Failure, failure_of
from flotilla.show.output import console
from flotilla.show.tables import not_confirmed, stop_text
from flotilla.state.errors import EngineFailedError
from flotilla.state.exits import Exit


class HowToStop(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for each of them. `wait_s`: how long its end is waited for, not at all where it is null."""

    policy: StopPolicy | None
    force: bool
    wait_s: float | None


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the stop of one engine. `engine` is null where its end was not waited for, or not reached."""

    instance_id: str
    accepted: EngineAccepted | None = None
    engine: EngineView | None = None
    error: Failure | None = None


async def going(fleet: Flotilla, labels: Mapping[str, str]) -> list[str]:
    """The engines that run or are about to, by name, of those that carry the labels. A backtest's worker trades nothing, and is none."""
    known = await engines_going(fleet.bus, labels)
    return sorted(each.instance_id for each in known if each.config.template != WORKER_TEMPLATE)


async def stop_all(
    options: Options, fleet: Flotilla, labels: Mapping[str, str], how: HowToStop, *, yes: bool
) -> int:
    """Stops every engine that goes, after a question to whoever sits at a terminal."""
    names = await going(fleet, labels)
    if names and not yes and sys.stdin.isatty():
        await asyncio.to_thread(click.confirm, f"Stop {', '.join(names)}?", abort=True, err=True)
    return await stop_named(options, fleet, names, how)


async def stop_named(options: Options, fleet: Flotilla, names: Sequence[str], how: HowToStop) -> int:
    """Stops these at once, whatever comes of the others, and says of each what came of it. The exit code is that of the first that failed."""
    text = f"stopping {', '.join(names)} …"
    with console(stderr=True).status(text):
        done = await asyncio.gather(*(_stopped(options, fleet, name, how) for name in names))
    options.output.document({"stopped": done}, lambda: _told(done))
    return next((each.error.exit_code for each in done if each.error), Exit.OK)


async def _stopped(options: Options, fleet: Flotilla, name: str, how: HowToStop) -> Stopped:
    request_id = f"{options.request_id}-{name}" if options.request_id else None
    accepted = engine = None
    try:
        accepted = await fleet.stop_engine(name, force=how.force, policy=how.policy, request_id=request_id)
        if how.wait_s is not None and accepted.session_id is not None:
            engine = await fleet.wait_for(name, ENDED, session_id=accepted.session_id, timeout_s=how.wait_s)
            refuse_failure(engine)
    except (FaultError, EngineFailedError) as error:
        return Stopped(instance_id=name, accepted=accepted, engine=engine, error=failure_of(error))
    return Stopped(instance_id=name, accepted=accepted, engine=engine)


def refuse_failure(engine: EngineView) -> None:
    """Raises EngineFailedError for a session that failed instead of stopping, unless it was killed as asked."""
    session = engine.session
    if session and session.state == RunState.FAILED and session.reason != FailureReason.OPERATOR:
        raise EngineFailedError(engine)


def stopped_lines(accepted: EngineAccepted, engine: EngineView | None) -> list[Text]:
    """What a stop or a restart came to, for people."""
    session = engine.session if engine else None
    if session is None:
        return [Text(accepted.message)]
    style = "green" if session.state == RunState.TRADING else "dim"
    lines = [Text.assemble(("● ", style), f"engine {session.instance_id} is {session.state}")]
    lines += [Text(f"  session    {session.session_id}")]
    lines += [Text(f"  detail     {session.detail}")] if session.detail else []
    lines += [Text(f"  stop       {stop_text(session.stop)}")] if session.stop else []
    return [*lines, *not_confirmed(session)]


def _told(done: Sequence[Stopped]) -> Group:
    if not done:
        return Group(Text("no engine is active"))
    return Group(*(line for each in done for line in _lines(each)))


def _lines(each: Stopped) -> list[Text]:
    if each.error is not None:
        remedy = [Text(f"  remedy     {each.error.remedy}")] if each.error.remedy else []
        return [
            Text.assemble(("● ", "red"), (f"engine {each.instance_id}: {each.error.message}", "red")),
            *remedy,
        ]
    return stopped_lines(each.accepted, each.engine) if each.accepted else []
