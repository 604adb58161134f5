"""`flotilla audit ls`, `verify` and `export`."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from flotilla.bus.files import whole_file
from flotilla.cli.options import Options, common, pass_options
from flotilla.cli.session import with_fleet
from flotilla.client.audit_chain import AuditVerdict, ExportEnd, verify_file
from flotilla.client.client import Flotilla
from flotilla.schemas.audit import AuditEntry, AuditHead, Caller
from flotilla.show import formats
from flotilla.show.audit_verdict import verdict_text
from flotilla.show.output import table
from flotilla.state.exits import Exit

_HEAD: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)


def read_heads(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[AuditHead, ...]:
    """Heads that somebody kept. Raises click.BadParameter."""
    heads = []
    for text in given:
        if (found := _HEAD.fullmatch(text)) is None:
            raise click.BadParameter(
                f"{text!r} must be a number, `:` and the 64 digits of a hash, 0-9 and a-f"
            )
        heads.append(AuditHead(seq=int(found[1]), hash=found[2]))
    return tuple(heads)


@click.command()
@click.argument("about", metavar="[NAME]", required=False)
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option(
    "--before", type=click.IntRange(1), metavar="NUMBER", help="Only what stands before this entry."
)
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, *, about: str | None, limit: int, before: int | None) -> None:
    """Every change that was asked for, newest first: when, by whom, from where, and what was answered: of an emergency stop, what it came to.

    NAME is an engine, a backtest, a study, or `all` for what was about every engine. A name with a question mark is what the
    caller said of itself; one without is that of a token that the gateway checked. --json shows bodies and request ids.
    """
    found = await fleet.audit(about, limit=limit, before=before)
    options.output.document(found, lambda: audit_table(found.entries))


@click.command()
@click.option(
    "--file", "path", type=_FILE, metavar="FILE", help="An export, instead of the record; no fleet is asked."
)
@click.option(
    "--head",
    "heads",
    metavar="SEQ:HASH",
    multiple=True,
    callback=read_heads,
    help="A head that you kept, such as `verify` prints it; may be given several times.",
)
@common
@pass_options
def verify(options: Options, *, path: Path | None, heads: tuple[AuditHead, ...]) -> int | None:
    """Hash every entry anew, and compare with the heads that the orchestrator put on the bus: names the first that is not as recorded.

    That is one that was changed, is missing, was put in, or was written anew with all after it; or the end was cut. The exit code is
    1 then. Keep the head that it prints: with --head it shows later that nothing up to there was touched, whoever owns database and bus.
    """
    if path is None:
        return _verify_record(options, heads=heads)
    try:
        return _say(options, verify_file(path, heads))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from None


@with_fleet
async def _verify_record(options: Options, fleet: Flotilla, *, heads: tuple[AuditHead, ...]) -> int:
    return _say(options, await fleet.verify_audit(heads))


@click.command()
@click.option(
    "--output", "path", type=_FILE, metavar="FILE", help="Replaced if it is there. [default: stdout]"
)
@common
@pass_options
@with_fleet
async def export(options: Options, fleet: Flotilla, *, path: Path | None) -> None:
    """Write the whole audit, oldest first, a JSON object per line, each with its hash; the last line has the head.

    `flotilla audit verify --file FILE` verifies it anywhere. The file is whole, or not there.
    """
    with _lines_to(options, path) as write:
        async for page in fleet.audit_chain():
            for row in page.rows:
                write(row)
        if page.head is None:
            raise click.ClickException("the audit's head is not on record: see `flotilla audit verify`")
        write(ExportEnd(head=page.head, pruned=page.pruned, exported_at=datetime.now(UTC)))


@contextmanager
def _lines_to(options: Options, path: Path | None) -> Iterator[Callable[[msgspec.Struct], None]]:
    if path is None:
        yield options.output.json_line
        return
    with whole_file(path) as made, made.open("wb") as file:
        yield lambda line: _write(file, line)


def _write(file: Any, line: msgspec.Struct) -> None:
    file.write(msgspec.json.encode(line) + b"\n")


def _say(options: Options, verdict: AuditVerdict) -> int:
    options.output.document(verdict, lambda: verdict_text(verdict))
    return Exit.OK if verdict.is_whole else Exit.FAILED


def audit_table(entries: tuple[AuditEntry, ...]) -> RenderableType:
    """A row per entry."""
    if not entries:
        return Text("nothing was asked for")
    made = table(">NO", "AT", "WHO", "FROM", "CALL", "ABOUT", "OUTCOME")
    for one in entries:
        made.add_row(
            str(one.number),
            formats.moment(one.at),
            Text(_who(one.caller), overflow="fold"),
            Text(one.caller.origin, overflow="fold"),
            Text(_call(one), overflow="fold"),
            Text(one.about, overflow="fold"),
            _outcome(one),
        )
    return made


def _outcome(entry: AuditEntry) -> Text:
    """An answer accepts; what came of it after that it does not know, but for an emergency stop, which tells."""
    if entry.code is not None:
        return Text(str(entry.code), style="red")
    return Text(entry.message or "accepted", overflow="fold")


def _who(caller: Caller) -> str:
    if caller.is_vouched_for:
        return caller.name
    return f"{caller.name or caller.credential or 'unknown'}?"


def _call(entry: AuditEntry) -> str:
    verb = entry.subject.removeprefix("fleet.")
    return f"{verb} on {entry.host}" if entry.host else verb
