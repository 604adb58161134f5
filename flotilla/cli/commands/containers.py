"""`flotilla container ls` and `flotilla container cleanup`."""

from datetime import UTC, datetime

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.cli.options import Options, common, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.session import CleanupReport, ContainerFacts, ContainerList, ContainerStatus
from flotilla.show import formats
from flotilla.show.output import table
from flotilla.state.exits import Exit


@click.command()
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla) -> int:
    """List the engine containers of every host in sight; those of others are never shown. Exits with 1 when a host's are missing."""
    found = await fleet.containers()
    options.output.document(found, lambda: _listed(found, datetime.now(UTC)))
    return Exit.FAILED if found.not_listed else Exit.OK


@click.command()
@click.option("--force", is_flag=True, help="Those of active engines too: they are stopped first.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@request_id
@common
@pass_options
@with_fleet
async def cleanup(options: Options, fleet: Flotilla, *, force: bool, dry_run: bool) -> int:
    """Remove the containers of ended sessions. Exits with 1 when one could not be."""
    done = await fleet.cleanup_containers(force=force, dry_run=dry_run, request_id=options.request_id)
    options.output.document(done, lambda: _report(done, datetime.now(UTC)))
    return Exit.FAILED if done.errors else Exit.OK


def _listed(found: ContainerList, now: datetime) -> RenderableType:
    missing = [Text(f"not listed: {each}", style="red") for each in found.not_listed]
    if missing and not found.containers:
        return Group(*missing)
    return Group(_table(found.containers, now), *missing)


def _report(done: CleanupReport, now: datetime) -> RenderableType:
    verb = "would be removed" if done.is_dry_run else "removed"
    count = len(done.cleaned)
    parts: list[RenderableType] = [_table(done.cleaned, now)] if done.cleaned else []
    parts += [Text(f"{error.name}: {error.message}", style="red") for error in done.errors]
    parts.append(
        Text(f"{count} container{'' if count == 1 else 's'} {verb}" if count else "nothing to remove")
    )
    return Group(*parts)


def _table(containers: tuple[ContainerFacts, ...], now: datetime) -> RenderableType:
    if not containers:
        return Text("no containers")
    made = table("ENGINE", "SESSION", "STATUS", "HOST", "RUNTIME", ">AGE")
    for one in containers:
        style = "green" if one.status == ContainerStatus.RUNNING else "dim"
        made.add_row(
            Text(one.instance_id, overflow="fold"),
            one.session_id,
            Text(_status(one), style=style),
            one.host,
            one.runtime,
            _age(one, now),
        )
    return made


def _age(one: ContainerFacts, now: datetime) -> str:
    return formats.duration(max(0.0, (now - one.created_at).total_seconds())) if one.created_at else ""


def _status(one: ContainerFacts) -> str:
    code = "" if one.exit_code is None else f" ({one.exit_code})"
    return f"{one.status}{code}"
