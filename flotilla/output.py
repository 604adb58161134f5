"""Where results go: tables for people, JSON for programs. Errors and progress go to stderr, see flotilla.failure."""

import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table

_PIPE_WIDTH: Final = 1000
"""A pipe has no width: nothing is to be cut there."""


class Output:
    """One command's result."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self._console = console()

    def document(self, data: Any, show: Callable[[], RenderableType]) -> None:
        """The whole result: `data` as one JSON document, or what `show` makes of it."""
        if self.is_json:
            self.json_line(data)
        else:
            self.show(show())

    def show(self, what: RenderableType) -> None:
        """For people only."""
        if not self.is_json:
            self._console.print(what)

    def json_line(self, data: Any) -> None:
        """For programs: one JSON object on a line of its own, at once."""
        sys.stdout.buffer.write(msgspec.json.encode(data) + b"\n")
        sys.stdout.buffer.flush()


def console(*, stderr: bool = False) -> Console:
    """A console that neither cuts nor colours what goes into a pipe, and leaves `[x]` in names alone."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*columns: str) -> Table:
    """A borderless table; a column whose name starts with `>` is of numbers."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    return made
