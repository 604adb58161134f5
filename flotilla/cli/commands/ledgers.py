"""`flotilla ledger orders`, `fills`, `positions` and `accounts`."""

import csv
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from rich.text import Text

from flotilla.bus.files import whole_file
from flotilla.cli.options import Options, common, labels, pass_options
from flotilla.cli.report_files import FILE
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.ledger import LEDGER_QUESTIONS, LEDGER_ROWS, LedgerName, LedgerOrder, ReadLedger, cells
from flotilla.show.exporting import write_parquet
from flotilla.show.ledger_tables import ledger_table
from flotilla.stack.checks import require_engine_package

F = TypeVar("F", bound=Callable[..., Any])
_PAGE: Final = 1000


def _filters(command: F) -> F:
    """Adds what every ledger can be filtered by, and where its rows go."""
    for option in (
        click.option("--parquet", "parquet", type=FILE, metavar="FILE", help="Write all of it as Parquet."),
        click.option("--csv", "csv_file", type=FILE, metavar="FILE", help="Write all of it as CSV."),
        click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True),
        click.option("--oldest", "is_oldest", is_flag=True, help="The oldest first."),
        click.option("--until", metavar="TIME", help="Only before this time: RFC 3339, with its zone."),
        click.option("--since", metavar="TIME", help="Only from this time on: RFC 3339, with its zone."),
        click.option("--venue", "venues", multiple=True, metavar="VENUE", help="May be repeated."),
        click.option("--session", "session_id", metavar="ID", help="Only of this session."),
        labels("Only of engines that carry this label; may be repeated: then all of them."),
        click.option("--engine", "instance_ids", multiple=True, metavar="NAME", help="May be repeated."),
    ):
        command = option(command)
    return command


def _traded(command: F) -> F:
    for option in (
        click.option("--side", "sides", multiple=True, metavar="SIDE", help="BUY, SELL, LONG, SHORT, FLAT."),
        click.option("--strategy", "strategy_ids", multiple=True, metavar="ID", help="May be repeated."),
        click.option("--instrument", "instrument_ids", multiple=True, metavar="ID", help="May be repeated."),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--open", "is_open", is_flag=True, help="Only those that are open.")
@click.option(
    "--status", "statuses", multiple=True, metavar="STATUS", help="Such as FILLED; may be repeated."
)
@_traded
@_filters
@common
@pass_options
def orders(options: Options, /, **chosen: Any) -> int | None:
    """List the orders of all engines, as the last event about each has them."""
    return _ledger(options, LedgerName.ORDERS, chosen)


@click.command()
@_traded
@_filters
@common
@pass_options
def fills(options: Options, /, **chosen: Any) -> int | None:
    """List the executions of all engines, each once."""
    return _ledger(options, LedgerName.FILLS, chosen)


@click.command()
@click.option("--open", "is_open", is_flag=True, help="Only those that are open.")
@_traded
@_filters
@common
@pass_options
def positions(options: Options, /, **chosen: Any) -> int | None:
    """List the positions of all engines, each from where it opened to where it closed."""
    return _ledger(options, LedgerName.POSITIONS, chosen)


@click.command()
@click.option("--latest", "is_latest", is_flag=True, help="Only the last of each account.")
@_filters
@common
@pass_options
def accounts(options: Options, /, **chosen: Any) -> int | None:
    """List the balances of the accounts of all engines, a row for each time they changed."""
    return _ledger(options, LedgerName.ACCOUNTS, chosen)


def _ledger(options: Options, name: LedgerName, chosen: dict[str, Any]) -> int | None:
    files = {form: chosen.pop(key) for form, key in (("csv", "csv_file"), ("parquet", "parquet"))}
    wanted = {form: path for form, path in files.items() if path is not None}
    if len(wanted) > 1:
        raise click.UsageError("give --csv or --parquet, not both")
    if "parquet" in wanted:
        require_engine_package()
    question = _question(name, chosen)
    if not wanted:
        return _show(options, name, question)
    ((form, path),) = wanted.items()
    return _write(options, name, question, form=form, path=path)


def _question(name: LedgerName, chosen: dict[str, Any]) -> ReadLedger:
    chosen["order"] = LedgerOrder.OLDEST if chosen.pop("is_oldest") else LedgerOrder.NEWEST
    try:
        return msgspec.convert(chosen, LEDGER_QUESTIONS[name])
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None


@with_fleet
async def _show(options: Options, fleet: Flotilla, name: LedgerName, question: ReadLedger) -> None:
    page = await fleet.ledger_page(name, question)
    options.output.document(page, lambda: ledger_table(name, page.rows))


@with_fleet
async def _write(
    options: Options, fleet: Flotilla, name: LedgerName, question: ReadLedger, *, form: str, path: Path
) -> None:
    rows = fleet.all_rows(name, **{**msgspec.structs.asdict(question), "limit": _PAGE})
    with whole_file(path) as made:
        if form == "parquet":
            whole = [row async for row in rows]
            await write_parquet(whole, f"ledger_{name}", made)
            count = len(whole)
        else:
            count = await _write_csv(rows, name, made)
    options.output.document(
        {"ledger": name, "rows": count, "file": str(path)}, lambda: Text(f"{count:,} {name} in {path}")
    )


async def _write_csv(rows: AsyncIterator[Any], name: LedgerName, path: Path) -> int:
    """Writes rows as they come; returns how many there were."""
    count = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LEDGER_ROWS[name].__struct_fields__)
        async for row in rows:
            writer.writerow(cells(row))
            count += 1
    return count
