"""Where the reader of a stream left off, as the id of the last message that it took."""

from typing import Self

import msgspec


class Place(msgspec.Struct, frozen=True):
    """`number` counts the messages of one `boot`; of another it says nothing. Over the wire it is `<boot>-<number>`."""

    boot: str
    number: int

    @property
    def text(self) -> str:
        """As it goes over the wire."""
        return f"{self.boot}-{self.number}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The place that a text names; None for one that names none, whose reader begins anew."""
        boot, dash, number = text.rpartition("-")
        is_number = dash and number.isascii() and number.isdecimal() and len(number) <= 15
        return cls(boot, int(number)) if is_number else None
