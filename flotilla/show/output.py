"""Where results go: tables for people, JSON for programs. Errors and progress go to stderr, see flotilla.show.error_report."""

import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table

from flotilla.state.errors import ReaderGoneError

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
        if self.is_json:
            return
        with self._console.capture() as captured:
            self._console.print(what, crop=False)
        text = captured.get()
        if not self._console.is_terminal:
            # Tables fill their lines with blanks, which nobody wants in a file.
            text = "\n".join(line.rstrip() for line in text.split("\n"))
        _write(text.encode())

    def json_line(self, data: Any) -> None:
        """For programs: one JSON object on a line of its own, at once."""
        _write(msgspec.json.encode(data) + b"\n")


def _write(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


def console(*, stderr: bool = False) -> Console:
    """A console that neither cuts nor colours what goes into a pipe, and leaves `[x]` in names alone."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*columns: str) -> Table:
    """A borderless table; a column whose name starts with `>` is of numbers."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        side: JustifyMethod = "right" if name.startswith(">") else "left"
        made.add_column(name.removeprefix(">"), justify=side, overflow="fold")
    return made
