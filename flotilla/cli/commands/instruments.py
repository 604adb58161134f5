"""`flotilla instrument`: what is traded in a simulation, in the catalog of the state folder; no stack has to run."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from flotilla.cli.commands.instrument_venue import VENUE, list_venue, listed
from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.instrument import (
    AddInstrument,
    ImportInstruments,
    InstrumentChange,
    InstrumentChanges,
    InstrumentList,
    InstrumentView,
    RemoveInstrument,
)
from flotilla.schemas.instrument_classes import CLASSES, FIELDS, FieldKind, InstrumentClass
from flotilla.show.instruments import changes_text, instrument_table, instruments_table
from flotilla.stack.checks import require_engine_package
from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import output_lines, python

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PROGRAM = ("-m", "flotilla.engine_sidecar.catalog", "instrument")


def _fields(command: F) -> F:
    """Adds an option for each field that people give."""
    for name, field in reversed(FIELDS.items()):
        if field.option is None:
            continue
        if field.kind is FieldKind.FLAG:
            command = click.option(f"--{field.option}", name, is_flag=True, default=None, help=field.help)(
                command
            )
        else:
            command = click.option(
                f"--{field.option}", name, metavar=str(field.kind).upper(), help=field.help
            )(command)
    return command


_new_currency = click.option(
    "--new-currency",
    "new_currencies",
    multiple=True,
    metavar="CODE",
    help="A currency that NautilusTrader does not know, taken as a crypto currency of 8 decimals.",
)


@click.command()
@click.argument("name", metavar="SYMBOL.VENUE")
@click.option(
    "--class",
    "instrument_class",
    type=click.Choice([str(kind) for kind in CLASSES]),
    help="What it is; not needed for what the table of common instruments has.",
)
@click.option("--like", metavar="ROW", help="Take the values that the table has for another one.")
@click.option(
    "--from-json",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="NautilusTrader's own form (`to_dict`); the other options are put over it.",
)
@_fields
@_new_currency
@common
@pass_options
def add(options: Options, /, *, name: str, **given: Any) -> None:
    """Describe the instrument SYMBOL.VENUE; again for one that is there, to change it.

    Fields that are not given are those of the table of common instruments. What must be given, and what was taken without being given, is said.

    \b
    flotilla instrument add ES --expiry 2024-03
    flotilla instrument add BTCUSDT-PERP.BINANCE
    flotilla instrument add ACME.XNAS --class equity --currency USD --tick 0.01 --taker-fee 0.0005
    """
    _tell(options, _asked(options, "add", described(name, **given), InstrumentChanges))


def described(name: str, **given: Any) -> AddInstrument:
    """What the options of `add` come to."""
    kind, file = given["instrument_class"], given["file"]
    return AddInstrument(
        name=name,
        instrument_class=InstrumentClass(kind) if kind else None,
        like=given["like"],
        file=str(file.resolve()) if file else None,
        fields={field: given[field] for field in FIELDS if given.get(field) is not None},
        new_currencies=given["new_currencies"],
    )


@click.command("import")
@click.argument("source", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--only", multiple=True, metavar="SYMBOL.VENUE", help="One of them, instead of all.")
@click.option(
    "--venue",
    metavar=VENUE,
    help="Those that a venue has, by its adapter, such as binance,account_type=USDT_FUTURES; then fields of the data client's config.",
)
@click.option(
    "--match",
    multiple=True,
    metavar="PATTERN",
    help="With --venue: an id, or a pattern such as 'BTC*'; may be repeated.  [default: all]",
)
@click.option(
    "--secret",
    metavar="NAME",
    help="With --venue: a key of the secret store, or a test exchange's addresses.",
)
@click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Say what would be stored and changed, and store nothing."
)
@click.option(
    "--exchange-as-venue",
    is_flag=True,
    help="Of a DBN file: the exchange (XCME), not the feed's venue (GLBX).",
)
@_new_currency
@common
@pass_options
def import_(
    options: Options,
    /,
    *,
    source: Path | None,
    venue: str | None,
    match: tuple[str, ...],
    secret: str | None,
    **given: Any,
) -> None:
    """Bring instruments from SOURCE: JSON in NautilusTrader's own form, a DBN file of definitions, or the folder of a NautilusTrader catalog. All or none.

    With --venue they are those of a venue, as its own adapter lists them: what cannot be described is left out and named.

    \b
    flotilla instrument import --venue binance,account_type=USDT_FUTURES --match 'BTC*'
    flotilla instrument import --venue interactive_brokers,ibg_port=4002 --match AAPL.NASDAQ --dry-run
    """
    if (source is None) == (venue is None):
        raise click.UsageError("give either SOURCE or --venue")
    if venue is None:
        if match or secret:
            raise click.UsageError("--match and --secret go with --venue; of a file, take --only")
        order = ImportInstruments(source=str(source.resolve() if source else ""), **given)
        _tell(options, _asked(options, "import", order, InstrumentChanges))
        return
    if given["only"] or given["exchange_as_venue"]:
        raise click.UsageError("--only and --exchange-as-venue are for files; of a venue, take --match")
    done = _imported(options, venue, match, secret, given["new_currencies"], is_dry_run=given["is_dry_run"])
    _tell(options, done)


def _imported(
    options: Options,
    venue: str,
    match: tuple[str, ...],
    secret: str | None,
    new_currencies: tuple[str, ...],
    *,
    is_dry_run: bool,
) -> InstrumentChanges:
    """Of a venue: one process asks it, another one, without the key, stores what it said."""
    require_engine_package()
    asked = list_venue(options.folder, venue, match, secret)
    with tempfile.TemporaryDirectory(prefix="flotilla-venue-") as folder:
        file = Path(folder) / f"{asked.adapter}.json"
        said = asyncio.run(listed(asked, file))
        order = ImportInstruments(
            source=str(file),
            new_currencies=tuple(sorted({*said.currencies, *new_currencies})),
            is_venue_list=True,
            is_dry_run=is_dry_run,
        )
        done = _asked(options, "import", order, InstrumentChanges)
    return msgspec.structs.replace(done, listed=said.listed)


@click.command()
@click.argument("name", metavar="SYMBOL.VENUE")
@common
@pass_options
def show(options: Options, /, *, name: str) -> None:
    """Show every field of an instrument with its unit, and the data sets that depend on it.

    With --json also NautilusTrader's own form, which `instrument import` takes again.
    """
    view = _asked(options, "show", name, InstrumentView)
    options.output.document(view, lambda: instrument_table(view))


@click.command()
@common
@pass_options
def ls(options: Options) -> None:
    """List the instruments of the catalog."""
    found = _asked(options, "ls", "", InstrumentList)
    options.output.document(found, lambda: instruments_table(found))


@click.command()
@click.argument("name", metavar="SYMBOL.VENUE")
@click.option("--force", is_flag=True, help="Also where data of it stays behind, which then runs nowhere.")
@common
@pass_options
def rm(options: Options, /, *, name: str, force: bool) -> None:
    """Take an instrument out of the catalog; refused while there is data of it."""
    change = _asked(options, "rm", RemoveInstrument(name=name, force=force), InstrumentChange)
    _tell(options, InstrumentChanges(changes=(change,)))


def _tell(options: Options, done: InstrumentChanges) -> None:
    options.output.document(done, lambda: changes_text(done))


def _asked(options: Options, command: str, order: msgspec.Struct | str, answer: type[T]) -> T:
    """What the catalog's program answers. Raises FaultError with what it refused."""
    require_engine_package()
    options.folder.create()
    text = order if isinstance(order, str) else msgspec.json.encode(order).decode()
    argv = python(*_PROGRAM, command, "--catalog", str(options.folder.catalog), *[text] * bool(text))
    return asyncio.run(_answer(argv, answer))


async def _answer(argv: list[str], answer: type[T]) -> T:
    lines: list[str] = []
    try:
        async for line in output_lines(argv):
            lines.append(line)  # noqa: PERF401 - what was said before it failed is wanted
    except ProgramFailedError:
        if not lines:
            raise
        raise fault(FaultCode.INVALID, msgspec.json.decode(lines[-1])["message"]) from None
    return msgspec.json.decode("\n".join(lines), type=answer)
