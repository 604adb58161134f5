"""Frames of the text protocol: four bytes with the length, then fields that each end with a NUL."""

from collections.abc import Sequence
from decimal import Decimal

SERVER_VERSION = 176  # below 177 openOrder keeps its old fields, below 201 nothing is protobuf
LONGEST = 1 << 20
UNSET = "1.7976931348623157E308"

type Field = str | int | bool | Decimal
type Message = tuple[Field, ...]


class NoFrame(Exception):
    """What came is no frame of the protocol."""


def text(field: Field) -> str:
    """A field as it is sent: booleans as 0 and 1, decimals without an exponent."""
    if isinstance(field, Decimal):
        return f"{field:f}"
    return str(int(field)) if isinstance(field, bool) else str(field)


def frame(fields: Sequence[Field]) -> bytes:
    """A message as it goes over the socket."""
    body = "".join(f"{text(field)}\0" for field in fields).encode()
    return len(body).to_bytes(4) + body


class Frames:
    """The stream of one client, cut into messages. It begins with `API` and a NUL, before the first frame."""

    def __init__(self) -> None:
        self._held = b""
        self._greeted = False

    def feed(self, data: bytes) -> list[list[str]]:
        """The messages that are whole now, as their fields.

        Raises:
            NoFrame: if this is another protocol, or a frame is longer than a megabyte.
        """
        self._held += data
        if not self._greeted and len(self._held) >= 4:
            if self._held[:4] != b"API\0":
                raise NoFrame("the client does not begin with API")
            self._held, self._greeted = self._held[4:], True
        messages = []
        while self._greeted and (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> list[str] | None:
        if len(self._held) < 4:
            return None
        length = int.from_bytes(self._held[:4])
        if length > LONGEST:
            raise NoFrame(f"a frame of {length} bytes")
        if len(self._held) < 4 + length:
            return None
        body, self._held = self._held[4 : 4 + length], self._held[4 + length :]
        try:
            return body.decode().removesuffix("\0").split("\0")
        except UnicodeDecodeError:
            raise NoFrame("a frame that is no text") from None
