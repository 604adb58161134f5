"""One client's socket: what it sends is cut into messages, what is sent to it can be held, doubled, swapped, lost."""

import asyncio
from collections.abc import Callable

from exchanges.core.faults import Delivery, Sender
from exchanges.interactive_brokers.core.session import Session
from exchanges.interactive_brokers.core.wire import SERVER_VERSION, Frames, Message, NoFrame, frame, text

PIECE = 65_536


class Link:
    """A connection. While it is `half_open` nothing is sent and nothing heard, though it stands."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delivery: Delivery
    ) -> None:
        self.session = Session()
        self.half_open = False
        self._reader = reader
        self._writer = writer
        self._sender = Sender(delivery)
        self._held: list[Message] = []
        self._holds = 0

    async def serve(self, greeting: str, hear: Callable[["Link", list[str]], None]) -> None:
        """Greets, then hears until the connection ends. `hear` is given the fields of each message."""
        frames, greeted = Frames(), False
        try:
            while data := await self._reader.read(PIECE):
                for fields in [] if self.half_open else frames.feed(data):
                    if greeted:
                        hear(self, fields)
                    else:  # the versions that the client speaks
                        self.send((SERVER_VERSION, greeting))
                        greeted = True
        except (NoFrame, ConnectionError):
            pass
        finally:
            self.close()

    def send(self, message: Message) -> None:
        """Sends an answer."""
        if self._holds:
            self._held.append(message)
        elif not self.half_open and not self._writer.is_closing():
            self._writer.write(frame(message))

    def push(self, message: Message) -> None:
        """Sends an event, as the faults of delivery have it."""
        for event in self._sender.offer("\0".join(text(field) for field in message)):
            self.send(tuple(event.split("\0")))

    def settle(self) -> None:
        """Sends what was held back for an event that did not come."""
        for event in self._sender.flush():
            self.send(tuple(event.split("\0")))

    def hold(self) -> None:
        """Holds back what is to be sent, until `release`."""
        self._holds += 1

    def release(self) -> None:
        """Sends what was held back, if nobody else holds it."""
        self._holds -= 1
        if not self._holds:
            held, self._held = self._held, []
            for message in held:
                self.send(message)

    def close(self) -> None:
        """Closes in good form, after what has been sent."""
        self._writer.close()

    def cut(self) -> None:
        """Ends the connection at once, without a word."""
        self._writer.transport.abort()
