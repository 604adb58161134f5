"""What instruments look like to people."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.instrument import InstrumentChange, InstrumentChanges, InstrumentList, InstrumentView
from flotilla.show.output import table


def instruments_table(found: InstrumentList) -> RenderableType:
    """One row per instrument."""
    if not found.instruments:
        return Text(
            "the catalog has no instruments; describe one: flotilla instrument add, or import data of one"
        )
    made = table(
        "INSTRUMENT", "CLASS", "CURRENCY", ">TICK", ">STEP", ">MULTIPLIER", ">TAKER FEE", ">DATA SETS"
    )
    for view in found.instruments:
        shown = {field.name: str(field.value) for field in view.fields if field.value is not None}
        made.add_row(
            Text(view.id, overflow="fold"),
            str(view.instrument_class),
            shown.get("settlement_currency") or shown.get("quote_currency") or shown.get("currency", ""),
            shown.get("price_increment", ""),
            shown.get("size_increment", "1"),
            shown.get("multiplier", "1"),
            shown.get("taker_fee", ""),
            str(len(view.data)),
        )
    return made


def instrument_table(view: InstrumentView) -> RenderableType:
    """One row per field, then the data sets."""
    made = table("FIELD", "VALUE", "UNIT")
    made.add_row("id", view.id, "")
    made.add_row("class", f"{view.instrument_class} ({view.nautilus['type']})", "")
    for field in view.fields:
        made.add_row(field.name, field.shown, field.unit)
    lines = [Text(f"  {one}") for one in view.data]
    return Group(made, Text("data that depends on it:" if lines else "no data depends on it"), *lines)


def changes_text(done: InstrumentChanges) -> RenderableType:
    """A line for each instrument, and below it what changed, what was assumed, and the data that depends on it."""
    return Group(
        *(Text(line) for change in done.changes for line in _lines(change)),
        *(Text(f"left out: {why}") for why in done.left_out),
        *(Text(line) for line in _summary(done)),
    )


def _summary(done: InstrumentChanges) -> Iterator[str]:
    if done.listed is not None:
        counted = Counter(change.outcome for change in done.changes)
        counted["left out"] = len(done.left_out)
        became = ", ".join(f"{number:,} {outcome}" for outcome, number in counted.items() if number)
        yield f"{len(done.changes) + len(done.left_out):,} of the venue's {done.listed:,} instruments match: {became}"
    if done.is_dry_run:
        yield "a dry run: nothing was stored"


def _lines(change: InstrumentChange) -> Iterator[str]:
    yield f"{change.id}: {change.instrument_class}, {change.outcome}"
    yield from (f"  {one}" for one in (*change.changed, *change.assumed))
    if change.data and change.outcome == "replaced":
        yield f"  data that is read with it from now on: {'; '.join(change.data)}"
    elif change.data and change.outcome == "removed":
        yield f"  data without an instrument: {'; '.join(change.data)}"
