"""The engine's output as numbered lines: cut, decoded, bounded, and handed out in batches."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

MAX_LINE_BYTES: Final = 16 << 10
_CONTINUES: Final = 0b1000_0000
_LEADS: Final = 0b1100_0000


class LineCutter:
    """Turns the bytes of a pipe into lines; one longer than 16 KiB is cut, and what is no UTF-8 is replaced."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes."""
        *whole, rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield from self._pieces(line)
        while len(rest) > self._max_bytes:
            end = _character_end(rest, self._max_bytes)
            yield _text(rest[:end])
            rest = rest[end:]
        self._rest = rest

    def finish(self) -> Iterator[str]:
        """What is left when the pipe is closed."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._pieces(rest)

    def _pieces(self, line: bytes) -> Iterator[str]:
        while len(line) > self._max_bytes:
            end = _character_end(line, self._max_bytes)
            yield _text(line[:end])
            line = line[end:]
        yield _text(line)


class Batch(msgspec.Struct, frozen=True):
    """Lines in order; `first` is the session-wide number of the first, from 1."""

    first: int
    lines: tuple[str, ...]


class LogBook:
    """Lines that wait for the bus. When there are too many the oldest go, and their numbers stay missing."""

    def __init__(self, *, max_lines: int, max_bytes: int, tail: int = 20) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: deque[str] = deque()
        self._next = 1
        self._tail: deque[str] = deque(maxlen=tail)
        self.size = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, whether they were published or not."""
        return tuple(self._tail)

    def add(self, line: str) -> None:
        """Numbers and keeps a line."""
        self._tail.append(line)
        self._lines.append(line)
        self.size += len(line)
        while len(self._lines) > self._max_lines or self.size > self._max_bytes:
            self._pop()
            self.dropped += 1

    def take(self, max_size: int) -> Batch | None:
        """Removes and returns the oldest lines, at least one and not more than `max_size` characters; None when there are none."""
        if not self._lines:
            return None
        first = self._next
        lines = [self._pop()]
        taken = len(lines[0])
        while self._lines and taken + len(self._lines[0]) <= max_size:
            taken += len(self._lines[0])
            lines.append(self._pop())
        return Batch(first, tuple(lines))

    def _pop(self) -> str:
        line = self._lines.popleft()
        self.size -= len(line)
        self._next += 1
        return line


def _text(line: bytes) -> str:
    # NUL is valid JSON but no text for PostgreSQL.
    return line.removesuffix(b"\r").decode(errors="replace").replace("\0", "\ufffd")


def _character_end(data: bytes, limit: int) -> int:
    """The last position up to `limit` that does not split a UTF-8 character."""
    for end in range(limit, max(limit - 4, 0), -1):
        if data[end] & _LEADS != _CONTINUES:
            return end
    return limit
