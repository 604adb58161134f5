"""How those connect whom a supervisor lets in."""

from typing import Final

from flotilla.bus.settings import BusSettings, engine_name
from flotilla.stack.servers.nats import NatsServer

SESSION: Final = "20260131-142501-3f9c2a7b1d04"


def engine_login(
    nats: NatsServer, instance_id: str, session_id: str = SESSION, *, is_worker: bool = False
) -> BusSettings:
    """How the sidecar of an engine connects, or that of a worker."""
    creds = nats.keys.mint().mint(instance_id, session_id, is_worker=is_worker).creds
    name = engine_name(instance_id, session_id)
    return BusSettings(url=nats.url, name=name, creds=creds, obeys=nats.keys.account)
