"""`flotilla up`."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.bus import logs
from flotilla.bus.tokens import add_code
from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.fault import FaultError
from flotilla.schemas.states import OrphanPolicy
from flotilla.show.progress import narrator
from flotilla.stack.background import run_stack, start_detached
from flotilla.stack.checks import require_all
from flotilla.stack.stack import ADMIN, HTTP_PORT, StackSettings
from flotilla.state.folder import StateFolder
from flotilla.state.settings import Connection


@click.command()
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    help="Where engines run: auto takes Docker when an engine and the image are there.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=HTTP_PORT, show_default=True, help="Of the REST API."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the REST API.")
@click.option(
    "--templates",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Your own templates, in engines/ and strategies/; may be repeated.",
)
@click.option(
    "--orphans",
    type=click.Choice([str(one) for one in OrphanPolicy]),
    help="Containers of ours that no record knows.  [default: stop]",
)
@click.option("--leave-engines", is_flag=True, help="Let engines run on when the stack stops.")
@click.option("--detach", is_flag=True, help="Run in the background; `flotilla down` stops it.")
@common
@pass_options
def up(
    options: Options,
    *,
    runtime: str,
    port: int,
    host: str,
    templates: tuple[Path, ...],
    orphans: str | None,
    leave_engines: bool,
    detach: bool,
) -> int:
    """Run the whole stack here: bus, databases, services. Ctrl-C stops engines by their policy, then the stack."""
    folder = options.folder

    def ready(connection: Connection) -> None:
        options.output.document(
            connection,
            lambda: _summary(connection, dashboard(folder, connection), options.program, is_detached=detach),
        )

    require_all(folder, port, host)
    if detach:
        arguments = ["--runtime", runtime, "--port", str(port), "--host", host]
        arguments += [word for one in templates for word in ("--templates", str(one))]
        arguments += ["--orphans", orphans] if orphans else []
        ready(start_detached(folder, arguments + ["--leave-engines"] * leave_engines))
        return 0
    settings = StackSettings(
        folder=folder,
        runtime=runtime,
        http_host=host,
        http_port=port,
        templates=tuple(one.absolute() for one in templates),
        orphan_policy=orphans or "",
    )
    folder.create()
    with (folder.logs / "stack.log").open("a") as log:
        logs.configure("stack", stream=log)
        return asyncio.run(
            run_stack(settings, narrator(is_json=options.is_json), ready, leave_engines=leave_engines)
        )


def dashboard(folder: StateFolder, connection: Connection) -> str:
    """The address of the dashboard; it signs one browser in, once, within a minute, as the administrator whom `up` made.

    Without a code where somebody has taken that token away.
    """
    try:
        code, _ = add_code(folder.digests_file, ADMIN, now=datetime.now(UTC))
    except FaultError:
        return connection.http_url
    return f"{connection.http_url}/#code={code}"


def _summary(
    connection: Connection, dashboard_url: str, program: str, *, is_detached: bool
) -> RenderableType:
    """What somebody who just started the stack wants to know."""
    isolation = (
        Text("each engine in its own container", style="green")
        if connection.runtime == "docker"
        else Text(
            "LOCAL PROCESSES, NOT ISOLATED: for trying things out, no live trading", style="bold yellow"
        )
    )
    how_to_stop = f"{program} down" if is_detached else "Ctrl-C"
    return Group(
        Text("\nFlotilla is ready", style="bold green"),
        Text.assemble(("  engines   ", "dim"), isolation),
        Text.assemble(
            ("  dashboard ", "dim"),
            Text(dashboard_url, no_wrap=True),
            (f"  signs in once, within a minute; later: {program} access code {ADMIN}", "dim"),
        ),
        Text.assemble(("  REST API  ", "dim"), f"{connection.http_url}/docs"),
        Text.assemble(("  token     ", "dim"), connection.token_file),
        Text.assemble(("  bus       ", "dim"), connection.nats_url),
        Text.assemble(("  stop      ", "dim"), how_to_stop),
        Text("\nTry, in another terminal" if not is_detached else "\nTry", style="bold"),
        Text(f"  {program} engine start my-first --strategy ema_cross"),
        Text(f"  {program} engine watch my-first"),
        Text(f"  {program} engine ls\n"),
    )
