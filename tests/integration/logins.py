"""How those connect whom a supervisor lets in."""

from flotilla.bus.settings import BusSettings
from flotilla.stack.servers.nats import NatsServer


def engine_login(nats: NatsServer, instance_id: str, *, is_worker: bool = False) -> BusSettings:
    """How the sidecar of an engine connects, or that of a worker."""
    creds = nats.keys.mint().mint(instance_id, is_worker=is_worker)
    return BusSettings(url=nats.url, name=f"engine_{instance_id}", creds=creds)
