"""The notifier put together: it keeps and sends also while there is no bus, and tells people so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import Witnessed
from flotilla.bus.host import host
from flotilla.bus.logs import get_logger
from flotilla.bus.secret_store import SecretStore
from flotilla.bus.settings import BusSettings
from flotilla.bus.tasks import Tasks
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.services.notifier.adapters.apprise_sender import AppriseSender
from flotilla.services.notifier.adapters.postgres import PostgresStore
from flotilla.services.notifier.delivering import Deliveries, say_alive
from flotilla.services.notifier.handlers import Handlers
from flotilla.services.notifier.ledger import Clock, Ledger
from flotilla.services.notifier.ports import Sender, Store
from flotilla.services.notifier.settings import NotifierSettings
from flotilla.services.notifier.telling import publish_notes
from flotilla.services.notifier.watching import Watch

log = get_logger(__name__)

_TRY_AGAIN_S: Final = 1.0
_FORGET_S: Final = 3_600.0
_KEEP: Final = timedelta(days=90)


class Notifier:
    """One notifier on one store."""

    def __init__(self, store: Store, sender: Sender, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._sender = sender
        self.ledger = Ledger(store, clock)
        self._deliveries = Deliveries(self.ledger, sender)
        self._handlers = Handlers(self.ledger, self._deliveries)
        self._watch = Watch(self.ledger)

    async def run(self) -> None:
        """Reads the store, then looks at the time and sends what waits, until cancelled. Needs no bus."""
        await self._load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run(), name="time")
            group.create_task(self._deliveries.run(), name="deliveries")
            group.create_task(self._forget(), name="old alerts")
            if secret := self._settings.alive_secret:
                alive = say_alive(self._sender, secret, self._settings.alive_s, self._is_well)
                group.create_task(alive, name="heartbeat address")

    @asynccontextmanager
    async def service(self, bus: Bus) -> AsyncIterator["Notifier"]:
        """What runs while there is a bus: it hears the fleet, answers, and publishes."""
        tasks = Tasks()

        def witness(seen: Witnessed) -> None:
            tasks.start(self._note_refusal(seen), name="refusal")

        bus.witness = witness
        await self._handlers.serve(bus)
        await self._watch.listen(bus)
        for name, work in (
            ("events", self._watch.follow(bus)),
            ("orchestrator's health", self._watch.ask(bus)),
            ("notes", publish_notes(self.ledger, bus)),
        ):
            tasks.start(work, name=name)
        try:
            yield self
        finally:
            await tasks.close()

    def checks(self) -> dict[str, str]:
        """What we depend on."""
        loaded = "ok" if self.ledger.is_loaded else "the record has not been read yet"
        return {"loaded": loaded, "record": self.ledger.problem or "ok"}

    def metrics(self) -> dict[str, float]:
        """Our figures."""
        records = self.ledger.records.values()
        return {
            "alerts_open": sum(one.view.state == "open" for one in records),
            "channels": len(self.ledger.channels),
            "deliveries_waiting": len(self.ledger.deliveries),
            "deliveries_sent_total": self._deliveries.sent,
            "deliveries_failed_total": self._deliveries.failed,
            "messages_unreadable_total": self._watch.unreadable,
        }

    def _is_well(self) -> bool:
        return all(state == "ok" for state in {**self.checks(), **self._watch.checks()}.values())

    async def _load(self) -> None:
        while True:
            try:
                await self.ledger.load()
            except FaultError as error:
                log.warning("waiting", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_S)
            else:
                log.info("record read", alerts=len(self.ledger.records), waiting=len(self.ledger.deliveries))
                return

    async def _forget(self) -> None:
        while True:
            try:
                await self.ledger.store.forget(self.ledger.clock() - _KEEP)
            except FaultError as error:
                log.info("old alerts wait for the record", error=str(error))
            await asyncio.sleep(_FORGET_S)

    async def _note_refusal(self, seen: Witnessed) -> None:
        try:
            await self.ledger.saw(seen)
        except FaultError as error:
            log.error("a refusal is not in the audit", subject=seen.call.subject, error=str(error))  # noqa: TRY400


async def run(settings: NotifierSettings, bus_settings: BusSettings) -> None:
    """Runs until SIGTERM. Raises FaultError when the bus does not come; what was to be told of that is sent meanwhile."""
    store = await PostgresStore.open(settings.dsn, settings.password())
    sender = AppriseSender(SecretStore(settings.secrets, settings.secrets_key_file))
    notifier = Notifier(store, sender, settings, lambda: datetime.now(UTC))
    try:
        async with asyncio.TaskGroup() as group:
            own = group.create_task(notifier.run(), name="notifier")
            await host(Actor.NOTIFIER, bus_settings, notifier.service)
            own.cancel()
    finally:
        await store.close()
