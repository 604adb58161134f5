"""The `flotilla` command: its commands, and how it ends."""

import os
import sys
from typing import Any, NoReturn

import click

from flotilla.exits import MEANING, Exit
from flotilla.failure import failure_of
from flotilla.lazy import Entry, LazyGroup
from flotilla.options import Options, common, request_id
from flotilla.problem import ReaderGoneError
from flotilla.remedies import asked_by

_EXITS = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())

ENGINE = LazyGroup(
    "engine",
    help="Start, stop and look at engines.",
    entries={
        "start": Entry("flotilla.commands.start:start", "Start an engine."),
        "stop": Entry("flotilla.commands.stop:stop", "Stop an engine."),
        "restart": Entry("flotilla.commands.stop:restart", "Stop an engine and start it again."),
        "ls": Entry("flotilla.commands.engines:ls", "List engines."),
        "inspect": Entry("flotilla.commands.engines:inspect", "Everything that is known of an engine."),
        "logs": Entry("flotilla.commands.logs:logs", "Show what an engine printed."),
        "watch": Entry("flotilla.commands.watching:watch", "Show what engines do, while they do it."),
        "configure": Entry(
            "flotilla.commands.engines:configure", "Store a configuration for the next start."
        ),
        "rm": Entry("flotilla.commands.engines:rm", "Forget an engine that is not active."),
    },
)
STRATEGY = LazyGroup(
    "strategy",
    help="The strategies of a running engine; changes end with its session.",
    entries={
        "ls": Entry("flotilla.commands.strategies:ls", "List the strategies of an engine."),
        "add": Entry("flotilla.commands.strategies:add", "Add a strategy, made from a template."),
        "start": Entry("flotilla.commands.strategies:start", "Let a strategy trade."),
        "stop": Entry("flotilla.commands.strategies:stop", "Stop a strategy; the others trade on."),
        "rm": Entry("flotilla.commands.strategies:rm", "Stop a strategy and remove it."),
    },
)
CONTAINER = LazyGroup(
    "container",
    help="The containers of engines.",
    entries={
        "ls": Entry("flotilla.commands.containers:ls", "List the engine containers of every host."),
        "cleanup": Entry("flotilla.commands.containers:cleanup", "Remove those of ended sessions."),
    },
)
SECRET = LazyGroup(
    "secret",
    help="Credentials of venues, in the state folder.",
    entries={
        "set": Entry("flotilla.commands.secrets:set_", "Store a secret, from stdin or asked for."),
        "ls": Entry("flotilla.commands.secrets:ls", "List secrets by name; values are never shown."),
        "rm": Entry("flotilla.commands.secrets:rm", "Delete a secret."),
    },
)
DATA = LazyGroup(
    "data",
    help="The market data that engines replay.",
    entries={
        "import": Entry("flotilla.commands.data:import_", "Bring CSV or Parquet files into the catalog."),
        "ls": Entry("flotilla.commands.data:ls", "List what the catalog holds."),
        "check": Entry("flotilla.commands.data:check", "Find gaps, and values that no market has."),
    },
)
TEMPLATE = LazyGroup(
    "template",
    help="Templates of engines and strategies.",
    entries={
        "ls": Entry("flotilla.commands.templates:ls", "List templates."),
        "show": Entry("flotilla.commands.templates:show", "Show a template's parameters."),
        "validate": Entry("flotilla.commands.templates:validate", "Check parameters of a strategy template."),
    },
)
BACKTEST = LazyGroup(
    "backtest",
    help="Run strategies over the catalog, and look at what came of it.",
    entries={
        "run": Entry("flotilla.commands.backtests:run", "Run a backtest and show its result."),
        "ls": Entry("flotilla.commands.backtests:ls", "List backtests."),
        "show": Entry("flotilla.commands.backtests:show", "Show a backtest and its result."),
        "cancel": Entry("flotilla.commands.backtests:cancel", "Cancel a backtest."),
        "report": Entry("flotilla.commands.backtest_results:report", "Write the tear sheet, as HTML."),
        "compare": Entry("flotilla.commands.backtest_results:compare", "Show backtests side by side."),
        "export": Entry("flotilla.commands.backtest_results:export", "Write a list of a result to a file."),
        "verify": Entry("flotilla.commands.backtest_results:verify", "Run it again and compare every fill."),
    },
)
STUDY = LazyGroup(
    "study",
    help="Many backtests over a strategy's parameters.",
    entries={
        "run": Entry("flotilla.commands.studies:run", "Run a grid, random or walk-forward study."),
        "ls": Entry("flotilla.commands.studies:ls", "List studies."),
        "show": Entry("flotilla.commands.studies:show", "Show a study and the best of it."),
        "cancel": Entry("flotilla.commands.studies:cancel", "Cancel what is left of a study."),
    },
)
GROUPS = {
    "engine": ENGINE,
    "strategy": STRATEGY,
    "template": TEMPLATE,
    "container": CONTAINER,
    "secret": SECRET,
    "data": DATA,
    "backtest": BACKTEST,
    "study": STUDY,
}


@click.group(
    cls=LazyGroup,
    entries={
        "demo": Entry("flotilla.commands.demo:demo", "Trade real data in a real engine; see what happens."),
        "up": Entry("flotilla.commands.up:up", "Run the whole stack here until Ctrl-C."),
        "down": Entry("flotilla.commands.down:down", "Stop the stack that runs on a state folder."),
        "doctor": Entry("flotilla.commands.doctor:doctor", "Check what this machine has and lacks."),
        "engine": Entry("flotilla.cli:ENGINE", "Start, stop and look at engines."),
        "emergency-stop": Entry(
            "flotilla.commands.emergency:emergency_stop", "Make engines flat and gone, and keep them so."
        ),
        "audit": Entry("flotilla.commands.audit:audit", "Who asked for what, and what came of it."),
        "strategy": Entry("flotilla.cli:STRATEGY", "The strategies of a running engine."),
        "backtest": Entry("flotilla.cli:BACKTEST", "Run strategies over the catalog."),
        "study": Entry("flotilla.cli:STUDY", "Many backtests over a strategy's parameters."),
        "template": Entry("flotilla.cli:TEMPLATE", "Templates of engines and strategies."),
        "container": Entry("flotilla.cli:CONTAINER", "The containers of engines."),
        "secret": Entry("flotilla.cli:SECRET", "Credentials of venues, in the state folder."),
        "data": Entry("flotilla.cli:DATA", "The market data that engines replay."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit codes:\n{_EXITS}",
)
@click.version_option(package_name="flotilla")
@common
@request_id
def cli() -> None:
    """Run a fleet of NautilusTrader engines.

    `flotilla demo` shows it all in half a minute. The options below may also stand after the command.
    """


def main() -> NoReturn:
    """Runs the command line and exits with a code of flotilla.exits."""
    options = Options()
    try:
        code = _run(options)
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        code = Exit.INTERRUPTED
    except ReaderGoneError:
        # The interpreter would complain of the same when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    except Exception as error:  # those that nobody expected go on as they are
        if (failure := failure_of(error, asked_by(options.context))) is None:
            raise
        failure.show(is_json=options.is_json)
        code = failure.exit_code
    sys.exit(code)


def _run(options: Options) -> int:
    done: Any = cli.main(prog_name="flotilla", standalone_mode=False, obj=options)
    return done if isinstance(done, int) else Exit.OK
