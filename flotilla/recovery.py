"""Starts nats-server again when a full disk has left it unable to store, once there is room.

After a failed write a stream of JetStream takes no message any more, also when there is room again: only a new start helps.
"""

import asyncio
import shutil
from typing import Final

from flotilla.embedded.nats import NatsServer
from flotilla.narrator import Narrator

LOOK_S: Final = 1.0
ROOM_BYTES: Final = 1 << 20
"""Room enough to store again; how much is too little to go on with, the orchestrator says."""
_STOP_S: Final = 5.0


async def restart_when_it_cannot_store(nats: NatsServer, narrator: Narrator) -> None:
    """Looks once a second, until cancelled. It is ended here; its keeper starts it again."""
    while True:
        await asyncio.sleep(LOOK_S)
        problem = await asyncio.to_thread(nats.write_error)
        if problem and _has_room(nats):
            narrator.warn(f"nats-server cannot store although there is room ({problem}); starting it again")
            await asyncio.to_thread(nats.child.stop, _STOP_S)


def _has_room(nats: NatsServer) -> bool:
    try:
        return shutil.disk_usage(nats.folder).free >= ROOM_BYTES
    except OSError:
        return False
