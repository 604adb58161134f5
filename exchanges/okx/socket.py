"""One WebSocket: who it is of, what it has subscribed, and how it is spoken to."""

import msgspec

from exchanges.connections import Connection
from exchanges.core.faults import Delivery, Sender
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.feed import Said
from exchanges.okx.core.state import Account

type Arg = dict[str, str]
"""What is subscribed, as it was asked for."""


class Message(msgspec.Struct):
    """What a socket is asked."""

    op: str
    args: list[dict[str, object]] = []
    id: str | None = None


class Socket:
    """A connection with what it is of and what it subscribed. `account` is None before a login."""

    def __init__(self, connection: Connection, kind: str, number: int, delivery: Delivery) -> None:
        self.connection = connection
        self.kind = kind
        self.number = f"{number:08x}"
        self.account: Account | None = None
        self.subscribed: list[Arg] = []
        self.sender = Sender(delivery)

    def send(self, message: dict[str, object]) -> None:
        """Sends a message."""
        self.connection.send(msgspec.json.encode(message).decode())

    def refuse(self, error: VenueError, asked: Message) -> None:
        """Says why something is not done."""
        told: dict[str, object] = {"event": "error", "code": str(error.code), "msg": error.text}
        self.send({**told, "connId": self.number, **({"id": asked.id} if asked.id else {})})

    def show(self, arg: Arg, said: Said) -> None:
        """Sends what a channel says to a subscription."""
        self.send({"arg": arg, **({"action": said.action} if said.action else {}), "data": said.data})
