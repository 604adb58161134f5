"""What was counted: a line for each as it is done, and a table in the end."""

import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from flotilla.schemas.fault import FaultError
from flotilla.state.errors import EngineFailedError


class Tally:
    """Counts by kind. `say` is where its lines go."""

    def __init__(self, name: str, seed: int, planned: int) -> None:
        self.name, self.seed, self.planned = name, seed, planned
        self.began = time.monotonic()
        self.done: dict[str, int] = {}
        self.wrong: list[tuple[str, str]] = []
        self.notes: dict[str, int] = {}
        say(f"{name}: seed {seed}, {planned} planned")

    def add(self, kind: str, wrong: Sequence[str], note: str = "") -> None:
        """One more of a kind, with what was wrong."""
        self.done[kind] = self.done.get(kind, 0) + 1
        self.wrong += [(kind, each) for each in wrong]
        if note:
            self.notes[note] = self.notes.get(note, 0) + 1
        count = sum(self.done.values())
        say(
            f"{self.name} {count}/{self.planned} at {self.took_s:.0f} s: {kind}: {note or 'done'}, {len(wrong)} wrong"
        )
        for each in wrong:
            say(f"  WRONG (seed {self.seed}): {each}")

    async def take(self, kind: str, name: str, judged: Coroutine[Any, Any, tuple[list[str], str]]) -> bool:
        """Adds what a judge found, or that nothing could be judged; true where nothing is wrong."""
        wrong, note = list[str](), "did not come back"
        try:
            wrong, note = await judged
        except* (TimeoutError, FaultError, EngineFailedError) as error:
            wrong = [f"{name}: {type(each).__name__}: {each}" for each in error.exceptions]
        self.add(kind, wrong, note)
        return not wrong

    @property
    def took_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def table(self) -> str:
        """The last word."""
        width = max(map(len, [*self.done, "all"]))
        rows = [
            f"  {kind:{width}}  {count:5}  {sum(each == kind for each, _ in self.wrong):5}"
            for kind, count in self.done.items()
        ]
        total = f"  {'all':{width}}  {sum(self.done.values()):5}  {len(self.wrong):5}"
        notes = "".join(f"\n  {note}: {count}" for note, count in self.notes.items())
        return (
            "\n".join(
                [
                    f"{self.name}, seed {self.seed}, {self.took_s:.0f} s",
                    f"  {'':{width}}   done  wrong",
                    *rows,
                    total,
                ]
            )
            + notes
        )


def say(text: str) -> None:
    """A line that is seen at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
