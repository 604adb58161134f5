"""What an engine measured, as a table."""

from collections.abc import Mapping
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.history import EquityHistory, History, HistoryGap
from flotilla.show import formats
from flotilla.show.output import table


def history_table(found: History) -> RenderableType:
    """A row per point, and what is missing."""
    if not found.at:
        return Text("nothing was measured in that time")
    made = table(
        "AT",
        ">EQUITY",
        ">LEAST",
        ">MOST",
        ">REALISED",
        ">UNREALISED",
        ">ORDERS",
        ">POSITIONS",
        ">MEMORY",
        ">CPU",
    )
    for place, at in enumerate(found.at):
        if found.samples[place]:
            made.add_row(formats.moment(at), *map(Text, _cells(found, place)))
    return Group(made, *map(_gap, found.gaps))


def _gap(gap: HistoryGap) -> Text:
    why = "was heard and could not be kept" if gap.is_lost else "nothing was heard"
    return Text(f"{formats.moment(gap.since)} to {formats.moment(gap.until)}: {why}", style="yellow")


def _cells(found: History, place: int) -> tuple[str, ...]:
    equity, pnl, counts, used = found.equity, found.pnl, found.counts, found.resources
    memory = used.memory_bytes[place] if used else None
    cpu = used.cpu_fraction[place] if used else None
    return (
        *(_equity(equity, place) if equity else ("", "", "")),
        *((_money(pnl.realized, place), _money(pnl.unrealized, place)) if pnl else ("", "")),
        *((str(counts.orders_open[place]), str(counts.positions_open[place])) if counts else ("", "")),
        formats.size(memory) if memory is not None else "",
        f"{cpu:.2f}" if cpu is not None else "",
    )


def _equity(equity: EquityHistory, place: int) -> tuple[str, str, str]:
    if equity.last[place] is None:
        return ("unknown" if equity.unknown[place] else "", "", "")
    last = f"{_amount(equity.last[place])} {equity.currency[place]}{'?' if equity.unknown[place] else ''}"
    return last, _amount(equity.min[place]), _amount(equity.max[place])


def _amount(value: Decimal | None) -> str:
    return formats.amount(f"{value:f}") if value is not None else ""


def _money(figures: Mapping[str, tuple[str | None, ...]], place: int) -> str:
    known = {name: values[place] for name, values in figures.items()}
    return formats.money({name: value for name, value in known.items() if value is not None})
