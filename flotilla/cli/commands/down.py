"""`flotilla down`."""

import click

from flotilla.cli.options import Options, common, pass_options
from flotilla.show.progress import narrator
from flotilla.stack.background import stop_running


@click.command()
@click.option("--leave-engines", is_flag=True, help="Let engines run on; the next `flotilla up` finds them.")
@click.option("--timeout", type=click.FloatRange(1, 600), default=90.0, show_default=True, metavar="S")
@common
@pass_options
def down(options: Options, *, leave_engines: bool, timeout: float) -> None:
    """Stop the stack that runs on the state folder. When none runs, nothing has to be done."""
    root = options.folder.root
    narrator(is_json=options.is_json).say(f"stopping the stack on {root}")
    pid = stop_running(options.folder, leave_engines=leave_engines, timeout_s=timeout)
    told = f"stopped process {pid}" if pid else f"no stack runs on {root}"
    options.output.document({"stopped_pid": pid}, lambda: told)
