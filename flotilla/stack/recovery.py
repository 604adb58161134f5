"""Starts nats-server again when a full disk has left it unable to store, once there is room."""

import asyncio

from flotilla.show.progress import Narrator
from flotilla.stack.servers.nats import NatsServer
from flotilla.stack.servers.nats_health import LOOK_S, STOP_S, has_room


async def restart_when_it_cannot_store(nats: NatsServer, narrator: Narrator) -> None:
    """Looks once a second, until cancelled. It is ended here; its keeper starts it again."""
    while True:
        await asyncio.sleep(LOOK_S)
        problem = await asyncio.to_thread(nats.write_error)
        if problem and has_room(nats.folder):
            narrator.warn(f"nats-server cannot store although there is room ({problem}); starting it again")
            await asyncio.to_thread(nats.child.stop, STOP_S)
