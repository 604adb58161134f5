"""The record's servers, for who backs it up or restores it: those of the stack that runs, else started for as long as it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.settings import BusSettings
from flotilla.schemas.contract import Actor
from flotilla.show.progress import Narrator
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.servers.record_access import RecordAccess
from flotilla.state.errors import StackError
from flotilla.state.folder import StateFolder
from flotilla.state.lock import StackLock, holder
from flotilla.state.settings import Connection


@dataclass(frozen=True)
class Reached:
    """The fleet's database, and its bus."""

    record: RecordAccess
    bus: Bus


@asynccontextmanager
async def reached(folder: StateFolder, narrator: Narrator) -> AsyncIterator[Reached]:
    """Those of the stack that runs on the folder, else as `started` has them. Raises StackError and FaultError."""
    if holder(folder) is None:
        async with started(folder, narrator) as own:
            yield own
        return
    try:
        connection = msgspec.json.decode(folder.connection_file.read_bytes(), type=Connection)
        creds = _text(connection.nats_creds)
    except (OSError, msgspec.MsgspecError):
        raise StackError(f"the stack on {folder.root} is not ready", "try again when it is") from None
    server = await asyncio.to_thread(PostgresServer, folder.postgres)
    bus = await connect(BusSettings(url=connection.nats_url, name=Actor.OPERATOR, creds=creds), wait_s=10)
    try:
        yield Reached(RecordAccess(server.dsn_of), bus)
    finally:
        await bus.client.close()


@asynccontextmanager
async def started(folder: StateFolder, narrator: Narrator) -> AsyncIterator[Reached]:
    """Servers of our own on the folder, which nobody else may run meanwhile. Raises StackRunsError, StackError and FaultError."""
    folder.create()
    async with AsyncExitStack() as stack:
        wait = partial(narrator.say, "waiting for what is left of the last stack to end")
        lock = await asyncio.to_thread(StackLock.acquire, folder, on_wait=wait)
        stack.callback(lock.release)
        keeps = (lock.children_fd,)
        # Children end with the thread that started them, so this one starts them.
        postgres = PostgresServer(folder.postgres, keeps=keeps)
        stack.callback(postgres.stop)
        postgres.start()
        nats = NatsServer(folder.nats, FleetKeys(folder.keys), keeps=keeps)
        stack.callback(nats.stop)
        nats.start()
        bus = await connect(nats.settings(Actor.OPERATOR), wait_s=10)
        stack.push_async_callback(bus.client.close)
        yield Reached(RecordAccess(postgres.dsn_of), bus)


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()
