"""What the notifier needs from outside: a store that keeps everything before it is acted on, and a way to send."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from flotilla.schemas.alerting import AlertView, Channel, ListAlerts, Mute, RuleSetting
from flotilla.services.notifier.core.book import AlertRecord
from flotilla.services.notifier.core.deliveries import Delivery, Message
from flotilla.services.notifier.core.engines import EngineMemory
from flotilla.services.notifier.core.fleet import HostMemory, QueueMemory


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is still to be published on the feed of this subject; `body` is its JSON. The store numbers it."""

    feed: str
    body: bytes
    number: int = 0


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was carried out, with its answer."""

    request_id: str
    subject: str
    body_hash: bytes
    reply: bytes
    at: datetime


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has: alerts that are open or were lately, what waits to be sent, and what is known and set.

    `first_start` is when a notifier ran on it for the first time.
    """

    first_start: datetime
    records: tuple[AlertRecord, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    last_sent: dict[str, datetime] = {}
    settings: tuple[RuleSetting, ...] = ()
    channels: tuple[Channel, ...] = ()
    mutes: tuple[Mute, ...] = ()
    engines: tuple[EngineMemory, ...] = ()
    hosts: tuple[HostMemory, ...] = ()
    queue: QueueMemory = QueueMemory()


class Batch(msgspec.Struct, kw_only=True):
    """What is written in one transaction. `settings`, `channels` and `mutes` are all that there are then; null leaves them."""

    records: list[AlertRecord] = []
    deliveries: list[Delivery] = []
    sent: list[tuple[str, datetime]] = []
    given_up: list[str] = []
    settings: tuple[RuleSetting, ...] | None = None
    channels: tuple[Channel, ...] | None = None
    mutes: tuple[Mute, ...] | None = None
    engines: list[EngineMemory] = []
    hosts: list[HostMemory] = []
    queue: QueueMemory | None = None
    notes: list[Note] = []
    command: Command | None = None


class RepeatedCommand(Exception):
    """A command of this request id is on record already."""


class Store(Protocol):
    """Everything that must survive. Each raises FaultError `unavailable` while it is away, and has changed nothing then."""

    async def migrate(self) -> None:
        """Brings the schema to the present."""

    async def load(self, now: datetime, since: datetime) -> Kept:
        """What is kept; of alerts those that are open or were changed since."""

    async def commit(self, batch: Batch) -> None:
        """All of it or nothing. Raises RepeatedCommand."""

    async def known(self, alert_ids: Sequence[str]) -> set[str]:
        """Which of these alerts are on record."""

    async def alerts(self, question: ListAlerts) -> list[AlertView]:
        """The newest first."""

    async def alert(self, alert_id: str) -> AlertRecord | None:
        """One of them."""

    async def command(self, request_id: str) -> Command | None:
        """The command of this request id."""

    async def notes(self, limit: int) -> list[Note]:
        """What is still to be published, oldest first."""

    async def published(self, number: int) -> None:
        """Forgets a note."""

    async def forget(self, before: datetime) -> None:
        """Deletes alerts that were over, deliveries that were sent and commands that were made before."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of sending. `problem` never has a piece of the address. `is_unsure`: it may have arrived all the same."""

    is_sent: bool
    problem: str = ""
    is_unsure: bool = False


class Sender(Protocol):
    """Sends to addresses that are secrets."""

    async def send(self, secret: str, message: Message) -> Sent:
        """Sends to the address in this secret, within a time limit."""

    async def call(self, secret: str) -> Sent:
        """Calls the address in this secret, which hears that the notifier is alive."""
