"""How long-running commands tell what they do: one sentence at a time, on stderr, because stdout is for the result."""

import sys
import time
from typing import Protocol

import msgspec
from rich.console import Console
from rich.text import Text

from flotilla.show.output import console


class Narrator(Protocol):
    """Hears what happens, in order."""

    def say(self, text: str) -> None:
        """Something went as it should."""

    def warn(self, text: str) -> None:
        """Something did not, and is being dealt with."""


class PlainNarrator:
    """For people: when it happened, and what."""

    def __init__(self, on: Console) -> None:
        self._console = on

    def say(self, text: str) -> None:
        """See Narrator."""
        self._write(text, "")

    def warn(self, text: str) -> None:
        """See Narrator."""
        self._write(text, "yellow")

    def _write(self, text: str, style: str) -> None:
        self._console.print(Text.assemble((f"{time.strftime('%H:%M:%S')}  ", "dim"), (text, style)))


class JsonNarrator:
    """For programs: one JSON object per sentence."""

    def say(self, text: str) -> None:
        """See Narrator."""
        self._write("info", text)

    def warn(self, text: str) -> None:
        """See Narrator."""
        self._write("warning", text)

    def _write(self, level: str, text: str) -> None:
        line = msgspec.json.encode({"level": level, "message": text}).decode()
        print(line, file=sys.stderr, flush=True)


def narrator(*, is_json: bool, on: Console | None = None) -> Narrator:
    """The one that goes with --json, or without; `on` is what else writes to stderr, such as a progress bar."""
    return JsonNarrator() if is_json else PlainNarrator(on or console(stderr=True))
