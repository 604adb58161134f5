"""docs/instruments.md says of each class what holds: its name, what must be given, and a command that describes one."""

import re
import shlex
from pathlib import Path

import click
import pytest

from flotilla.cli.commands.instruments import add, described
from flotilla.engine_sidecar.catalog.adding import added
from flotilla.engine_sidecar.catalog.described import class_of
from flotilla.schemas.instrument import AddInstrument
from flotilla.schemas.instrument_classes import CLASSES, InstrumentClass

PAGE = (Path(__file__).parents[3] / "docs/instruments.md").read_text()
ROWS = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| `add (.+?)` \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_each_class_with_what_must_be_given() -> None:
    listed = {kind: (nautilus, re.findall(r"`(\w+)`", needs)) for kind, nautilus, _, needs in ROWS}
    assert listed == {str(kind): (row.nautilus, list(row.needs)) for kind, row in CLASSES.items()}


def order(line: str) -> AddInstrument:
    """What the command line comes to."""
    context = add.make_context("add", shlex.split(line))
    return described(**context.params)


@pytest.mark.parametrize(("kind", "line"), [(kind, line) for kind, _, line, _ in ROWS])
def test_what_the_page_types_makes_one_of_the_class(kind: str, line: str) -> None:
    assert class_of(added(order(line)).instrument) == InstrumentClass(kind)


@pytest.mark.parametrize("line", re.findall(r"^flotilla instrument add (.+)$", PAGE, re.MULTILINE))
def test_the_first_commands_of_the_page_work(line: str) -> None:
    assert added(order(line)).instrument.id.value


def test_options_are_named_after_their_fields() -> None:
    with pytest.raises(click.NoSuchOption):
        add.make_context("add", ["ES", "--colour", "red"])
