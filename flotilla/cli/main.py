"""The `flotilla` command: its commands, and how it ends."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from flotilla.cli.options import Options, common, request_id
from flotilla.show.error_report import failure_of
from flotilla.show.remedies import asked_by
from flotilla.state.errors import ReaderGoneError
from flotilla.state.exits import MEANING, Exit

_EXITS = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())


@dataclass(frozen=True)
class Entry:
    """Where a command is, as `module:attribute`, and what it does, in one line."""

    target: str
    help: str


class LazyGroup(click.Group):
    """Knows its commands by name and help; imports one when it is asked for."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were given."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads it."""
        if cmd_name not in self._entries:
            return None
        module, attribute = self._entries[cmd_name].target.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from what is known without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])


class GroupWithDefault(LazyGroup):
    """Takes what names none of its commands for what is said to its first one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the first command's name before it, unless help is asked for."""
        if not set(args) & {*self._entries, *ctx.help_option_names}:
            args = [next(iter(self._entries)), *args]
        return super().parse_args(ctx, args)


ENGINE = LazyGroup(
    "engine",
    help="Start, stop and look at engines.",
    entries={
        "start": Entry("flotilla.cli.commands.start:start", "Start an engine."),
        "stop": Entry("flotilla.cli.commands.stop:stop", "Stop engines."),
        "restart": Entry("flotilla.cli.commands.stop:restart", "Stop an engine and start it again."),
        "halt": Entry("flotilla.cli.commands.brakes:halt", "Let no order pass until it is resumed."),
        "reduce": Entry("flotilla.cli.commands.brakes:reduce", "Let only orders pass that reduce."),
        "resume": Entry("flotilla.cli.commands.brakes:resume", "Let it trade freely again."),
        "accept": Entry("flotilla.cli.commands.brakes:accept", "Take its mismatch with the venue as it is."),
        "cancel-orders": Entry("flotilla.cli.commands.brakes:cancel_orders", "Cancel all of its orders."),
        "flatten": Entry("flotilla.cli.commands.brakes:flatten", "Close all of its positions and halt it."),
        "ls": Entry("flotilla.cli.commands.engines:ls", "List engines."),
        "inspect": Entry("flotilla.cli.commands.engines:inspect", "Everything that is known of an engine."),
        "logs": Entry("flotilla.cli.commands.logs:logs", "Show what an engine printed."),
        "watch": Entry("flotilla.cli.commands.watching:watch", "Show what engines do, while they do it."),
        "history": Entry(
            "flotilla.cli.commands.histories:history", "Show what an engine measured over time."
        ),
        "configure": Entry(
            "flotilla.cli.commands.engines:configure", "Store a configuration for the next start."
        ),
        "rm": Entry("flotilla.cli.commands.engines:rm", "Forget an engine that is not active."),
    },
)
STRATEGY = LazyGroup(
    "strategy",
    help="The strategies of a running engine; changes end with its session.",
    entries={
        "ls": Entry("flotilla.cli.commands.strategies:ls", "List the strategies of an engine."),
        "add": Entry("flotilla.cli.commands.strategies:add", "Add a strategy, made from a template."),
        "start": Entry("flotilla.cli.commands.strategies:start", "Let a strategy trade."),
        "stop": Entry("flotilla.cli.commands.strategies:stop", "Stop a strategy; the others trade on."),
        "rm": Entry("flotilla.cli.commands.strategies:rm", "Stop a strategy and remove it."),
        "signal": Entry(
            "flotilla.cli.commands.strategies:signal", "Send a signal to the strategies of an engine."
        ),
    },
)
HOST = LazyGroup(
    "host",
    help="The hosts that engines run on.",
    entries={"ls": Entry("flotilla.cli.commands.hosts:ls", "List hosts.")},
)
CONTAINER = LazyGroup(
    "container",
    help="The containers of engines.",
    entries={
        "ls": Entry("flotilla.cli.commands.containers:ls", "List the engine containers of every host."),
        "cleanup": Entry("flotilla.cli.commands.containers:cleanup", "Remove those of ended sessions."),
    },
)
SECRET = LazyGroup(
    "secret",
    help="Credentials of venues, in the state folder.",
    entries={
        "set": Entry("flotilla.cli.commands.secrets:set_", "Store a secret, from stdin or asked for."),
        "bind": Entry("flotilla.cli.commands.secrets:bind", "Say anew what a secret may be used for."),
        "ls": Entry("flotilla.cli.commands.secrets:ls", "List secrets by name; values are never shown."),
        "rm": Entry("flotilla.cli.commands.secrets:rm", "Delete a secret."),
        "rotate-key": Entry(
            "flotilla.cli.commands.secrets:rotate_key", "Encrypt all secrets with a new key."
        ),
    },
)
ACCESS = LazyGroup(
    "access",
    help="Who may use the REST API, with which role and for which engines.",
    entries={
        "add": Entry("flotilla.cli.commands.access_add:add", "Make a token and print it, once."),
        "ls": Entry("flotilla.cli.commands.access:ls", "List tokens by name; they are never shown."),
        "rm": Entry("flotilla.cli.commands.access:rm", "Take a token away, at once."),
        "code": Entry("flotilla.cli.commands.access:code", "Print a code with which a browser signs in."),
    },
)
DATA = LazyGroup(
    "data",
    help="The market data that engines replay.",
    entries={
        "import": Entry("flotilla.cli.commands.data:import_", "Bring files of market data into the catalog."),
        "ls": Entry("flotilla.cli.commands.data:ls", "List what the catalog holds."),
        "check": Entry("flotilla.cli.commands.data:check", "Find gaps, and values that no market has."),
        "attach": Entry(
            "flotilla.cli.commands.data_attach:attach", "Use a NautilusTrader catalog where it lies."
        ),
        "detach": Entry("flotilla.cli.commands.data_attach:detach", "Let go of an attached catalog."),
        "rm": Entry("flotilla.cli.commands.data_mend:rm", "Take data out of the catalog."),
        "consolidate": Entry("flotilla.cli.commands.data_mend:consolidate", "Make few files of many."),
    },
)
INSTRUMENT = LazyGroup(
    "instrument",
    help="What is traded in a simulation: tick, multiplier, currencies, fees.",
    entries={
        "add": Entry(
            "flotilla.cli.commands.instruments:add", "Describe an instrument, or change what is said of it."
        ),
        "import": Entry(
            "flotilla.cli.commands.instruments:import_", "Bring instruments from JSON or another catalog."
        ),
        "show": Entry("flotilla.cli.commands.instruments:show", "Show every field with its unit."),
        "ls": Entry("flotilla.cli.commands.instruments:ls", "List the instruments of the catalog."),
        "rm": Entry("flotilla.cli.commands.instruments:rm", "Take an instrument out of the catalog."),
    },
)
TEMPLATE = LazyGroup(
    "template",
    help="Templates of engines and strategies.",
    entries={
        "ls": Entry("flotilla.cli.commands.templates:ls", "List templates."),
        "show": Entry("flotilla.cli.commands.templates:show", "Show a template's parameters."),
        "validate": Entry(
            "flotilla.cli.commands.templates:validate", "Check parameters of a strategy template."
        ),
    },
)
BACKTEST = LazyGroup(
    "backtest",
    help="Run strategies over the catalog, and look at what came of it.",
    entries={
        "run": Entry("flotilla.cli.commands.backtests:run", "Run a backtest and show its result."),
        "ls": Entry("flotilla.cli.commands.backtests:ls", "List backtests."),
        "show": Entry("flotilla.cli.commands.backtests:show", "Show a backtest and its result."),
        "cancel": Entry("flotilla.cli.commands.backtests:cancel", "Cancel a backtest."),
        "report": Entry("flotilla.cli.commands.backtest_results:report", "Write the tear sheet, as HTML."),
        "compare": Entry("flotilla.cli.commands.backtest_results:compare", "Show backtests side by side."),
        "export": Entry(
            "flotilla.cli.commands.backtest_results:export", "Write a list of a result to a file."
        ),
        "verify": Entry(
            "flotilla.cli.commands.backtest_results:verify", "Run it again and compare every fill."
        ),
    },
)
STUDY = LazyGroup(
    "study",
    help="Many backtests over a strategy's parameters.",
    entries={
        "run": Entry("flotilla.cli.commands.studies:run", "Run a grid, random or walk-forward study."),
        "ls": Entry("flotilla.cli.commands.studies:ls", "List studies."),
        "show": Entry("flotilla.cli.commands.studies:show", "Show a study and the best of it."),
        "report": Entry("flotilla.cli.commands.studies:report", "Write its sheet, as HTML."),
        "cancel": Entry("flotilla.cli.commands.studies:cancel", "Cancel what is left of a study."),
    },
)
PACKAGE = LazyGroup(
    "package",
    help="Strategies of your own, by name and version.",
    entries={
        "new": Entry("flotilla.cli.commands.packages:new", "Write a project that runs as it is."),
        "push": Entry("flotilla.cli.commands.packages:push", "Check your code and keep it in the fleet."),
        "ls": Entry("flotilla.cli.commands.packages:ls", "List packages, or the versions of one."),
        "show": Entry("flotilla.cli.commands.packages:show", "Show a version of a package."),
        "rm": Entry("flotilla.cli.commands.packages:rm", "Forget a version of a package."),
    },
)
LEDGER = LazyGroup(
    "ledger",
    help="Orders, fills, positions and accounts of all engines.",
    entries={
        "orders": Entry("flotilla.cli.commands.ledgers:orders", "List orders."),
        "fills": Entry("flotilla.cli.commands.ledgers:fills", "List executions, each once."),
        "positions": Entry("flotilla.cli.commands.ledgers:positions", "List positions."),
        "accounts": Entry("flotilla.cli.commands.ledgers:accounts", "List balances of accounts."),
    },
)
AUDIT = GroupWithDefault(
    "audit",
    help="Who asked for what, and what came of it. Without a command: ls.",
    entries={
        "ls": Entry("flotilla.cli.commands.audit:ls", "List what was asked for, newest first."),
        "verify": Entry("flotilla.cli.commands.audit:verify", "Find what is not as it was recorded."),
        "export": Entry("flotilla.cli.commands.audit:export", "Write all of it, so that it can be verified."),
    },
)
BACKUP = GroupWithDefault(
    "backup",
    help="The record in a file. Without a command: make.",
    entries={
        "make": Entry("flotilla.cli.commands.backup:make", "Write the record into a file."),
        "verify": Entry("flotilla.cli.commands.backup:verify", "Check the file of a backup."),
    },
)
ALERT_RULE = LazyGroup(
    "rule",
    help="The rules by which people are told.",
    entries={
        "ls": Entry("flotilla.cli.commands.alerts:rule_ls", "List the rules, and what was set of them."),
        "set": Entry("flotilla.cli.commands.alerts:rule_set", "Set a threshold, a severity, on or off."),
    },
)
ALERT_CHANNEL = LazyGroup(
    "channel",
    help="Where people are told.",
    entries={
        "ls": Entry("flotilla.cli.commands.alerts:channel_ls", "List channels, and how it goes with them."),
        "add": Entry("flotilla.cli.commands.alerts:channel_add", "Add a channel, or change it."),
        "rm": Entry("flotilla.cli.commands.alerts:channel_rm", "Take a channel away."),
        "test": Entry("flotilla.cli.commands.alerts:channel_test", "Send a message of its own to a channel."),
    },
)
ALERT = LazyGroup(
    "alert",
    help="What people are told of, by which rules, and where.",
    entries={
        "ls": Entry("flotilla.cli.commands.alerts:ls", "List alerts."),
        "ack": Entry("flotilla.cli.commands.alerts:ack", "Say that you have taken an alert on."),
        "mute": Entry("flotilla.cli.commands.alerts:mute", "Tell nobody of some alerts for a time."),
        "rule": Entry("flotilla.cli.main:ALERT_RULE", "The rules by which people are told."),
        "channel": Entry("flotilla.cli.main:ALERT_CHANNEL", "Where people are told."),
    },
)
GROUPS = {
    "engine": ENGINE,
    "strategy": STRATEGY,
    "template": TEMPLATE,
    "host": HOST,
    "container": CONTAINER,
    "secret": SECRET,
    "access": ACCESS,
    "data": DATA,
    "instrument": INSTRUMENT,
    "backtest": BACKTEST,
    "study": STUDY,
    "package": PACKAGE,
    "ledger": LEDGER,
    "audit": AUDIT,
    "backup": BACKUP,
    "alert": ALERT,
    "alert rule": ALERT_RULE,
    "alert channel": ALERT_CHANNEL,
}


@click.group(
    cls=LazyGroup,
    entries={
        "demo": Entry(
            "flotilla.cli.commands.demo:demo", "Trade real data in a real engine; see what happens."
        ),
        "up": Entry("flotilla.cli.commands.up:up", "Run the whole stack here until Ctrl-C."),
        "down": Entry("flotilla.cli.commands.down:down", "Stop the stack that runs on a state folder."),
        "doctor": Entry("flotilla.cli.commands.doctor:doctor", "Check what this machine has and lacks."),
        "engine": Entry("flotilla.cli.main:ENGINE", "Start, stop and look at engines."),
        "emergency-stop": Entry(
            "flotilla.cli.commands.emergency:emergency_stop", "Make engines flat and gone, and keep them so."
        ),
        "logs": Entry("flotilla.cli.commands.log_search:logs", "Search what all engines printed."),
        "ledger": Entry("flotilla.cli.main:LEDGER", "Orders, fills, positions and accounts of all engines."),
        "record": Entry("flotilla.cli.commands.record:record", "What is on record, and for how long."),
        "backup": Entry("flotilla.cli.main:BACKUP", "Write the record into a file, and check one."),
        "restore": Entry("flotilla.cli.commands.restore:restore", "Put the record of a backup in place."),
        "audit": Entry("flotilla.cli.main:AUDIT", "Who asked for what, and what came of it."),
        "alert": Entry("flotilla.cli.main:ALERT", "What people are told of, by which rules, and where."),
        "strategy": Entry("flotilla.cli.main:STRATEGY", "The strategies of a running engine."),
        "backtest": Entry("flotilla.cli.main:BACKTEST", "Run strategies over the catalog."),
        "study": Entry("flotilla.cli.main:STUDY", "Many backtests over a strategy's parameters."),
        "package": Entry("flotilla.cli.main:PACKAGE", "Strategies of your own, by name and version."),
        "template": Entry("flotilla.cli.main:TEMPLATE", "Templates of engines and strategies."),
        "host": Entry("flotilla.cli.main:HOST", "The hosts that engines run on."),
        "container": Entry("flotilla.cli.main:CONTAINER", "The containers of engines."),
        "secret": Entry("flotilla.cli.main:SECRET", "Credentials of venues, in the state folder."),
        "access": Entry("flotilla.cli.main:ACCESS", "Who may use the REST API."),
        "data": Entry("flotilla.cli.main:DATA", "The market data that engines replay."),
        "instrument": Entry("flotilla.cli.main:INSTRUMENT", "What is traded in a simulation."),
        "completion": Entry(
            "flotilla.cli.commands.completion:completion", "Let a shell complete commands and names."
        ),
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
    """Runs the command line and exits with a code of flotilla.state.exits."""
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
