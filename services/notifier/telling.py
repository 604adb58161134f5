"""Publishes what is on record as still to be told on the bus: changes of alerts, and commands for the audit."""

import asyncio
from typing import Any, Final

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import ALERT_CHANGE, NOTIFIER_COMMAND, Feed
from flotilla.schemas.fault import FaultError
from flotilla.services.notifier.ledger import Ledger

log = get_logger(__name__)

_FEEDS: Final[dict[str, Feed[Any]]] = {feed.subject: feed for feed in (ALERT_CHANGE, NOTIFIER_COMMAND)}
_MOST: Final = 100
_RETRY_S: Final = 1.0


async def publish_notes(ledger: Ledger, bus: Bus) -> None:
    """In their order, each until it is stored, until cancelled. One that was published and not noted as such is stored once."""
    while True:
        await ledger.has_notes.wait()
        ledger.has_notes.clear()
        try:
            while notes := await ledger.store.notes(_MOST):
                for note in notes:
                    await bus.publish_durable(_FEEDS[note.feed], note.body, message_id=f"note-{note.number}")
                    await ledger.store.published(note.number)
        except FaultError as error:
            log.info("notes wait", error=str(error))
            ledger.has_notes.set()
            await asyncio.sleep(_RETRY_S)
