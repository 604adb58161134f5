"""`flotilla engine ls`, `inspect`, `configure` and `rm`."""

from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Group
from rich.text import Text

from flotilla.cli.completing import engine_names
from flotilla.cli.engine_options import engine_config, engine_options
from flotilla.cli.options import Options, common, labels, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.show.event_lines import line_on_record
from flotilla.show.tables import engine_details, engines_table

_LAST: Final = 8
"""Events of an engine that has ended which are shown."""


@click.command()
@click.option("--active", is_flag=True, help="Only engines whose session has not ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@labels("Only engines that carry this label; may be repeated: then all of them.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, active: bool, limit: int, labels: dict[str, str]) -> None:
    """List engines, most recent first."""
    found = await fleet.engines(active=active, limit=limit, labels=labels)
    is_choice = active or bool(labels)
    options.output.document(
        found, lambda: engines_table(found.engines, datetime.now(UTC), is_choice=is_choice)
    )


@click.command()
@click.argument("name", shell_complete=engine_names)
@common
@pass_options
@with_fleet
async def inspect(options: Options, fleet: Flotilla, name: str) -> None:
    """Everything that is known of the engine NAME, and its last sessions.

    Figures are those of a session that runs; of one that is over the last events on record are shown.
    """
    engine = await fleet.engine(name)
    sessions = (await fleet.sessions(name)).sessions
    session = engine.session
    is_over = session is not None and session.ended_at is not None
    seen = max(0, session.last_seq - _LAST) if session and is_over else 0
    found = await fleet.events(name, after_seq=seen, limit=_LAST)
    missing, last = found.missing, [line_on_record(event) for event in found.events] if is_over else []
    options.output.document(
        {"engine": engine, "sessions": sessions, "missing": missing},
        lambda: engine_details(engine, sessions, datetime.now(UTC), missing=missing, last=last),
    )


@click.command()
@click.argument("name", shell_complete=engine_names)
@engine_options
@request_id
@common
@pass_options
def configure(options: Options, /, **chosen: Any) -> int | None:
    """Store a configuration for the next start or restart of the engine NAME; what runs now is left as it is.

    Without --config, what is not named stays as it is stored.

    \b
    flotilla engine configure my-engine --memory 4g --max-order-rate 60
    """
    if chosen["config_file"] is not None:
        return _configure(options, engine_config(**chosen))
    return _change(options, chosen)


@with_fleet
async def _change(options: Options, fleet: Flotilla, chosen: dict[str, Any]) -> None:
    config = engine_config(**chosen, ground=await _stored(fleet, chosen["name"]))
    await _store(options, fleet, config)


@with_fleet
async def _configure(options: Options, fleet: Flotilla, config: EngineConfig) -> None:
    await _store(options, fleet, config)


async def _stored(fleet: Flotilla, name: str) -> EngineConfig | None:
    try:
        return (await fleet.engine(name)).config
    except FaultError as error:
        if error.fault.code != FaultCode.NOT_FOUND:
            raise
        return None


async def _store(options: Options, fleet: Flotilla, config: EngineConfig) -> None:
    accepted = await fleet.configure_engine(config, request_id=options.request_id)
    options.output.document(
        accepted,
        lambda: Group(
            Text.assemble(("● ", "green"), accepted.message),
            Text(f"  next       {options.program} engine restart {config.instance_id}", style="dim"),
        ),
    )


@click.command()
@click.argument("name", shell_complete=engine_names)
@request_id
@common
@pass_options
@with_fleet
async def rm(options: Options, fleet: Flotilla, name: str) -> None:
    """Forget the engine NAME, which must not be active; its sessions and events stay on record."""
    accepted = await fleet.remove_engine(name, request_id=options.request_id)
    options.output.document(accepted, lambda: Text.assemble(("● ", "dim"), accepted.message))
